"""Lines, bars and points show what the results hold, in words too."""

import numpy as np
import pandas as pd
import pytest

from contrasim_core.runs.projection.figures import before_and_after, item_colours, most_moved, projection_scatter
from contrasim_core.runs.projection.result import Projection
from contrasim_core.runs.projection.words import words_of_projection
from contrasim_core.runs.retrieval.figures import caption_bars, layer_lines
from contrasim_core.runs.retrieval.result import RetrievalRecord
from contrasim_core.runs.retrieval.words import words_of_retrieval
from tests.runs.test_insights import LINES, line, result


def projection(*, after=True, items=4):
    random = np.random.RandomState(0)
    points = random.normal(size=(2 * items, 2)).astype(np.float32)
    numbers = {"retrieval": 0.25, "silhouette by item": 0.1, "silhouette by source": 0.5, "trustworthiness": 0.9}
    return Projection(
        before=points,
        after=points[::-1].copy() if after else None,
        item=np.tile(np.arange(items, dtype=np.int32), 2),
        source=np.repeat(np.arange(2, dtype=np.int32), items),
        moved=np.arange(2 * items, dtype=np.float32) if after else np.zeros(0, np.float32),
        sources=("en", "ar"),
        ids=tuple(f"s{number}" for number in range(items)),
        texts=tuple(f"text {number} " + "long words " * 9 for number in range(2 * items)),
        thumbnails=None,
        numbers={"before": numbers, "after": {**numbers, "retrieval": 1.0}} if after else {"before": numbers},
        recipe={"model": "m", "encoder": "contrasim"},
    )


def pair_record(measure, pair, accuracy, spread=0.02, negatives="faiss"):
    return RetrievalRecord(
        task="image-caption", measure=measure, protocol="seen", accuracy=accuracy, low=accuracy - spread,
        high=accuracy + spread, trials=79, chance=1 / 11, seed=0, layer="last", pair=pair, pair_group="both",
        negatives=negatives,
    )  # fmt: skip


def points_of(figure):
    """Without the marks of the legend."""
    return [trace for trace in figure.data if trace.customdata is not None]


def drawn_lines(figure):
    return [trace for trace in figure.data if trace.mode == "lines+markers"]


def test_lines_are_solid_for_random_and_dashed_for_retrieved():
    table = result([*LINES, line("contrasim", "faiss", 0.5, layer="2")]).summary()
    found = drawn_lines(layer_lines(table))
    assert {(trace.name.partition(",")[0], trace.line.dash) for trace in found} == {
        ("Linear CKA", "solid"), ("Linear CKA", "dash"), ("ContraSim", "solid"), ("ContraSim", "dash"),
    }  # fmt: skip
    contrasim = found[-1]
    assert list(contrasim.y) == [80, 50] and list(contrasim.x) == ["1", "2"]
    assert contrasim.customdata[1] == ["contrasim", "faiss", 1]
    by_measure = {trace.name: (trace.line.color, trace.marker.symbol) for trace in found}
    assert len(set(by_measure.values())) == 4, "retrieved ones are hollow too"
    assert {trace.marker.symbol.endswith("-open") for trace in found if trace.line.dash == "dash"} == {True}
    alone = drawn_lines(layer_lines(table[table["measure"] == "contrasim"]))
    assert alone[0].line.color == contrasim.line.color, "a measure keeps its colour whatever else is drawn"


def test_bands_are_the_intervals():
    figure = layer_lines(result([line("dot", "random", 0.5, spread=0.1)]).summary())
    band = next(trace for trace in figure.data if trace.fill == "toself")
    assert list(band.y) == pytest.approx([60, 40]) and band.mode == "lines"


def test_a_measure_without_accuracy_has_no_line():
    table = result([line("dot", "random", float("nan")), line("norm", "random", 0.4)]).summary()
    assert [trace.name for trace in drawn_lines(layer_lines(table))] == ["Norm, random"]


def test_bars_have_a_group_for_each_pair_and_mean_over_seeds():
    records = [pair_record("dot", "vit → bert", 0.2), pair_record("dot", "vit → bert", 0.4),
               pair_record("dot", "vit → gpt2", 0.1, negatives="random")]  # fmt: skip
    table = result(records=records, task="image-caption", layers=("last",)).to_pandas()
    bars = {trace.name: dict(zip(trace.y, trace.x, strict=True)) for trace in caption_bars(table).data}
    assert bars["Dot product, nearest-neighbour"]["vit<br>→ bert"] == pytest.approx(30)
    assert bars["Dot product, random"]["vit<br>→ gpt2"] == pytest.approx(10)
    assert np.isnan(bars["Dot product, random"]["vit<br>→ bert"])
    clicked = {tuple(item) for trace in caption_bars(table).data for item in trace.customdata}
    assert ("dot", "faiss", 0, "vit → bert") in clicked


