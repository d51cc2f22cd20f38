"""Tiny random models of every family, saved as local folders in hub format, so that the real loading code reads them.

Nothing is downloaded. Weights are drawn with a spread that makes all layers differ clearly from each other.
"""

# ruff: noqa: S106 - special tokens are no passwords
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "bird",
    "house",
    "river",
    "sky",
    "sees",
    "eats",
    "runs",
    "flies",
    "under",
    "over",
    "near",
    "old",
    "young",
    "red",
    "blue",
    "and",
    "not",
    "very",
    "quickly",
    "slowly",
    "yesterday",
    "today",
    "because",
    "every",
    "network",
    "layer",
]
PIECES = ["##s", "##ing", "##ed", "##er", "play", "walk", "talk", "look", ".", ","]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]
TEXTS = (
    "The cat sees the dog.",
    "A very old dog walks slowly near the river, and the young cat plays under the house today.",
    "Birds flying",
    "The sky",
    "every layer talks",
    "The red bird looked over the blue river because the old house was not near.",
    "not today, cat",
)
TEXT_FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "gpt2", "llama")
VISION_FAMILIES = ("vit", "convnext")
LAYERS = 3
WIDTH = 16


def wordpiece() -> hf.PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer with BERT's special tokens."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *PIECES, *LETTERS]
    numbers = {piece: number for number, piece in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", numbers["[CLS]"]), ("[SEP]", numbers["[SEP]"])],
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=48,
    )


def byte_level(*, end: bool = False) -> hf.PreTrainedTokenizerFast:
    """A byte-level tokenizer as GPT-2 has, without a padding token; `end` appends CLIP's end-of-text token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = {piece: number for number, piece in enumerate([*alphabet, "<|endoftext|>"])}
    tokenizer = Tokenizer(models.BPE(numbers, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", numbers["<|endoftext|>"])]
        )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<|endoftext|>", eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )


def _common(size: int) -> dict[str, Any]:
    return {"vocab_size": size, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2}


def _text(family: str) -> tuple[Any, Any]:
    pieces, letters = wordpiece(), byte_level()
    common, wide = _common(len(pieces)), {"intermediate_size": 32, "initializer_range": 0.5}
    if family == "bert":
        return hf.BertModel(hf.BertConfig(**common, **wide, max_position_embeddings=48)), pieces
    if family == "roberta":
        return hf.RobertaModel(hf.RobertaConfig(**common, **wide, max_position_embeddings=52, pad_token_id=0)), pieces
    if family == "xlm-roberta":
        return hf.XLMRobertaModel(
            hf.XLMRobertaConfig(**common, **wide, max_position_embeddings=52, pad_token_id=0)
        ), pieces
    if family == "distilbert":
        return hf.DistilBertModel(
            hf.DistilBertConfig(
                vocab_size=len(pieces), dim=WIDTH, n_layers=LAYERS, n_heads=2, hidden_dim=32,
                max_position_embeddings=48, initializer_range=0.5,
            )
        ), pieces  # fmt: skip
    if family == "gpt2":
        config = hf.GPT2Config(
            vocab_size=len(letters), n_embd=WIDTH, n_layer=LAYERS, n_head=2, n_positions=128, initializer_range=0.5,
            bos_token_id=256, eos_token_id=256,
        )  # fmt: skip
        return hf.GPT2Model(config), letters
    config = hf.LlamaConfig(
        **_common(len(letters)), **wide, num_key_value_heads=1, max_position_embeddings=128,
        bos_token_id=256, eos_token_id=256, pad_token_id=None,
    )  # fmt: skip
    return hf.LlamaModel(config), letters


def _image_processor(kind: str) -> Any:
    size = {"height": 8, "width": 8}
    if kind == "clip":
        return hf.CLIPImageProcessor(size={"shortest_edge": 8}, crop_size=size)
    return hf.ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def _vision(family: str) -> tuple[Any, Any]:
    if family == "vit":
        config = hf.ViTConfig(
            hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=2, intermediate_size=32, image_size=8,
            patch_size=4, initializer_range=0.5,
        )  # fmt: skip
        return hf.ViTModel(config), _image_processor("vit")
    config = hf.ConvNextConfig(
        hidden_sizes=[8, 12, 16], depths=[1, 1, 1], num_stages=3, patch_size=2, image_size=8, initializer_range=0.5,
        layer_scale_init_value=1.0,
    )  # fmt: skip
    return hf.ConvNextModel(config), _image_processor("vit")


def _clip() -> tuple[Any, Any]:
    letters = byte_level(end=True)
    shared = {"hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
    config = hf.CLIPConfig(
        text_config={
            **shared, "vocab_size": len(letters), "max_position_embeddings": 128, "eos_token_id": 256,
            "bos_token_id": 256, "pad_token_id": 256,
        },
        vision_config={**shared, "image_size": 8, "patch_size": 4},
        projection_dim=8,
        initializer_factor=10.0,
    )  # fmt: skip
    return hf.CLIPModel(config), letters


def save_model(family: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a tiny model of a family, with its tokenizer or image processor; returns the folder."""
    torch.manual_seed(seed)
    make: Callable[[], tuple[Any, Any]] = (
        _clip if family == "clip" else lambda: (_text if family in TEXT_FAMILIES else _vision)(family)
    )
    model, preprocessor = make()
    model.eval().save_pretrained(folder)
    preprocessor.save_pretrained(folder)
    if family == "clip":
        _image_processor("clip").save_pretrained(folder)
    return folder


def image(height: int, width: int, seed: int) -> Any:
    """A random image [height, width, 3] of uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8).numpy()


def hook_count(module: torch.nn.Module) -> int:
    """Forward hooks of a module and everything in it, before and after."""
    return sum(len(item._forward_hooks) + len(item._forward_pre_hooks) for item in module.modules())
