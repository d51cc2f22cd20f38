"""Trainer of the documentation BERTs: its own WordPiece vocabulary, then masked language modelling.

They have ModernBERT's layers (arXiv:2412.13663: normalised before each block, rotary positions, local attention). With
the layers of the original BERT (arXiv:1810.04805), normalised after each block, networks of this size learn only the
frequencies of the pieces within minutes on a laptop, and no measure can tell their layers apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.decoders import WordPiece as WordPieceDecoder
from torch import Tensor, nn
from transformers import BertTokenizerFast, ModernBertConfig, ModernBertForMaskedLM, PreTrainedModel

from contrasim_core.data import load_data
from contrasim_core.progress import Progress
from contrasim_core.zoo.cards import Card
from contrasim_core.zoo.recipes import Recipe
from contrasim_core.zoo.training import finish, optimise, save

VOCABULARY = 1000
LENGTH = 48
MASKED = 0.2
WINDOW = 8  # pieces that local attention sees
GLOBAL_EVERY = 3  # every third block sees the whole sentence
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def build_bert(recipe: Recipe, seed: int, folder: Path, progress: Progress) -> Card:
    """Train a masked language model on the training sentences and write its folder.

    The vocabulary is made from the same sentences and is the same for all members. The seed sets the initial weights,
    the order of the sentences and what is masked.
    """
    texts = [text for name in recipe.train for text in load_data(name, split="train").texts]
    tokenizer = make_tokenizer(texts)
    tokens = _encode(tokenizer, texts)
    torch.manual_seed(seed)
    model: PreTrainedModel = ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=LENGTH,
            local_attention=WINDOW,
            global_attn_every_n_layers=GLOBAL_EVERY,
            pad_token_id=tokenizer.pad_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            attn_implementation="sdpa",
        )
    )
    random = torch.Generator().manual_seed(seed)

    def loss_of(_step: int) -> Tensor:
        index = torch.randint(len(tokens), (recipe.batch,), generator=random)
        return _masked_loss(model, tokenizer, _padded(tokenizer, [tokens[i] for i in index.tolist()]), random)

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, tokenizer, folder)
    score = _test_score(ModernBertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval(), tokenizer, recipe)
    return finish(recipe, seed, folder, score, seconds, "guess masked word pieces")


def make_tokenizer(texts: list[str]) -> BertTokenizerFast:
    """Make a lower-case WordPiece tokenizer with the most useful pieces of these texts; the result is deterministic."""
    empty = _tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of text
    # The trainer sees words in the order of a hash table, which differs between processes, and numbers a piece when it
    # first sees it; the numbers break ties between equally frequent pairs. Giving it all letters first fixes the order.
    letters = {letter for text in texts for word in _words(empty, text) for letter in word[1:]}
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*SPECIAL, *sorted(f"##{letter}" for letter in letters)],
        show_progress=False,
        continuing_subword_prefix="##",
    )
    empty.train_from_iterator(texts, trainer)
    tokenizer = _tokenizer(models.WordPiece(empty.get_vocab(), unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.decoder = WordPieceDecoder()
    first, last = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", last), ("[CLS]", first))
    return BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, do_lower_case=True)


def _tokenizer(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


def _encode(tokenizer: BertTokenizerFast, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer(texts, truncation=True, max_length=LENGTH, return_attention_mask=False)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _padded(tokenizer: BertTokenizerFast, tokens: list[list[int]]) -> Tensor:
    width = max(len(item) for item in tokens)
    return torch.tensor([item + [tokenizer.pad_token_id] * (width - len(item)) for item in tokens])


def _masked_loss(model: Any, tokenizer: BertTokenizerFast, ids: Tensor, random: torch.Generator) -> Tensor:
    """Compute cross-entropy on a fifth of the pieces: 80 % masked, 10 % replaced, 10 % kept (Devlin et al. 2018)."""
    inputs, chosen = mask_tokens(tokenizer, ids, random)
    hidden = model.model(input_ids=inputs, attention_mask=ids != tokenizer.pad_token_id).last_hidden_state
    logits = model.decoder(model.head(hidden[chosen]))  # the head sees only what is scored, a fifth of the work
    return nn.functional.cross_entropy(logits, ids[chosen])


def mask_tokens(tokenizer: BertTokenizerFast, ids: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs with some pieces hidden, and a mask of the pieces to predict, at least one."""
    ordinary = ids >= len(SPECIAL)
    chosen = (torch.rand(ids.shape, generator=random) < MASKED) & ordinary
    if not bool(chosen.any()):
        chosen[tuple(ordinary.nonzero()[0])] = True
    dice = torch.rand(ids.shape, generator=random)
    other = torch.randint(len(SPECIAL), len(tokenizer), ids.shape, generator=random)
    inputs = torch.where(chosen & (dice < 0.8), tokenizer.mask_token_id, ids)
    return torch.where(chosen & (dice >= 0.9), other, inputs), chosen


@torch.inference_mode()
def _test_score(model: PreTrainedModel, tokenizer: BertTokenizerFast, recipe: Recipe) -> dict[str, float]:
    """Return mean loss and accuracy on masked pieces of the test sentences, with the saved weights."""
    score = {}
    for name in recipe.train:
        tokens = _encode(tokenizer, list(load_data(name, split="test").texts))
        random = torch.Generator().manual_seed(0)
        right, loss, count = 0.0, 0.0, 0
        for first in range(0, len(tokens), 64):
            ids = _padded(tokenizer, tokens[first : first + 64])
            inputs, chosen = mask_tokens(tokenizer, ids, random)
            logits = model(input_ids=inputs, attention_mask=ids != tokenizer.pad_token_id).logits[chosen]
            right += float((logits.argmax(1) == ids[chosen]).sum())
            loss += float(nn.functional.cross_entropy(logits, ids[chosen], reduction="sum"))
            count += int(chosen.sum())
        score[f"{name} masked accuracy"] = right / count
        score[f"{name} masked loss"] = loss / count
    return score
