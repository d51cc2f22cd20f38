"""Results become plotly figures here. Figures compute nothing that a result does not hold, and need no torch."""

from contrasim_core.figures.bars import accuracy_bars
from contrasim_core.figures.curves import training_curves
from contrasim_core.figures.heatmap import difference_heatmap, named, shared_range, similarity_heatmap
from contrasim_core.figures.lines import caption_bars, layer_lines
from contrasim_core.figures.paired_words import words_of_projection, words_of_retrieval
from contrasim_core.figures.points import before_and_after, item_colours, most_moved, projection_scatter
from contrasim_core.figures.profile import row_profile
from contrasim_core.figures.words import Words, matched, words_of_benchmark, words_of_curves, words_of_grid

__all__ = [
    "Words",
    "accuracy_bars",
    "before_and_after",
    "caption_bars",
    "difference_heatmap",
    "item_colours",
    "layer_lines",
    "matched",
    "most_moved",
    "named",
    "projection_scatter",
    "row_profile",
    "shared_range",
    "similarity_heatmap",
    "training_curves",
    "words_of_benchmark",
    "words_of_curves",
    "words_of_grid",
    "words_of_projection",
    "words_of_retrieval",
]
