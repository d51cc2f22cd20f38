"""A key covers everything: each field of each spec changes it; wrong values are told at the door."""

import dataclasses
import json
from typing import get_args

import pytest

from contrasim_core import spec as base
from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.encoder.spec import ENCODER_KINDS, EncoderKind, EncoderSpec, PairedSpec, TrainSpec
from contrasim_core.errors import SpecError
from contrasim_core.neighbours.spec import NeighboursSpec
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kinds import KINDS
from contrasim_core.runs.layer_prediction.spec import PROTOCOLS, BenchmarkSpec
from contrasim_core.runs.projection.spec import ProjectionSpec
from contrasim_core.runs.retrieval.spec import RetrievalSpec
from contrasim_core.spec import SPEC_FORMAT, spec_from_json

MODELS = tuple(ModelRef(name=f"m{number}", kind="hub", fingerprint=f"f{number}") for number in range(6))
DATA = DatasetRef(name="digits", kind="bundled", fingerprint="d")
OTHER = DatasetRef(name="photo-patches", kind="bundled", fingerprint="p")
A, B, C = (ExtractionSpec(model=model, data=DATA) for model in MODELS[:3])

EXAMPLES = {
    ExtractionSpec: A,
    EncoderSpec: EncoderSpec(),
    TrainSpec: TrainSpec(encoder=EncoderSpec(), sources=(A, B)),
    CompareSpec: CompareSpec(a=A, b=B),
    BenchmarkSpec: BenchmarkSpec(models=MODELS, train=DATA, test=DATA),
    PairedSpec: PairedSpec(encoder=EncoderSpec(), sources=(A, B, C), pairs=((0, 1),)),
    RetrievalSpec: RetrievalSpec(task="multilingual", train=(A, B, C), test=(A, B, C), pairs=((0, 1),)),
    NeighboursSpec: NeighboursSpec(source=A),
    ProjectionSpec: ProjectionSpec(sources=(A, B)),
}
PINNED = {
    ExtractionSpec: "af4b91233d771b28",
    EncoderSpec: "7989a9db4f3a771e",
    TrainSpec: "0616cb5152da7366",
    CompareSpec: "49bd102ab5073dec",
    BenchmarkSpec: "cb724102bd5bdecf",
    PairedSpec: "19e4471e9ce0bebc",
    RetrievalSpec: "7e776d993ab47dd8",
    NeighboursSpec: "6049f80a8db26906",
    ProjectionSpec: "b902d2637db51f1a",
}
"""Keys of the examples. A change of one makes everything that people have stored be computed again: do it on purpose,
by raising SPEC_FORMAT, or the revision of one kind."""

CHANGES = {
    ExtractionSpec: {
        "model": MODELS[5],
        "data": OTHER,
        "layers": (1, -1),
        "pooling": "cls",
        "dtype": "bfloat16",
        "max_length": 64,
    },
    EncoderSpec: {
        "encoder": "contrasim.norm",
        "hidden": (512,),
        "out_dim": 64,
        "loss": "eq3",
        "temperature": 0.1,
        "learning_rate": 0.01,
        "weight_decay": 0.1,
        "batch_rows": 512,
        "epochs": 30,
        "anchors": 64,
        "held_out": 0.2,
        "seed": 1,
    },
    TrainSpec: {
        "encoder": EncoderSpec(epochs=3),
        "sources": (A, C),
        "layers": (1, 2),
        "rows": 100,
        "seeds": (0, 1),
    },
    CompareSpec: {
        "a": C,
        "b": C,
        "measures": ("cka.linear", "pwcca"),
        "encoders": (TrainSpec(encoder=EncoderSpec(), sources=(A, B)),),
        "groups": 0,
    },
    BenchmarkSpec: {
        "models": MODELS[::-1],
        "train": OTHER,
        "test": OTHER,
        "transfer_test": OTHER,
        "measures": ("pwcca",),
        "protocols": ("seen",),
        "pairs": "disjoint",
        "unseen_models": 3,
        "pooling": "mean",
        "layers": (1,),
        "rows": 10,
        "encoder": EncoderSpec(epochs=3),
        "seeds": (7,),
    },
    PairedSpec: {
        "encoder": EncoderSpec(epochs=3),
        "sources": (A, C, B),
        "pairs": ((1, 2), (0, 1)),
        "layers": (1, 2),
        "apart_from": (DATA, OTHER, DATA),
        "seeds": (0, 1),
    },
    RetrievalSpec: {
        "task": "image-caption",
        "train": (A, C, B),
        "test": (A, C, B),
        "pairs": ((1, 2), (0, 1)),
        "layers": (1, 2),
        "measures": ("pwcca",),
        "negatives": ("faiss",),
        "batch": 64,
        "candidates": 5,
        "metric": "ip",
        "index": "ivf",
        "encoder": EncoderSpec(epochs=3),
        "seeds": (0, 1),
    },
    NeighboursSpec: {"source": B, "layers": (1, 2), "k": 5, "metric": "ip", "index": "ivf"},
    ProjectionSpec: {
        "sources": (A, C),
        "training": PairedSpec(encoder=EncoderSpec(), sources=(A, B), pairs=((0, 1), (1, 0))),
        "pair": 1,
        "layer": 2,
        "items": 5,
        "method": "umap",
        "neighbours": 7,
        "seed": 1,
    },
}
NEEDS = {(ProjectionSpec, "pair"): ("training",)}  # fields that can be changed together with others alone
ONE_VALUE = {(BenchmarkSpec, "task")}  # fields whose literal allows a single value

