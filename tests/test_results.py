"""Results go to disk and come back the same, NaN included; another format is refused; ties are nobody's win."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from contrasim_core import result
from contrasim_core.encoder.result import TrainingCurve, read_curves
from contrasim_core.errors import ForeignFormatError
from contrasim_core.measure.result import SimilarityGrid, best_match
from contrasim_core.refs import LayerRef, layer_refs
from contrasim_core.result import plain, read_json, versions, write_json
from contrasim_core.runs.comparison.result import Comparison
from contrasim_core.runs.layer_prediction.result import BenchmarkRecord, BenchmarkResult, summarise


def grid(**changes):
    values = {
        "values": np.array([[0.5, math.nan, 1 / 3], [0.1, 0.2, 0.3]]),
        "rows": tuple(layer_refs("a", ["embeddings", "block 1"])),
        "columns": tuple(layer_refs("b", ["conv1", "conv2", "fc"])),
        "measure": "cka.linear",
        "label": "linear CKA",
        "direction": "similarity",
        "bounds": (0.0, None),
        "n": 40,
        "low": np.zeros((2, 3)),
        "high": np.full((2, 3), math.nan),
        "groups": 10,
        "undefined": ("b layer 1 (conv2) is constant",),
        "notes": ("few samples",),
        "recipe": {"data": "digits"},
    }
    return SimilarityGrid(**{**values, **changes})


def same(a, b):
    """Equality of results, arrays compared by value with NaN equal to NaN."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, item.name), getattr(b, item.name)) for item in dataclasses.fields(a)
        )
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return a == b and type(a) is type(b)


def record(**changes):
    values = {
        "task": "layer-prediction", "measure": "pwcca", "protocol": "seen", "accuracy": 0.5, "low": 0.4, "high": 0.6,
        "trials": 20, "chance": 0.25,
    }  # fmt: skip
    return BenchmarkRecord(**{**values, **changes})


CURVE = TrainingCurve(encoder="contrasim", seed=1, loss=(2.0, 1.5), accuracy=(0.2, 0.9), chance=0.25, seconds=1.5)


def test_grid_round_trip_through_json():
    before = grid()
    assert same(SimilarityGrid.from_dict(json.loads(json.dumps(before.to_dict(), allow_nan=False))), before)


def test_grid_round_trip_without_optional_parts():
    before = grid(low=None, high=None, null=None, bounds=(None, None))
    assert same(SimilarityGrid.from_dict(before.to_dict()), before)


def test_round_trip_check_sees_a_difference():
    assert not same(grid(), grid(values=np.zeros((2, 3))))
    assert not same(grid(), grid(notes=()))


def test_grid_as_numpy_and_pandas():
    frame = grid().to_pandas()
    assert list(frame.index) == ["0", "1"] and list(frame.columns) == ["conv1", "conv2", "fc"]
    assert (frame.index.name, frame.columns.name) == ("a", "b")
    np.testing.assert_array_equal(frame.to_numpy(), grid().to_numpy())


def test_row_best_needs_a_whole_row():
    assert grid().row_best() == [None, 2]
    assert grid(direction="distance").row_best() == [None, 0]


@pytest.mark.parametrize(
    ("row", "direction", "expected"),
    [
        ([0.1, 0.9, 0.3], "similarity", 1),
        ([0.1, 0.9, 0.3], "distance", 0),
        ([0.9, 0.9, 0.3], "similarity", None),
        ([0.9, 0.9, 0.3], "distance", 2),
        ([0.3, 0.3], "similarity", None),
        ([0.9, math.nan], "similarity", None),
        ([0.9, math.inf], "similarity", None),
        ([0.9], "similarity", 0),
        ([1.0, 1.0 - 1e-15], "similarity", None),
    ],
)
def test_best_match_gives_ties_to_nobody(row, direction, expected):
    assert best_match(np.array(row), direction) == expected


@pytest.mark.parametrize("thumbnails", [None, np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)])
def test_comparison_round_trip(thumbnails, tmp_path):
    before = Comparison(
        grids={"cka.linear": grid(), "pwcca": grid(measure="pwcca")},
        skipped={"dot": "widths differ"},
        agreement=np.random.default_rng(0).random((2, 3, 2)).astype(np.float32),
        samples=("one", "zwei ü"),
        thumbnails=thumbnails,
        recipe={"n": "40"},
        seconds={"measures": 0.5},
    )
    before.save(tmp_path)
    after = Comparison.load(tmp_path)
    assert same(after, before)
    assert after.agreement.dtype == np.float32


