"""Figures: what is drawn is what the result says, and they export with their own colours."""

import json

import numpy as np
import pytest

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.figures.curves import training_curves
from contrasim_core.figures.heatmap import ANNOTATED, difference_heatmap, shared_range, similarity_heatmap
from contrasim_core.figures.profile import row_profile
from contrasim_core.measure.result import SimilarityGrid
from contrasim_core.refs import LayerRef
from contrasim_core.runs.comparison.words import words_of_grid
from contrasim_core.runs.layer_prediction.figures import accuracy_bars
from contrasim_core.runs.layer_prediction.result import BenchmarkRecord, BenchmarkResult
from contrasim_core.runs.layer_prediction.words import words_of_benchmark
from contrasim_core.runs.training.words import words_of_curves


def grid(values, **more):
    values = np.array(values, dtype=float)
    options = {"measure": "cka.linear", "label": "Linear CKA", "direction": "similarity", "bounds": (0.0, 1.0), "n": 50}
    return SimilarityGrid(
        values=values,
        rows=tuple(LayerRef("a", i, f"block {i}") for i in range(values.shape[0])),
        columns=tuple(LayerRef("b", i, f"block {i}") for i in range(values.shape[1])),
        **{**options, **more},
    )


RIGHT = [[0.9, 0.2, 0.1], [0.3, 0.8, 0.2], [0.1, 0.5, 0.7]]
ONE_WRONG = [[0.9, 0.2, 0.1], [0.3, 0.1, 0.2], [0.1, 0.5, 0.7]]


def result(records):
    return BenchmarkResult(
        records=tuple(records),
        grids={},
        predictions={},
        pairs={"seen": ["a → b"], "unseen": ["a → b"]},
        layers=("1", "2"),
        curves={},
        recipe={"models": "m (2)", "data": "digits"},
        seconds={},
    )


def record(measure, protocol, accuracy, seed=None, reason=""):
    spread = 0.0 if np.isnan(accuracy) else 0.1
    return BenchmarkRecord(
        task="layer-prediction", measure=measure, protocol=protocol, accuracy=accuracy,
        low=accuracy - spread, high=accuracy + spread, trials=40, chance=0.25, seed=seed, reason=reason,
    )  # fmt: skip


def test_heatmap_outlines_the_best_of_each_row_and_only_those():
    drawn = similarity_heatmap(grid(ONE_WRONG))
    centres = sorted(((s.y0 + s.y1) / 2, (s.x0 + s.x1) / 2) for s in drawn.layout.shapes)
    assert centres == pytest.approx(np.array([(0, 0), (1, 0), (2, 2)], dtype=float))


def test_a_tied_row_has_no_outline():
    drawn = similarity_heatmap(grid([[0.5, 0.5], [0.1, 0.7]]))
    assert len(drawn.layout.shapes) == 1


