"""What a run hands to the task that it starts: options of the spec, and the right parts of what it needs."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from contrasim_core.activations.layer import Activations
from contrasim_core.activations.spec import Execution
from contrasim_core.data.base import Inputs, text_inputs
from contrasim_core.refs import LayerRef, SampleSet
from contrasim_core.runs.comparison import run as comparison
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kind import Context
from contrasim_core.runs.layer_prediction import run as layer_prediction
from contrasim_core.runs.neighbours import run as neighbours
from contrasim_core.runs.projection import run as projection
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.retrieval import run as retrieval
from tests.networks import matrices
from tests.runs.test_derived_specs import BENCHMARK, MODELS, RETRIEVAL, TEST

CONTEXT = Context(execution=Execution(device="cpu"), progress=lambda *_args, **_facts: None)


def layers_of(number, depth=6, n=20):
    rows = SampleSet(tuple(map(str, range(n))))
    return [
        Activations.of(values, layer=LayerRef(f"m{number}", index, f"block {index}"), samples=rows)
        for index, values in enumerate(matrices(number, n=n, layers=depth))
    ]


def places(layers):
    return [(item.layer.model, item.layer.index) for item in layers]


def texts(data):
    return text_inputs(data, [f"{data.name} {row}" for row in range(20)])


@dataclass
class Judged:
    """Stands in for a task: keeps what it was made with, and gives a result of its own."""

    given: dict = field(default_factory=dict)
    asked: tuple = ()
    samples: dict = field(default_factory=dict)
    thumbnails: object = None

    def __call__(self, **given):
        self.given = given
        return SimpleNamespace(run=self._run)

    def _run(self, *asked):
        self.asked = asked
        return self


@pytest.fixture
def judged(monkeypatch):
    made = Judged()
    monkeypatch.setattr("contrasim_core.runs.retrieval.task.Retrieval", made)
    monkeypatch.setattr("contrasim_core.runs.layer_prediction.task.LayerPrediction", made)
    monkeypatch.setattr(retrieval, "load_data", texts)
    return made


def have_for_retrieval(spec, kind):
    training = spec.training(kind)
    have = {source: layers_of(number) for number, source in enumerate((*spec.test, *spec.train))}
    have[training] = [f"{pair} {seed}" for pair in training.pairs for seed in training.seeds]
    have.update({spec.neighbours(place): SimpleNamespace(rows=f"rows {place}") for place in range(3)})
    return have


@pytest.mark.parametrize("kind", ["contrasim.norm", "contrasim.relative"])
@pytest.mark.parametrize("task", ["multilingual", "image-caption"])
def test_retrieval(kind, task, judged):
    spec = RETRIEVAL.replace(measures=("dot", kind), task=task)
    result = retrieval.make(spec, have_for_retrieval(spec, kind), CONTEXT)
    given = judged.given
    assert (given["task"], given["pairs"], given["batch"], given["candidates"]) == (task, spec.pairs, 4, 7)
    assert given["own_pair"] is (task == "image-caption")
    assert {name: places(items) for name, items in given["test"].items()} == {
        name: [(f"m{number}", 2), (f"m{number}", 4)] for number, name in enumerate(("en", "ar", "tr"))
    }
    if kind == "contrasim.relative":
        assert [places(items)[0] for items in given["train"].values()] == [("m3", 2), ("m4", 2), ("m5", 2)]
        assert list(given["train"]) == list(given["test"])
    else:
        assert given["train"] is None
    assert [given["neighbours"](place) for place in range(3)] == ["rows 0", "rows 1", "rows 2"]
    pairs = [((0, 2), 5), ((0, 2), 9), ((1, 2), 5), ((1, 2), 9)]
    assert given["encoders"](kind, None) == [(pair, f"{pair} {seed}") for pair, seed in pairs]
    assert judged.asked[:2] == (spec.measures, spec.negatives)
    assert given["layers"] is None
    assert result.samples["ar"][3] == "ar test 3"
    assert "left out of training" not in given["recipe"]


def test_retrieval_says_what_was_left_out_of_training(judged, monkeypatch):
    asked = []
    monkeypatch.setattr(retrieval, "leaks", lambda train, test: asked.append((train, test)) or (1, 2, 3))
    retrieval.make(RETRIEVAL, have_for_retrieval(RETRIEVAL, "contrasim.norm"), CONTEXT)
    ((train, test),) = asked
    assert [item.ref.name for item in (*train, *test)] == [
        f"{name} {split}" for split in ("train", "test") for name in ("en", "ar", "tr")
    ]
    assert judged.given["recipe"]["left out of training"].startswith("3 samples")
    closed = RETRIEVAL.replace(measures=("dot",))
    retrieval.make(closed, have_for_retrieval(closed, "contrasim.norm"), CONTEXT)
    assert len(asked) == 1 and "left out of training" not in judged.given["recipe"]


@pytest.mark.parametrize("relative", [False, True])
def test_layer_prediction(relative, judged):
    kind = "contrasim.relative" if relative else "contrasim"
    spec = BENCHMARK.replace(measures=("cka.linear", kind), pairs="disjoint", rows=11)
    have = {need: f"{len(need.sources)} models" if hasattr(need, "sources") else layers_of(MODELS.index(need.model))
            for need in layer_prediction.needs(spec)}  # fmt: skip
    for number, model in enumerate(MODELS):
        have[spec.source(model, spec.transfer_test)] = layers_of(number + 10)
        have[spec.source(model, spec.train)] = layers_of(number + 20)
    layer_prediction.make(spec, have, CONTEXT)
    given = judged.given
    for part, start in (("test", 0), ("transfer_test", 10), ("train", 20 if relative else None)):
        if start is None:
            assert given[part] is None
            continue
        assert [places(items) for items in given[part].values()] == [
            [(f"m{number + start}", 1), (f"m{number + start}", 3)] for number in range(6)
        ]
        assert {len(item.samples) for items in given[part].values() for item in items} == {11}
    assert (given["pairs"], given["unseen_models"]) == ("disjoint", 2)
    assert given["encoders"](kind, [model.label for model in MODELS[:4]], None) == "4 models"
    assert judged.asked[:2] == (spec.measures, spec.protocols)


@pytest.mark.parametrize(("metric", "index"), [("l2", "flat"), ("ip", "ivf")])
def test_neighbours(metric, index, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "contrasim_core.neighbours.search.neighbours_of", lambda *args, **more: asked.append((args, more)) or "rows"
    )
    sentences = ["One", "two", "one", "TWO", "three"]
    monkeypatch.setattr(neighbours, "load_data", lambda data: text_inputs(data, sentences))
    spec = RETRIEVAL.replace(metric=metric, index=index).neighbours(1)
    assert neighbours.make(spec, {spec.source: layers_of(1, n=5)}, CONTEXT).rows == "rows"
    (((values, k), more),) = asked
    assert [tuple(value.shape) for value in values] == [(5, 12)] * 2 and k == 7
    assert (more["search"].metric, more["search"].index, more["search"].gpu) == (metric, index, False)
    assert more["groups"].tolist() == [0, 1, 0, 1, 2]


def test_images_are_neighbours_by_their_rows_alone():
    images = Inputs(TEST, "image", SampleSet(("a", "b", "c")), images=(np.zeros((2, 2, 3), np.uint8),) * 3)
    assert neighbours._same(images).tolist() == [0, 1, 2]


class Encoder:
    """Gives its own number for every row, so that one can see which encoder it was."""

    is_relative = False

    def __init__(self, number):
        self.number = number

    def encode(self, values, _name, _anchors=None):
        return values.new_full((len(values), 2), self.number)


@pytest.mark.parametrize(("pair", "number"), [(0, 0), (1, 2)])
def test_a_projection_shows_the_first_seed_of_its_pair(pair, number):
    training = RETRIEVAL.training("contrasim")
    spec = ProjectionSpec(sources=RETRIEVAL.test[:2], training=training, pair=pair)
    rows = projection._encoded(spec, [layers_of(0)[1], layers_of(1)[1]], 6, {training: [Encoder(k) for k in range(4)]})
    assert rows.first(9).shape == (12, 2) and set(rows.first(9).flatten()) == {number}


def test_options_of_a_projection_reach_the_method(monkeypatch):
    asked = []

    def project(rows, method, **options):
        asked.append((len(rows), method, options["neighbours"], options["seed"], options.get("start") is not None))
        return np.array(rows[:, :2])

    monkeypatch.setattr(projection, "project", project)
    monkeypatch.setattr(projection, "load_data", texts)
    training = RETRIEVAL.training("contrasim")
    sources = RETRIEVAL.test[:2]
    have = {source: layers_of(number) for number, source in enumerate(sources)}

    class Same(Encoder):
        def encode(self, values, _name, _anchors=None):
            return values

    have[training] = [Same(0)] * 4
    for method, starts in (("pca", False), ("umap", True)):
        asked.clear()
        spec = ProjectionSpec(sources=sources, training=training, layer=2, items=7, method=method, neighbours=5, seed=3)
        made = projection.make(spec, have, CONTEXT)
        assert asked == [(14, method, 5, 3, False), (14, method, 5, 3, starts)]
        assert (made.recipe["layer"], made.recipe["samples judged"], len(made.ids)) == ("2", "20", 7)
        assert made.source.tolist() == [0] * 7 + [1] * 7 and made.item.tolist() == [*range(7)] * 2


def test_a_comparison_asks_for_the_anchors_of_a_relative_encoder():
    relative = BENCHMARK.training("contrasim.relative", MODELS[:2])
    plain = BENCHMARK.training("contrasim", MODELS[:2])
    a, b = (BENCHMARK.source(model, TEST).replace(layers=(1, 2)) for model in MODELS[:2])
    spec = CompareSpec(a=a, b=b, measures=("contrasim", "contrasim.relative"), encoders=(plain, relative))
    anchors = [BENCHMARK.source(model, BENCHMARK.train) for model in MODELS[:2]]
    assert set(comparison.needs(spec)) == {a, b, plain, relative, *anchors}
    assert set(comparison.needs(spec.replace(measures=("contrasim",)))) == {a, b, plain}
    assert comparison.needs(spec.replace(measures=("cka.linear",))) == (a, b)


@pytest.mark.parametrize("groups", [0, 3])
def test_a_comparison_has_intervals_of_as_many_groups_as_asked_for(groups, monkeypatch):
    asked = []

    def with_intervals(grids, *_args, groups, **_more):
        asked.append(groups)
        return grids

    monkeypatch.setattr("contrasim_core.measure.interval.with_intervals", with_intervals)
    monkeypatch.setattr(comparison, "load_data", texts)
    a, b = (BENCHMARK.source(model, TEST) for model in MODELS[:2])
    spec = CompareSpec(a=a, b=b.replace(pooling="cls"), measures=("cka.linear", "dot"), groups=groups)
    have = {spec.a: layers_of(0)[1:3], spec.b: layers_of(1)[:3]}
    made = comparison.make(spec, have, CONTEXT)
    assert asked == ([groups] if groups else [])
    assert list(made.grids) == ["cka.linear", "dot"]
    assert (made.recipe["a"], made.recipe["b"], made.recipe["n"]) == ("m0", "m1", "20")
    assert made.recipe["pooling"] == "mean / cls"
    assert made.grids["dot"].values.shape == (2, 3) and made.agreement.shape[:2] == (2, 3)
    assert [layer.index for layer in made.grids["dot"].rows] == [1, 2]
