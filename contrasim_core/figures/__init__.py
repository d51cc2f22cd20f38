"""Results become plotly figures here. Figures compute nothing that a result does not hold, and need no torch."""

from contrasim_core.figures.bars import accuracy_bars
from contrasim_core.figures.curves import training_curves
from contrasim_core.figures.heatmap import difference_heatmap, shared_range, similarity_heatmap
from contrasim_core.figures.profile import row_profile
from contrasim_core.figures.words import Words, matched, words_of_benchmark, words_of_curves, words_of_grid

__all__ = [
    "Words",
    "accuracy_bars",
    "difference_heatmap",
    "matched",
    "row_profile",
    "shared_range",
    "similarity_heatmap",
    "training_curves",
    "words_of_benchmark",
    "words_of_curves",
    "words_of_grid",
]
