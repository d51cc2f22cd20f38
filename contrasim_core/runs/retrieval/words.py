"""Words for the pictures of the multilingual and image-caption benchmarks."""

from __future__ import annotations

import pandas as pd

from contrasim_core.figures.words import Words, leaders, recipe_words
from contrasim_core.measure.facts import label_of
from contrasim_core.runs.retrieval.figures import WORD
from contrasim_core.runs.retrieval.result import RetrievalResult

QUESTION = {"multilingual": "translations", "image-caption": "captions"}


def words_of_retrieval(result: RetrievalResult, shown: pd.DataFrame) -> Words:
    """Return the words for the lines or bars of a benchmark.

    Args:
        result: the whole result.
        shown: the part of its summary that is drawn.
    """
    defined = shown[shown["accuracy"].notna()]
    means: dict[tuple[str, str], float] = {
        (str(names[0]), str(names[1])): float(part["accuracy"].mean())
        for names, part in defined.groupby(["negatives", "measure"], sort=False)
    }
    what = QUESTION[result.task]
    parts = []
    for negatives in WORD:
        part = defined[defined["negatives"] == negatives]
        if len(part):
            table = part.groupby("measure", sort=False)[["accuracy", "low", "high"]].mean().reset_index()
            parts.append(f"against {WORD[negatives]} distractors, {leaders(table, what)}")
    title = "; ".join(parts)
    recipe = "; ".join(recipe_words(result.recipe))
    chance = float(shown["chance"].iloc[0])
    caption = (
        f"{recipe}; {len(result.pairs)} ordered pairs, {len(result.batches)} batches each, "
        f"{result.random.shape[1]} distractors, chance {chance:.0%}. A tie is a miss. Bands and bars are 95 % "
        "intervals over batches. Learned measures: over pairs that the encoder was not trained on, if there are any."
    )
    if "faiss" in set(shown["negatives"]):
        caption += " Retrieved distractors resemble the true batch by design, so a measure can fall below chance."
    alt = f"Share of {what} found, chance {chance:.0%}: " + ", ".join(
        f"{label_of(measure)} {value:.0%} ({WORD[negatives]})" for (negatives, measure), value in means.items()
    )
    return Words(title[:1].upper() + title[1:] if title else "No measure is defined on these data", caption, alt + ".")