by_name = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, item.name) for kind in EXAMPLES for item in dataclasses.fields(kind) if (kind, item.name) not in ONE_VALUE],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_every_field_changes_the_key(kind, field):
    example = EXAMPLES[kind]
    example = example.replace(**{name: CHANGES[kind][name] for name in NEEDS.get((kind, field), ())})
    changed = example.replace(**{field: CHANGES[kind][field]})
    assert getattr(changed, field) != getattr(example, field)
    assert changed.key != example.key


@pytest.mark.parametrize("field", ["name", "kind", "fingerprint", "tower", "revision"])
def test_every_field_of_a_model_changes_the_key(field):
    values = {"name": "x", "kind": "bundled", "fingerprint": "x", "tower": "text", "revision": "x"}
    assert set(values) == {item.name for item in dataclasses.fields(ModelRef)}
    assert A.replace(model=dataclasses.replace(A.model, **{field: values[field]})).key != A.key


@pytest.mark.parametrize("field", ["name", "kind", "split", "limit", "fingerprint", "column", "config"])
def test_every_field_of_a_data_set_changes_the_key(field):
    values = {"name": "x", "kind": "hub", "split": "x", "limit": 1, "fingerprint": "x", "column": "x", "config": "x"}
    assert set(values) == {item.name for item in dataclasses.fields(DatasetRef)}
    assert A.replace(data=dataclasses.replace(A.data, **{field: values[field]})).key != A.key


@by_name
def test_key_is_pinned(kind):
    assert EXAMPLES[kind].key == PINNED[kind]


@by_name
def test_format_and_kind_are_part_of_the_key(kind, monkeypatch):
    before = EXAMPLES[kind].key
    with monkeypatch.context() as patch:
        patch.setattr(base, "SPEC_FORMAT", SPEC_FORMAT + 1)
        assert EXAMPLES[kind].key != before
    monkeypatch.setattr(kind, "kind", "other")
    assert EXAMPLES[kind].key != before


def test_kinds_are_distinct():
    assert len({kind.kind for kind in EXAMPLES}) == len(EXAMPLES)
    assert {kind.spec for kind in KINDS} == set(EXAMPLES) - {EncoderSpec}


@by_name
def test_json_round_trip(kind):
    full = EXAMPLES[kind].replace(**CHANGES[kind]) if kind is not BenchmarkSpec else EXAMPLES[kind]
    for spec in (EXAMPLES[kind], full):
        again = spec_from_json(spec.to_json(), EXAMPLES)
        assert again == spec and type(again) is kind and again.key == spec.key


def test_json_round_trip_keeps_optional_parts():
    spec = EXAMPLES[BenchmarkSpec].replace(transfer_test=OTHER, layers=(1, 2), protocols=PROTOCOLS)
    assert spec_from_json(spec.to_json(), EXAMPLES) == spec


