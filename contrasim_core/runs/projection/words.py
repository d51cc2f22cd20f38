"""Words for projections."""

from __future__ import annotations

from contrasim_core.figures.words import Words, recipe_words
from contrasim_core.runs.projection.result import Projection


def words_of_projection(result: Projection) -> Words:
    """Return the words for the two pictures of a projection."""
    before, after = result.numbers["before"], result.numbers.get("after")
    sources = f"{len(result.sources)} sources" if len(result.sources) > 1 else result.sources[0]
    title = f"{len(result.item)} points of {sources}"
    if after is not None and after["retrieval"] is not None:
        share = f"{after['retrieval']:.0%}"
        title = f"{share} of points have their counterpart nearest after the encoder"
        if before["retrieval"] is not None:
            title = (
                f"{before['retrieval']:.0%} of points have their counterpart nearest before the encoder, {share} after"
            )
    recipe = "; ".join(recipe_words(result.recipe))
    caption = (
        f"{recipe}. Colour: sample; shape: {' / '.join(result.sources)}. The share uses all dimensions and all "
        "samples judged."
    )
    if after is not None and before["retrieval"] is None and len(result.sources) > 1:
        caption += " Coordinates of two models are unrelated, so the picture before is not a baseline."
    return Words(title, caption, f"Scatter plot of {title}.")