def benchmark():
    return BenchmarkResult(
        records=(
            record(),
            record(measure="dot", accuracy=math.nan, low=math.nan, high=math.nan, trials=0, reason="widths differ"),
            record(measure="contrasim", seed=0),
        ),
        grids={"pwcca|seen": grid()},
        predictions={"pwcca|seen|None": [[0, -1]]},
        pairs={"seen": ["a × b"]},
        layers=("1", "2"),
        curves={"contrasim|train": [CURVE]},
        recipe={"data": "digits"},
        seconds={"grids": 1.0},
    )


def test_benchmark_round_trip(tmp_path):
    before = benchmark()
    before.save(tmp_path)
    assert same(BenchmarkResult.load(tmp_path), before)
    assert "NaN" not in (tmp_path / "result.json").read_text()


def test_benchmark_table_has_a_row_per_record():
    frame = benchmark().to_pandas()
    assert list(frame.measure) == ["pwcca", "dot", "contrasim"] and math.isnan(frame.accuracy[1])
    assert list(benchmark().summary().measure) == ["pwcca", "dot", "contrasim"]


def test_summary_averages_over_seeds():
    seeds = [record(measure="contrasim", seed=seed, accuracy=accuracy, low=accuracy - 0.1, high=accuracy + 0.1)
             for seed, accuracy in enumerate((0.5, 0.7, 0.9))]  # fmt: skip
    table = summarise(pd.DataFrame([dataclasses.asdict(item) for item in (*seeds, record())]))
    learned, closed = table.iloc[0], table.iloc[1]
    assert (learned.measure, learned.seeds, learned.trials) == ("contrasim", 3, 20)
    assert learned.accuracy == pytest.approx(0.7) and learned["std"] == pytest.approx(0.2)  # ddof 1
    assert learned.low == pytest.approx(0.4) and learned.high == pytest.approx(1.0)  # the widest interval
    assert (closed.measure, closed.seeds, closed.accuracy) == ("pwcca", 0, 0.5) and math.isnan(closed["std"])


def test_summary_keeps_protocols_apart_and_in_order():
    frame = pd.DataFrame([dataclasses.asdict(record(protocol=name)) for name in ("unseen", "seen", "unseen")])
    assert list(summarise(frame).protocol) == ["unseen", "seen"]


def test_curves_round_trip(tmp_path):
    write_json(tmp_path / "result.json", {"curves": [dataclasses.asdict(CURVE)]})
    assert read_curves(tmp_path) == [CURVE]


@pytest.mark.parametrize("found", [None, 0, 2, "1"])
def test_foreign_format_is_refused_with_advice(found, tmp_path):
    path = tmp_path / "0123" / "result.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"format": found, "grids": {}}))
    with pytest.raises(
        ForeignFormatError,
        match=rf"^result\.json in 0123 has format {found}; this version reads format 1\. "
        r"Delete that folder and run it again",
    ):
        read_json(path)


def test_format_number_is_written(tmp_path, monkeypatch):
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    monkeypatch.setattr(result, "RESULT_FORMAT", 2)
    with pytest.raises(ForeignFormatError):
        read_json(tmp_path / "x.json")


def test_plain_values_are_what_json_can_hold():
    values = {
        1: (np.float32(0.5), np.int64(3), np.bool_(True), True, None, "x"),
        "a": np.array([[1.0, math.inf]]),
        "layer": LayerRef("m", 1, "x"),
    }
    assert plain(values) == {
        "1": [0.5, 3, True, True, None, "x"],
        "a": [[1.0, None]],
        "layer": {"model": "m", "index": 1, "name": "x"},
    }
    json.dumps(plain(values), allow_nan=False)


def test_versions_name_what_numbers_depend_on():
    assert set(versions()) == {"torch", "transformers", "numpy", "scikit-learn"}


def test_versions_do_without_a_missing_package(monkeypatch):
    def version(package):
        if package == "torch":
            raise result.PackageNotFoundError
        return "1"

    monkeypatch.setattr(result, "version", version)
    assert "torch" not in versions() and versions()["numpy"] == "1"


def test_values_that_differ_by_rounding_are_tied():
    assert best_match(np.array([1.0, 1.0 - 1e-15, 0.5])) is None
    assert best_match(np.array([1e6, 1e6 * (1 - 1e-12), 5.0])) is None
    assert best_match(np.array([1.0, 1.0 - 1e-6, 0.5])) == 0
    assert best_match(np.array([0.0, 0.0, 0.5]), "distance") is None
