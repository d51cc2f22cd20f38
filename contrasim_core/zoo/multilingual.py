"""Trainers of the multilingual models: masked phrases, and masked pairs of a phrase and its translation.

The second is translation language modelling (arXiv:1901.07291, section 3.3): what is hidden in one language can be read
in the other, which is what makes the languages meet inside the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import (
    BertTokenizerFast,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaPreLayerNormConfig,
    RobertaPreLayerNormForMaskedLM,
    RobertaTokenizerFast,
)

from contrasim_core.data.phrases import phrases
from contrasim_core.progress import Progress
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.recipes import Recipe
from contrasim_core.zoo.training import finish, optimise, save

VOCABULARY = 3000
LENGTH = 96
MASKED = 0.25
PAIRED = 0.8  # share of the steps that show a phrase with its translation
BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def build_multilingual(recipe: Recipe, seed: int, folder: Path, progress: Progress) -> Card:
    """Train a masked language model on the training phrases in five languages and write its folder."""
    data = phrases().part("train")
    texts = [text for side in data.sides.values() for text in side]
    tokenizer = bert_tokenizer(texts) if recipe.kind == "multilingual-bert" else roberta_tokenizer(texts)
    torch.manual_seed(seed)
    model = _bert(recipe, tokenizer) if recipe.kind == "multilingual-bert" else _roberta(recipe, tokenizer)
    tokens = {name: _plain(tokenizer, side) for name, side in data.sides.items()}
    random = torch.Generator().manual_seed(seed)

    def loss_of(_step: int) -> Tensor:
        return masked_loss(model, tokenizer, _batch(tokenizer, tokens, recipe.batch, random), random)

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, tokenizer, folder)
    score = _test_score(type(model).from_pretrained(folder, dtype=torch.float32).eval(), tokenizer)
    return finish(recipe, seed, folder, score, seconds, "guess masked pieces of phrases and of translated pairs")


def _bert(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """ModernBERT's layers, as in the documentation BERTs; every position sees the whole phrase."""
    return ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=LENGTH,
            local_attention=2 * LENGTH,
            global_attn_every_n_layers=1,
            pad_token_id=tokenizer.pad_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            attn_implementation="sdpa",
        )
    )


def _roberta(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """RoBERTa with the norm before each block: learned positions, byte-level pieces."""
    return RobertaPreLayerNormForMaskedLM(
        RobertaPreLayerNormConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=LENGTH + 2,  # positions are counted from the padding id upwards
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def bert_tokenizer(texts: list[str]) -> BertTokenizerFast:
    """WordPiece over all five languages, cased; Chinese is read character by character."""
    empty = _wordpiece(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text
    words = [
        word for text in texts for word, _ in empty.pre_tokenizer.pre_tokenize_str(empty.normalizer.normalize_str(text))
    ]
    letters = sorted({letter for word in words for letter in word[1:]})  # see `language.make_tokenizer`
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*BERT_SPECIAL, *(f"##{letter}" for letter in letters)],
        show_progress=False,
        continuing_subword_prefix="##",
    )
    empty.train_from_iterator(texts, trainer)
    tokenizer = _wordpiece(models.WordPiece(empty.get_vocab(), unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.decoder = decoders.WordPiece()
    first, last = BERT_SPECIAL.index("[CLS]"), BERT_SPECIAL.index("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", last), ("[CLS]", first))
    return BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, do_lower_case=False)


def _wordpiece(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def roberta_tokenizer(texts: list[str]) -> RobertaTokenizerFast:
    """Byte-level BPE, as in RoBERTa: no character is unknown."""
    empty = Tokenizer(models.BPE())
    empty.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    empty.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(ROBERTA_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    empty.decoder = decoders.ByteLevel()
    empty.post_processor = processors.RobertaProcessing(
        ("</s>", ROBERTA_SPECIAL.index("</s>")), ("<s>", ROBERTA_SPECIAL.index("<s>")), add_prefix_space=True
    )
    return RobertaTokenizerFast(tokenizer_object=empty, model_max_length=LENGTH, add_prefix_space=True)


def _plain(tokenizer: PreTrainedTokenizerFast, texts: tuple[str, ...]) -> list[list[int]]:
    """Pieces without special tokens."""
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _batch(
    tokenizer: PreTrainedTokenizerFast, tokens: dict[str, list[list[int]]], size: int, random: torch.Generator
) -> Tensor:
    """Phrases in a language each, or with their translation into another; [size, length] of ids."""
    languages = list(tokens)
    paired = float(torch.rand(1, generator=random)) < PAIRED
    numbers = torch.randint(len(tokens[languages[0]]), (size,), generator=random).tolist()
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    rows = []
    for number in numbers:
        order = torch.randperm(len(languages), generator=random).tolist()
        row = [start, *tokens[languages[order[0]]][number], end]
        if paired:
            row += [*tokens[languages[order[1]]][number], end]
        rows.append(row[:LENGTH])
    return padded(rows, tokenizer.pad_token_id)


def padded(rows: list[list[int]], padding: int) -> Tensor:
    """Rows of equal length."""
    width = max(map(len, rows))
    return torch.tensor([row + [padding] * (width - len(row)) for row in rows])


def masked_loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, ids: Tensor, random: torch.Generator
) -> Tensor:
    """Cross-entropy on the hidden pieces."""
    inputs, chosen = hide(tokenizer, ids, random)
    logits = _logits(model, inputs, ids != tokenizer.pad_token_id, chosen)
    return nn.functional.cross_entropy(logits, ids[chosen])


def _logits(model: Any, inputs: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
    """Logits at the chosen places alone: a quarter of the work of the head, which is as much as that of the blocks."""
    hidden = model.base_model(input_ids=inputs, attention_mask=mask.long()).last_hidden_state[chosen]
    logits: Tensor = model.decoder(model.head(hidden)) if hasattr(model, "decoder") else model.lm_head(hidden)
    return logits


def hide(tokenizer: PreTrainedTokenizerFast, ids: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs with a quarter of the ordinary pieces masked, and where; at least one is."""
    special = torch.tensor(tokenizer.all_special_ids)
    ordinary = ~torch.isin(ids, special)
    chosen = (torch.rand(ids.shape, generator=random) < MASKED) & ordinary
    if not bool(chosen.any()):
        chosen[tuple(ordinary.nonzero()[0])] = True
    return torch.where(chosen, tokenizer.mask_token_id, ids), chosen


@torch.inference_mode()
def _test_score(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """Accuracy on hidden pieces of the test phrases: alone, and beside their translation."""
    data = phrases().part("test").take(range(600))
    tokens: dict[str, Any] = {name: _plain(tokenizer, side) for name, side in data.sides.items()}
    languages = list(tokens)
    score = {}
    for name, paired in (("masked accuracy, phrase alone", False), ("masked accuracy, with translation", True)):
        random = torch.Generator().manual_seed(0)
        right, count = 0.0, 0
        for first in range(0, len(data), 64):
            rows = []
            for number in range(first, min(first + 64, len(data))):
                a, b = languages[number % 5], languages[(number + 1 + number // 5 % 4) % 5]
                row = [tokenizer.cls_token_id, *tokens[a][number], tokenizer.sep_token_id]
                rows.append(([*row, *tokens[b][number], tokenizer.sep_token_id] if paired else row)[:LENGTH])
            ids = padded(rows, tokenizer.pad_token_id)
            inputs, chosen = hide(tokenizer, ids, random)
            logits = _logits(model, inputs, ids != tokenizer.pad_token_id, chosen)
            right += float((logits.argmax(1) == ids[chosen]).sum())
            count += int(chosen.sum())
        score[name] = right / count
    return score
