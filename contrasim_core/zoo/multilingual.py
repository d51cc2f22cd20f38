"""Trainers of the multilingual models: masked phrases, and telling translations from other phrases.

The second is the cross-lingual contrast of InfoXLM (arXiv:2007.07834, section 3.3), applied to a middle block: it
aligns the languages inside a network that is far too small to align them by itself. The blocks above are free to
diverge again, towards the pieces of each language.
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
MASKED = 0.15
CONTRAST_BLOCK = 4  # of 6: two thirds up, as in InfoXLM
TEMPERATURE = 0.1
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
        return joint_loss(model, tokenizer, _batch(tokenizer, tokens, recipe.batch, random), random)

    model.train()
    seconds = optimise(model, recipe, loss_of, progress, folder.name)
    model.eval()
    save(model, tokenizer, folder)
    score = _test_score(type(model).from_pretrained(folder, dtype=torch.float32).eval(), tokenizer)
    return finish(
        recipe, seed, folder, score, seconds, "guess masked pieces of phrases, and tell their translation from others"
    )


def _bert(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Make a model with ModernBERT's layers, like the documentation BERTs; every position sees the whole phrase."""
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
    """Make RoBERTa with the norm before each block: learned positions, byte-level pieces."""
    return RobertaPreLayerNormForMaskedLM(
        RobertaPreLayerNormConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.depth,
            num_attention_heads=recipe.heads,
            intermediate_size=recipe.mlp,
            max_position_embeddings=LENGTH + 2,  # positions start after the padding id
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def bert_tokenizer(texts: list[str]) -> BertTokenizerFast:
    """Make a cased WordPiece tokenizer for all five languages; Chinese is split into characters."""
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
    """Make a byte-level BPE tokenizer, as in RoBERTa: no character is unknown."""
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
    """Return pieces without special tokens."""
    ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _batch(
    tokenizer: PreTrainedTokenizerFast, tokens: dict[str, list[list[int]]], size: int, random: torch.Generator
) -> Tensor:
    """Return ids [2 size, length]: phrases, each in some language, then the same phrases, each in another one."""
    languages = list(tokens)
    numbers = torch.randint(len(tokens[languages[0]]), (size,), generator=random).tolist()
    orders = [torch.randperm(len(languages), generator=random).tolist() for _ in numbers]
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    rows = [
        [start, *tokens[languages[order[side]]][number][: LENGTH - 2], end]
        for side in (0, 1)
        for number, order in zip(numbers, orders, strict=True)
    ]
    return padded(rows, tokenizer.pad_token_id)


def padded(rows: list[list[int]], padding: int) -> Tensor:
    """Pad rows to equal length."""
    width = max(map(len, rows))
    return torch.tensor([row + [padding] * (width - len(row)) for row in rows])


def joint_loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, ids: Tensor, random: torch.Generator
) -> Tensor:
    """Compute cross-entropy on the hidden pieces, plus that of finding each translation by its first position."""
    inputs, chosen = hide(tokenizer, ids, random)
    mask = ids != tokenizer.pad_token_id
    output = model.base_model(input_ids=inputs, attention_mask=mask.long(), output_hidden_states=True)
    guessed = nn.functional.cross_entropy(_head(model, output.last_hidden_state[chosen]), ids[chosen])
    first = nn.functional.normalize(output.hidden_states[CONTRAST_BLOCK][:, 0], dim=1)
    scores = (first @ first.T / TEMPERATURE).fill_diagonal_(float("-inf"))
    partner = torch.arange(len(ids)).roll(len(ids) // 2)
    return guessed + nn.functional.cross_entropy(scores, partner)


def _head(model: Any, hidden: Tensor) -> Tensor:
    """Return logits only at the chosen positions, because the head is as expensive as the blocks."""
    logits: Tensor = model.decoder(model.head(hidden)) if hasattr(model, "decoder") else model.lm_head(hidden)
    return logits


def hide(
    tokenizer: PreTrainedTokenizerFast, ids: Tensor, random: torch.Generator, part: float = MASKED
) -> tuple[Tensor, Tensor]:
    """Return inputs with some of the ordinary pieces masked, and their positions, at least one."""
    special = torch.tensor(tokenizer.all_special_ids)
    ordinary = ~torch.isin(ids, special)
    chosen = (torch.rand(ids.shape, generator=random) < part) & ordinary
    if not bool(chosen.any()):
        chosen[tuple(ordinary.nonzero()[0])] = True
    return torch.where(chosen, tokenizer.mask_token_id, ids), chosen


@torch.inference_mode()
def _test_score(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """Return test accuracy on hidden pieces, and the share of phrases that find their translation among a hundred."""
    whole = phrases().part("test")
    size = min(100, len(whole))
    data = whole.take(range(min(600, len(whole) // size * size)))
    tokens = {name: _plain(tokenizer, side) for name, side in data.sides.items()}
    languages = list(tokens)
    random = torch.Generator().manual_seed(0)
    right, count, found = 0.0, 0, 0.0
    for first in range(0, len(data), size):
        numbers = range(first, first + size)
        start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
        places = [(number, (number + side * (1 + number % 4)) % 5) for side in (0, 1) for number in numbers]
        rows = [[start, *tokens[languages[place]][number][: LENGTH - 2], end] for number, place in places]
        ids = padded(rows, tokenizer.pad_token_id)
        mask = ids != tokenizer.pad_token_id
        inputs, chosen = hide(tokenizer, ids, random)
        hidden = model.base_model(input_ids=inputs, attention_mask=mask.long()).last_hidden_state
        right += float((_head(model, hidden[chosen]).argmax(1) == ids[chosen]).sum())
        count += int(chosen.sum())
        states = model.base_model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        a, b = nn.functional.normalize(states[CONTRAST_BLOCK][:, 0], dim=1).chunk(2)
        found += float(((a @ b.T).argmax(1) == torch.arange(size)).float().mean())
    return {"masked accuracy": right / count, "translation among 100, block 4": found / (len(data) // size)}
