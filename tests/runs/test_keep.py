"""The walk of a run's graph: who gets what, and how steps are counted."""

from contextlib import contextmanager
from dataclasses import replace as changed

import pytest

from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.encoder.spec import EncoderSpec, TrainSpec
from contrasim_core.errors import EncoderError
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs import keep
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kind import Context
from contrasim_core.store import Store

DATA = DatasetRef(name="digits", kind="bundled", fingerprint="d")
A, B = (ExtractionSpec(model=ModelRef(name=name, kind="folder", fingerprint=name), data=DATA) for name in "ab")
TRAINING = TrainSpec(encoder=EncoderSpec(), sources=(A, B))
SPEC = CompareSpec(a=A, b=B, measures=("contrasim",), encoders=(TRAINING,))
EXECUTION = Execution(device="cpu", batch_size=3)


@pytest.fixture
def walked(monkeypatch):
    """What each node of a run is made with; nothing is made."""
    calls = []

    def make_node(spec, **given):
        calls.append((spec, given))
        given["context"].progress(1, 2, "half")
        if spec == TRAINING:
            raise EncoderError("too few rows")

    monkeypatch.setattr(keep, "make_node", make_node)
    monkeypatch.setattr(keep, "load", lambda spec, _store: spec)
    return calls


def test_nodes_are_made_in_order_each_with_its_share_of_progress(walked, tmp_path):
    reports = []
    store = Store(tmp_path, example=None)
    found = keep.run(
        SPEC, store=store, execution=EXECUTION, given={"inputs": "x"},
        progress=lambda *report, **_: reports.append(report),
    )  # fmt: skip
    assert found == SPEC and [spec for spec, _ in walked] == [A, B, TRAINING, SPEC]
    assert all(given["store"] is store and given["context"].execution == EXECUTION for _, given in walked)
    assert [given["context"].given for _, given in walked] == [{}, {}, {}, {"inputs": "x"}], "for the run itself alone"
    assert [done / total for done, total, _ in reports] == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8])
    assert [message for *_, message in reports] == [
        "Extracting 1 of 2 models: half", "Extracting 2 of 2 models: half", "half", "half",
    ]  # fmt: skip


def test_an_error_that_is_carried_is_told_to_those_who_need_the_node(walked, tmp_path):
    keep.run(SPEC, store=Store(tmp_path, example=None))
    failed = walked[-1][1]["failed"]
    assert list(failed) == [TRAINING] and str(failed[TRAINING]) == "too few rows"
    have = keep.Have(Store(tmp_path, example=None), failed)
    with pytest.raises(EncoderError, match="too few rows"):
        have[TRAINING]


def test_an_error_of_the_run_itself_is_raised(walked, tmp_path):
    with pytest.raises(EncoderError, match="too few rows"):
        keep.run(TRAINING, store=Store(tmp_path, example=None))
    assert [spec for spec, _ in walked] == [A, B, TRAINING]


def test_what_is_there_is_compared_with_its_checksums_before_a_run(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(keep, "plan", lambda _spec, _store, **options: asked.append(options) or keep.Plan(()))
    monkeypatch.setattr(keep, "load", lambda *_: None)
    keep.run(A, store=Store(tmp_path, example=None))
    assert asked == [{"verify": True}]


@pytest.fixture
def kind(monkeypatch):
    """A kind whose runs are pinned, found and made by functions of the test."""
    real = keep.kind_of(SPEC)
    found = {"finds": [], "made": [], "pinned": SPEC.replace(groups=3)}

    class Run:
        title = staticmethod(lambda _: "A title")

        @staticmethod
        def make(spec, _have, context):
            found["made"].append((spec, context))
            return found.get("result")

    made = changed(
        real,
        run=Run,
        find=lambda spec, _store, **_: found["finds"].pop(0)(spec) if found["finds"] else None,
        pin=lambda _spec, execution: found.setdefault("execution", execution) and found["pinned"],
    )
    monkeypatch.setattr(keep, "kind_of", lambda _: made)
    return found


def context():
    return Context(execution=EXECUTION, progress=lambda *_args, **_facts: None)


def test_a_node_is_pinned_before_it_is_locked_made_and_written(kind, tmp_path):
    store, locked, written = Store(tmp_path, example=None), [], []
    store.lock = contextmanager(lambda kind, key: iter([locked.append((kind, key))]))
    store.write = lambda spec, title, fill: written.append((spec, title, fill)) or tmp_path
    kind["result"] = type("Result", (), {"save": "saves itself"})
    assert keep.make_node(SPEC, store=store, context=context()) == tmp_path
    pinned = kind["pinned"]
    assert kind["execution"] == EXECUTION and pinned.key != SPEC.key
    assert locked == [("comparison", pinned.key)]
    assert [spec for spec, _ in kind["made"]] == [pinned]
    assert written == [(pinned, "A title", "saves itself")]


def test_a_node_that_another_process_made_meanwhile_is_not_made_again(kind, tmp_path):
    kind["finds"] = [lambda _: None, lambda spec: tmp_path / spec.key]
    found = keep.make_node(SPEC, store=Store(tmp_path, example=None), context=context())
    assert found == tmp_path / kind["pinned"].key and kind["made"] == []


def test_a_part_of_a_node_is_pinned_and_knows_which_it_is(kind, tmp_path):
    keep.make_part(SPEC, 1, 3, store=Store(tmp_path, example=None), context=context())
    ((spec, inside),) = kind["made"]
    assert spec == kind["pinned"] and inside.given == {"part": 1, "parts": 3}
    assert inside.execution == EXECUTION and inside.folder.name == spec.key
    kind["finds"] = [lambda _: tmp_path]
    keep.make_part(SPEC, 1, 3, store=Store(tmp_path, example=None), context=context())
    assert len(kind["made"]) == 1
