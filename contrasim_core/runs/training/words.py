"""Words for training curves."""

from __future__ import annotations

from collections.abc import Sequence

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.figures.words import Words
from contrasim_core.measure.facts import label_of


def words_of_curves(curves: Sequence[TrainingCurve]) -> Words:
    """Return the words for training curves."""
    kinds = list(dict.fromkeys(label_of(curve.encoder) for curve in curves))
    last = [curve.accuracy[-1] for curve in curves if curve.accuracy]
    epochs = max(len(curve.loss) for curve in curves)
    title = f"{' and '.join(kinds)}: trained for {epochs} epochs"
    if last:
        low, high = min(last), max(last)
        span = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%} to {high:.0%}"
        verb = "names" if len(kinds) == 1 else "name"
        title = f"{' and '.join(kinds)} {verb} the right layer in {span} of held-out cases after {epochs} epochs"
    seeds = len({curve.seed for curve in curves})
    caption = (
        f"Mean loss of each epoch; accuracy on samples held out of training. {seeds} seed(s); chance is "
        f"{curves[0].chance:.0%}; {curves[0].seconds:.0f} s for all seeds together."
    )
    return Words(
        title,
        caption,
        f"Training curves. {title}. Loss falls from {curves[0].loss[0]:.2f} to {curves[0].loss[-1]:.2f}.",
    )
