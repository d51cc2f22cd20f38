"""Words for grids."""

from __future__ import annotations

import numpy as np

from contrasim_core.data.catalog import bundled
from contrasim_core.figures.words import Words, recipe_words
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.models.find import depth_of, width_of
from contrasim_core.runs.comparison.spec import CompareSpec


def matched(grid: SimilarityGrid) -> tuple[int, int] | None:
    """Count the layers of A whose best match is at the same depth of B, out of how many; None if depths differ."""
    if [layer.index for layer in grid.rows] != [layer.index for layer in grid.columns]:
        return None
    best = grid.row_best()
    return sum(column == row for row, column in enumerate(best)), len(best)


def words_of_grid(grid: SimilarityGrid, more: str = "") -> Words:
    """Return the words for one heatmap.

    Args:
        grid: the grid that the heatmap shows.
        more: further facts for the caption, such as the encoder.
    """
    matches = matched(grid)
    finite = grid.values[np.isfinite(grid.values)]
    title = (
        grid.label if matches is None else f"{grid.label}: {matches[0]} of {matches[1]} layers find their counterpart"
    )
    recipe = [f"n = {grid.n}", *recipe_words(grid.recipe)]
    if grid.groups:
        recipe.append(f"95 % intervals by jackknife over {grid.groups} groups of samples")
    caption = ". ".join(part.rstrip(".") for part in ("; ".join(recipe), more, *grid.notes) if part)
    values = f"values from {finite.min():.2f} to {finite.max():.2f}" if len(finite) else "no defined values"
    alt = (
        f"Heatmap of {grid.label} between {len(grid.rows)} layers of {grid.rows[0].model} and {len(grid.columns)} "
        f"layers of {grid.columns[0].model}; {values}."
        + ("" if matches is None else f" {matches[0]} of {matches[1]} rows are largest on the diagonal.")
    )
    return Words(title, caption + ".", alt)


def cost_of_comparison(spec: CompareSpec) -> list[str]:
    """Return samples, layers and memory, as far as names and configurations reveal them."""
    known = bundled(spec.a.data.name)
    count = spec.a.data.limit or (known.sizes[spec.a.data.split] if known else None)
    parts = [f"{count} samples" if count else "number of samples unknown until the data are read"]
    floats = 0
    for side in (spec.a, spec.b):
        depth, width = depth_of(side.model), width_of(side.model)
        layers = len(side.layers) if side.layers != "all" else depth + 1 if depth is not None else None
        parts.append(f"{side.model.label}: {layers or 'all'} layers")
        floats += (layers or 0) * (width or 0)
    if count and floats:
        unit = " for each word of a text" if spec.a.pooling == "word" else ""
        parts.append(f"{4 * count * floats / 1e6:.1f} MB{unit}")
    return parts