@by_name
def test_specs_are_frozen_and_take_keywords_only(kind):
    name = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(EXAMPLES[kind], name, None)
    with pytest.raises(TypeError, match="positional"):
        kind(*[getattr(EXAMPLES[kind], item.name) for item in dataclasses.fields(kind)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: A.replace(pooling="max"),
         r"^ExtractionSpec\.pooling is 'max'\. It can be: 'cls', 'mean', 'last', 'word', 'spatial-mean'\.$"),
        (lambda: A.replace(dtype="float64"), r"ExtractionSpec\.dtype is 'float64'\. It can be: 'float32', "),
        (lambda: A.replace(layers=()), r"^ExtractionSpec\.layers is empty\. Name a layer, or 'all'\.$"),
        (lambda: A.replace(max_length=0), r"max_length is 0\. It must be 1 or more\.$"),
        (lambda: EncoderSpec(encoder="contrasin"), r"EncoderSpec\.encoder is 'contrasin'\. It can be: 'contrasim', "),
        (lambda: EncoderSpec(loss="triplet"), r"EncoderSpec\.loss is 'triplet'\. It can be: 'supcon', 'eq3'\.$"),
        (lambda: EncoderSpec(temperature=0.0), r"temperature is 0\.0\. It must be above 0\.$"),
        (lambda: EncoderSpec(learning_rate=-1.0), r"learning_rate is -1\.0\. It must be above 0\.$"),
        (lambda: EncoderSpec(out_dim=0), r"out_dim is 0\. It must be 1 or more\.$"),
        (lambda: EncoderSpec(batch_rows=3), r"batch_rows is 3\. It must be 4 or more\.$"),
        (lambda: EncoderSpec(epochs=0), r"epochs is 0\. It must be 1 or more\.$"),
        (lambda: EncoderSpec(anchors=1), r"anchors is 1\. It must be 2 or more\.$"),
        (lambda: EncoderSpec(weight_decay=-0.1), r"weight_decay is -0\.1\. It must be 0 or more\.$"),
        (lambda: EncoderSpec(hidden=(64, 0)), r"hidden is \(64, 0\)\. Widths must be 1\+\.$"),
        (lambda: EncoderSpec(held_out=1.0), r"held_out is 1\.0\. It must be in \[0, 1\)\.$"),
        (lambda: TrainSpec(encoder=EncoderSpec(), sources=(A,)), r"sources has 1 model\(s\)\. Give 2 or more"),
        (lambda: EXAMPLES[TrainSpec].replace(seeds=()), r"seeds is empty\. Give at least one seed\.$"),
        (lambda: EXAMPLES[TrainSpec].replace(seeds=(1, 1)), r"seeds repeats a seed: \(1, 1\)\.$"),
        (lambda: CompareSpec(a=A, b=B, measures=()), r"measures is empty\. Choose at least one measure\.$"),
        (lambda: CompareSpec(a=A, b=B, groups=1), r"groups is 1\. It must be 0, or 2\+\.$"),
        (lambda: CompareSpec(a=A, b=B.replace(data=OTHER)),
         r"use different data \(digits \(test\) and photo-patches \(test\)\)\. Layers can be compared only "),
        (lambda: EXAMPLES[BenchmarkSpec].replace(protocols=("seen", "heard")),
         r"protocols is 'heard'\. It can be: 'seen', 'unseen', 'transfer'\.$"),
        (lambda: EXAMPLES[BenchmarkSpec].replace(pairs="some"), r"pairs is 'some'\. It can be: 'disjoint', 'all'\.$"),
        (lambda: EXAMPLES[BenchmarkSpec].replace(models=MODELS[:1]), r"models has 1 model\(s\)\. A pair needs 2\.$"),
        (lambda: EXAMPLES[BenchmarkSpec].replace(measures=()), r"measures is empty"),
        (lambda: EXAMPLES[BenchmarkSpec].replace(protocols=()), r"protocols is empty\. Choose seen, unseen or"),
        (
            lambda: EXAMPLES[BenchmarkSpec].replace(models=MODELS[:5]),
            r"'unseen' holds 4 of 5 models out of training; it needs 2",
        ),
        (lambda: EXAMPLES[BenchmarkSpec].replace(unseen_models=1), r"'unseen' holds 1 of 6 models"),
        (lambda: EXAMPLES[BenchmarkSpec].replace(protocols=("transfer",)), r"'transfer' needs BenchmarkSpec\.tr"),
        (lambda: EXAMPLES[PairedSpec].replace(sources=(A,)), r"PairedSpec has 1 source\(s\)\. A pair needs 2\.$"),
        (lambda: EXAMPLES[PairedSpec].replace(pairs=()), r"PairedSpec\.pairs is empty\. Give at least one pair"),
        (lambda: EXAMPLES[PairedSpec].replace(pairs=((1, 1),)), r"pairs has \[\(1, 1\)\]\. Each must be two of the 3"),
        (lambda: EXAMPLES[PairedSpec].replace(seeds=(1, 1)), r"seeds repeats a seed: \(1, 1\)\.$"),
        (lambda: EXAMPLES[RetrievalSpec].replace(pairs=((0, 3),)), r"pairs has \[\(0, 3\)\]\. Each must be two of"),
        (lambda: EXAMPLES[RetrievalSpec].replace(train=(A, B)), r"has 2 sources to train on and 3 to test on\.$"),
        (lambda: EXAMPLES[RetrievalSpec].replace(negatives=("hard",)), r"negatives is 'hard'\. It can be: 'random', "),
        (lambda: EXAMPLES[RetrievalSpec].replace(negatives=()), r"negatives is empty\. Choose random or faiss\.$"),
        (lambda: EXAMPLES[RetrievalSpec].replace(measures=()), r"measures is empty"),
        (lambda: EXAMPLES[RetrievalSpec].replace(batch=1), r"batch is 1\. It must be 2 or more\.$"),
        (lambda: ProjectionSpec(sources=()), r"ProjectionSpec\.sources is empty\. Give at least one\.$"),
        (lambda: EXAMPLES[ProjectionSpec].replace(pair=1), r"pair is 1; the training has 1 pairs\.$"),
        (lambda: EXAMPLES[ProjectionSpec].replace(items=-1), r"items is -1\. It must be 0 \(all\) or more\.$"),
        (lambda: EXAMPLES[ProjectionSpec].replace(neighbours=1), r"neighbours is 1\. It must be 2 or more\.$"),
        (lambda: EXAMPLES[RetrievalSpec].replace(candidates=0), r"candidates is 0\. It must be 1 or more\.$"),
    ],
)  # fmt: skip
def test_wrong_values_are_told(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_few_models_do_without_the_unseen_protocol():
    assert EXAMPLES[BenchmarkSpec].replace(models=MODELS[:2], protocols=("seen",)).unseen_models == 4


def test_constants_follow_the_literals():
    assert get_args(EncoderKind) == ENCODER_KINDS and "contrasim.relative" in ENCODER_KINDS
    assert PROTOCOLS == ("seen", "unseen", "transfer")


GOOD = json.loads(A.to_json())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This is not a spec written by contrasim"),
        ("[]", "This is not a spec written by contrasim"),
        ("null", "This is not a spec written by contrasim"),
        ("{}", r"KeyError: 'format'"),
        (json.dumps({**GOOD, "format": 99}), r"^This spec has format 99; this version reads format 1\.$"),
        (json.dumps({**GOOD, "kind": "other"}), "KeyError: 'other'"),
        (json.dumps({**GOOD, "spec": {**GOOD["spec"], "colour": 1}}), r"^ExtractionSpec has no field colour\.$"),
        (json.dumps({**GOOD, "spec": {**GOOD["spec"], "pooling": "max"}}), r"pooling is 'max'"),
        (json.dumps({**GOOD, "spec": {"model": GOOD["spec"]["model"]}}), "missing 1 required keyword-only argument"),
        (json.dumps({**GOOD, "spec": {**GOOD["spec"], "layers": {"a": 1}}}), "This is not a spec"),
        (json.dumps({**GOOD, "spec": []}), "This is not a spec"),
        (json.dumps({**GOOD, "spec": {**GOOD["spec"], "max_length": "long"}}), "This is not a spec"),
    ],
)
def test_what_is_no_spec_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        spec_from_json(text, EXAMPLES)