def test_points_have_colour_for_the_sample_and_shape_for_the_source():
    figure = projection_scatter(projection(), "before")
    first, second = points_of(figure)
    shown = [trace for trace in figure.data if trace.showlegend is not False]
    assert [trace.name for trace in shown] == ["en", "ar"] and len({trace.marker.color for trace in shown}) == 1
    assert first.marker.symbol != second.marker.symbol
    assert first.marker.color == second.marker.color and len(set(first.marker.color)) == 4
    assert list(first.customdata) == [0, 1, 2, 3] and list(second.customdata) == [4, 5, 6, 7]
    assert "text 0" in first.text[0] and "<br>" in first.text[0] and "s0" in first.text[0]


def test_picked_points_stand_out():
    figure = projection_scatter(projection(), "after", picked=[1, 6])
    opacity = [value for trace in points_of(figure) for value in trace.marker.opacity]
    assert [place for place, value in enumerate(opacity) if value == 1] == [1, 6]
    assert set(points_of(projection_scatter(projection(), "after"))[0].marker.opacity) == {1.0}


def test_both_pictures_in_one_figure():
    figure = before_and_after(projection())
    assert len(points_of(figure)) == 4
    assert [trace.name for trace in figure.data if trace.showlegend] == ["en", "ar"]
    assert len(points_of(before_and_after(projection(after=False)))) == 2


def test_without_a_loop_a_swipe_scrolls_the_page():
    swiped = projection_scatter(projection(), "before", loop=False)
    assert swiped.layout.dragmode is False and swiped.layout.xaxis.fixedrange and swiped.layout.yaxis.fixedrange
    assert projection_scatter(projection(), "before").layout.dragmode == "lasso"


def test_many_samples_share_a_scale():
    assert len(set(item_colours(6))) == 6
    assert len(set(item_colours(40))) == 40


def test_points_that_moved_most_come_first():
    assert list(most_moved(projection(), 3)) == [7, 6, 5]


def test_words_of_a_benchmark_say_the_best_and_the_recipe():
    made = result(LINES)
    words = words_of_retrieval(made, made.summary())
    assert words.title == (
        "Against random distractors, ContraSim finds 99% of translations; against nearest-neighbour distractors, "
        "ContraSim finds 80% of translations"
    )
    assert "chance 9%" in words.caption and "can fall below chance" in words.caption
    near = result([line("dot", "random", 0.8), line("norm", "random", 0.79), line("contrasim", "random", 0.2)])
    assert words_of_retrieval(near, near.summary()).title == (
        "Against random distractors, Dot product finds 80% of translations, 1 other within the interval"
    )
    equal = result([line(name, "random", 1.0) for name in ("dot", "norm", "contrasim")])
    title = words_of_retrieval(equal, equal.summary()).title
    assert title == "Against random distractors, Dot product, Norm and ContraSim find 100% of translations"
    nobody = result([line(name, "random", 0.5 - 0.01 * at, spread=0.2) for at, name in enumerate("abcde")])
    title = words_of_retrieval(nobody, nobody.summary()).title
    assert title == "Against random distractors, no measure is clearly ahead (50% at most)"
    many = result([line(name, "random", 1.0) for name in ("dot", "norm", "contrasim", "deepdot")])
    assert "4 measures find 100%" in words_of_retrieval(many, many.summary()).title
    assert "Linear CKA 20% (nearest-neighbour)" in words.alt
    nothing = result([line("dot", "random", float("nan"))])
    assert words_of_retrieval(nothing, nothing.summary()).title == "No measure is defined on these data"


def test_words_of_a_projection_say_what_the_encoder_did():
    words = words_of_projection(projection())
    assert words.title == ("25% of points have their counterpart nearest before the encoder, 100% after")
    assert "shape: en / ar" in words.caption
    assert words_of_projection(projection(after=False)).title == "8 points of 2 sources"
    apart = projection()
    apart.numbers["before"]["retrieval"] = None
    words = words_of_projection(apart)
    assert words.title == "100% of points have their counterpart nearest after the encoder"
    assert words.caption.endswith("so the picture before is not a baseline.")


def test_the_table_of_points_is_whole():
    table = projection().to_pandas()
    assert isinstance(table, pd.DataFrame) and len(table) == 8
    assert list(table["moved"]) == list(range(8))