def test_every_cell_has_a_marker_that_knows_its_place():
    drawn = similarity_heatmap(grid([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))
    markers = drawn.data[1]
    assert [(item[0], item[1]) for item in markers.customdata] == [(r, c) for r in range(2) for c in range(3)]
    assert list(zip(markers.y, markers.x, strict=True)) == [(r, c) for r in range(2) for c in range(3)]
    assert drawn.layout.xaxis.range == (-0.5, 2.5)
    assert drawn.layout.yaxis.range == (1.5, -0.5)


def test_values_are_written_into_cells_of_small_grids_only():
    small, large = grid(np.eye(ANNOTATED)), grid(np.eye(ANNOTATED + 1))
    assert similarity_heatmap(small).data[0].text[0][0] == "1.00"
    assert similarity_heatmap(large).data[0].text is None


def test_undefined_cells_are_shown_as_a_dash():
    assert similarity_heatmap(grid([[np.nan, 0.5]])).data[0].text[0][0] == "–"


def test_one_range_for_bounded_measures_and_none_for_others():
    assert shared_range([grid(RIGHT), grid([[-0.2, 0.1]])]) == (-0.2, 1.0)
    assert shared_range([grid(RIGHT), grid([[7.0]], bounds=(0.0, None))]) is None


def test_difference_is_centred_on_zero():
    drawn = difference_heatmap(grid(RIGHT), grid(ONE_WRONG))
    assert drawn.data[0].z[1][1] == pytest.approx(0.7)
    assert (drawn.data[0].zmin, drawn.data[0].zmax) == pytest.approx((-0.7, 0.7))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_exported_figures_have_colours_of_their_own(mode):
    drawn = accuracy_bars(result([record("cka.linear", "seen", 0.5)]).summary(), mode=mode)
    text = json.dumps(drawn.to_plotly_json(), default=str)
    assert "#0072B2" in text
    assert "#00000" not in text  # placeholders of another template
    assert drawn.layout.template.layout.font.size >= 12


def test_bars_say_accuracy_interval_and_chance():
    drawn = accuracy_bars(result([record("cka.linear", "seen", 0.5), record("cka.linear", "unseen", 0.7)]).summary())
    seen, unseen = drawn.data
    assert (seen.name, list(seen.x), list(unseen.x)) == ("seen models", [50.0], [70.0])
    assert list(seen.error_x.array) == pytest.approx([10.0])
    assert drawn.layout.shapes[0].x0 == 25.0


def test_curves_have_one_line_per_encoder_and_panel():
    curves = [
        TrainingCurve(encoder="contrasim", seed=s, loss=(2.0, 1.0), accuracy=(0.5, 1.0), chance=0.25) for s in (0, 1)
    ]
    drawn = training_curves(curves)
    assert len(drawn.data) == 4
    assert [trace.showlegend for trace in drawn.data] == [True, False, False, False]
    assert list(drawn.data[1].y) == [50.0, 100.0]


def test_profile_has_one_line_per_measure_with_its_interval():
    low, high = np.array(RIGHT) - 0.1, np.array(RIGHT) + 0.2
    drawn = row_profile({"cka.linear": grid(RIGHT, low=low, high=high), "x": grid(ONE_WRONG, label="X")}, 1, 1)
    assert [trace.name for trace in drawn.data] == ["Linear CKA", "X"]
    assert list(drawn.data[0].error_y.array) == pytest.approx([0.2] * 3)
    assert drawn.data[1].error_y.array is None


def test_title_of_a_grid_is_its_finding():
    assert words_of_grid(grid(RIGHT)).title == "Linear CKA: 3 of 3 layers find their counterpart"
    assert words_of_grid(grid(ONE_WRONG)).title == "Linear CKA: 2 of 3 layers find their counterpart"
    assert words_of_grid(grid([[0.1, 0.2, 0.3]])).title == "Linear CKA"  # unequal depths have no right answer


def test_caption_has_the_recipe_and_the_notes():
    words = words_of_grid(
        grid(RIGHT, recipe={"pooling": "cls"}, notes=("Few samples",), groups=10, low=RIGHT, high=RIGHT)
    )
    assert words.caption == (
        "n = 50; pooling [CLS] token; 95 % intervals by jackknife over 10 groups of samples. Few samples."
    )
    assert "3 of 3 rows are largest on the diagonal" in words.alt


def test_finding_of_a_benchmark_names_the_best_of_each_protocol():
    records = [
        record("cka.linear", "seen", 0.5),
        record("contrasim", "seen", 0.9, seed=0),
        record("cka.linear", "unseen", 0.6),
    ]
    words = words_of_benchmark(result(records))
    assert words.title == (
        "On seen models ContraSim finds 90% of layers; on unseen models Linear CKA finds 60% of layers"
    )
    assert "40 trials" in words.caption
    assert "Linear CKA 50% (seen)" in words.alt


def test_a_measure_without_accuracy_is_said_to_be_undefined():
    words = words_of_benchmark(result([record("cka.linear", "seen", float("nan"), reason="constant")]))
    assert words.title == "No measure is defined on these data"
    assert "not defined" in words.alt


def test_words_of_curves_say_where_they_ended():
    curves = [
        TrainingCurve(encoder="contrasim", seed=0, loss=(2.0, 1.0), accuracy=(0.5, 0.75), chance=0.25, seconds=3.0)
    ]
    words = words_of_curves(curves)
    assert words.title == "ContraSim names the right layer in 75% of held-out cases after 2 epochs"
    assert "chance is 25%" in words.caption
