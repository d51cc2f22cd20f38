"""A trained encoder as an object: fit, transform, similarity, warnings, files."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import contrasim_core as cs
from contrasim_core.encoder.measures import LEARNED
from contrasim_core.encoder.spec import ENCODER_KINDS
from contrasim_core.errors import (
    DamagedArtifactError,
    EncoderError,
    ForeignFormatError,
    NotFiniteError,
    PairingError,
    ShapeError,
    SpecError,
    UnseenModelWarning,
)
from contrasim_core.refs import SampleSet
from tests.networks import activations, group, matrices

SMALL = {"hidden": (16,), "out_dim": 8, "batch_rows": 32, "epochs": 4, "anchors": 12}
PLAIN = [kind for kind in ENCODER_KINDS if kind != "contrasim.relative"]
every_kind = pytest.mark.parametrize("kind", ENCODER_KINDS)


def fitted(kind="contrasim", **options):
    return cs.ContraSim(encoder=kind, **{**SMALL, **options}).fit(list(group(3).values()))


@pytest.fixture(scope="module")
def encoders():
    return {kind: fitted(kind) for kind in ENCODER_KINDS}


@pytest.fixture(scope="module")
def new():
    """Layers of a network that no encoder was trained on: on the training samples and on others."""
    return activations(7), activations(7, data=1)


def anchors_for(encoder, *layers):
    return tuple(layers) if encoder.is_relative else None


@every_kind
def test_similarity_is_the_measures_value(kind, encoders):
    encoder = encoders[kind]
    x, y = activations(0), activations(1)
    value = encoder.similarity(x[1], y[1], anchors_for(encoder, x[1], y[1]))
    grid = cs.similarity_grid(x, y, encoder, anchors=(x, y) if encoder.is_relative else None)
    assert grid.measure == kind
    assert grid.values[1, 1] == pytest.approx(value, abs=1e-6)
    assert -1 <= value <= 1
    own = encoder.similarity(x[1], x[1], anchors_for(encoder, x[1], x[1]))
    assert own == pytest.approx(1, abs=1e-5)


@every_kind
def test_encodings_have_length_one(kind, encoders):
    encoder, layer = encoders[kind], activations(0)[2]
    z = encoder.transform(layer, layer if encoder.is_relative else None)
    assert z.shape == (96, 8)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(96))


def test_rows_may_be_arrays_tensors_or_activations(encoders):
    layer = activations(0)[0]
    expected = encoders["contrasim"].transform(layer)
    for form in (layer.values, layer.values.double(), layer.values.numpy(), layer.values.tolist()):
        torch.testing.assert_close(encoders["contrasim"].transform(form), expected)


def test_anchors_may_come_as_a_matrix_in_the_order_of_their_ids(encoders, new):
    encoder, (train, test) = encoders["contrasim.relative"], new
    place = {name: row for row, name in enumerate(train[0].samples.ids)}
    matrix = train[0].values[[place[name] for name in encoder.anchor_ids]]
    expected = encoder.transform(test[0], train[0])
    torch.testing.assert_close(encoder.transform(test[0], matrix), expected)
    assert float((encoder.transform(test[0], matrix.flip(0)) - expected).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["rotation", "translation", "scale", "permutation"])
def test_relative_scores_do_not_depend_on_the_basis_and_plain_ones_do(name, encoders, new):
    basis = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(3))).Q
    move = {
        "rotation": lambda x: x @ basis,
        "translation": lambda x: x + basis[0] * 3,
        "scale": lambda x: 4 * x,
        "permutation": lambda x: x.roll(5, 1),
    }[name]
    (train, test), encoder, plain = new, encoders["contrasim.relative"], encoders["contrasim"]
    x, y, ax, ay = test[1].values, test[2].values, encoder.anchors_of(train[1]), encoder.anchors_of(train[2])
    before = encoder.similarity(x, y, (ax, ay))
    assert encoder.similarity(move(x), y, (move(ax), ay)) == pytest.approx(before, abs=1e-5)
    assert encoder.similarity(x, move(y), (ax, move(ay))) == pytest.approx(before, abs=1e-5)
    assert abs(encoder.similarity(move(x), y, (move(ax) * torch.linspace(0.1, 3, 12), ay)) - before) > 1e-3
    assert abs(plain.similarity(move(x), y) - plain.similarity(x, y)) > 1e-3
    claim = "orthogonal" if name == "rotation" else name
    assert claim in encoder.measure().invariant_to
    assert claim not in plain.measure().invariant_to


def test_only_the_relative_kind_can_read_a_network_it_never_saw():
    """The reason for its being: on networks left out of training a plain encoder is near chance (0.25)."""
    train, test, scores = group(6), group(6, data=1), {}
    for kind in ("contrasim", "contrasim.relative"):
        options = {"epochs": 20, "anchors": 24, "learning_rate": 1e-2, "encoder": kind}
        encoder = cs.ContraSim(**{**SMALL, **options}).fit([train[f"net-{i}"] for i in range(4)])
        for pair, models in (("seen", ("net-0", "net-1")), ("unseen", ("net-4", "net-5"))):
            a, b = models
            anchors = (train[a], train[b]) if encoder.is_relative else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnseenModelWarning)
                best = cs.similarity_grid(test[a], test[b], encoder, anchors=anchors).row_best()
            scores[kind, pair] = np.mean([choice == layer for layer, choice in enumerate(best)])
    assert scores["contrasim", "seen"] == scores["contrasim.relative", "seen"] == 1
    assert scores["contrasim.relative", "unseen"] == 1
    assert scores["contrasim", "unseen"] <= 0.5


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_encoder_warns_of_networks_it_never_saw(kind, encoders, new):
    layers, encoder = new[0], encoders[kind]
    known = activations(0)
    with pytest.warns(UnseenModelWarning, match=rf"{kind} was not trained on net-7\. A plain encoder knows the bases"):
        encoder.similarity(known[0], layers[0])
    with pytest.warns(UnseenModelWarning, match="use contrasim.relative"):
        grid = cs.compare(layers, known, measure=encoder)
    assert "net-7" in grid.notes[0]


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_encoder_says_nothing_of_networks_it_saw(kind, encoders):
    """Warnings are errors in these tests."""
    x, y = activations(0, data=1), activations(2, data=1)
    encoders[kind].similarity(x[0], y[0])
    assert cs.compare(x, y, measure=encoders[kind]).notes == ()


def test_a_relative_encoder_says_nothing_of_networks_it_never_saw(encoders, new):
    (train, test), encoder = new, encoders["contrasim.relative"]
    encoder.similarity(test[0], test[1], (train[0], train[1]))
    assert cs.similarity_grid(test, None, encoder, anchors=(train, train)).notes == ()


def test_anchors_that_are_missing_are_named(encoders, new):
    (train, test), encoder = new, encoders["contrasim.relative"]
    with pytest.raises(EncoderError, match=r"needs the 12 anchor samples' representations of x \(none given\)"):
        encoder.similarity(test[0].values, test[1].values)
    with pytest.raises(EncoderError, match=r"of net-7 layer 0 \(block 0\) \(none given\)\. Pass anchors="):
        encoder.transform(test[0])
    with pytest.raises(EncoderError, match=r"12 anchor samples' representations of x \(5 given\)"):
        encoder.transform(test[0].values, train[0].values[:5])
    with pytest.raises(EncoderError, match=r"net-7 layer 0 \(block 0\) lacks 12 of 12 anchor samples, such as 'data 0"):
        encoder.transform(test[0], test[0])
    with pytest.raises(EncoderError, match=r"none given"):
        cs.similarity_grid(test, None, encoder)
    with pytest.raises(SpecError, match=r"4 layers and 3 sets of anchors"):
        cs.similarity_grid(test, None, encoder, anchors=(train[:3], train[:3]))


def test_rows_that_cannot_be_read_are_refused(encoders):
    x = activations(0)[0].values
    with pytest.raises(ShapeError, match=r"x has 5 columns; this encoder was trained on 12\..*relative reads any"):
        encoders["contrasim"].transform(x[:, :5])
    with pytest.raises(ShapeError, match=r"x has 96 rows and y has 90"):
        encoders["contrasim"].similarity(x, x[:90])
    with pytest.raises(NotFiniteError, match="x has NaN or infinity"):
        encoders["contrasim"].transform(torch.full((3, 12), torch.nan))
    with pytest.raises(PairingError, match="not extracted on the same samples"):
        encoders["contrasim"].similarity(activations(0)[0], activations(1, data=1)[0])


def test_an_encoder_must_be_trained_before_use():
    with pytest.raises(EncoderError, match=r"not trained\. Call \.fit"):
        cs.ContraSim().similarity([[1.0]], [[1.0]])
    assert repr(cs.ContraSim()) == "ContraSim(contrasim, seed 0, not trained)"


@pytest.mark.parametrize(
    "samples",
    [
        SampleSet(tuple(f"other {row}" for row in range(96))),
        SampleSet(tuple(f"data 0, row {row}" for row in reversed(range(96)))),
    ],
    ids=["other samples", "other order"],
)
@every_kind
def test_training_on_mismatched_samples_is_refused(kind, samples):
    with pytest.raises(PairingError, match="not extracted on the same samples in the same order"):
        cs.ContraSim(encoder=kind, **SMALL).fit([activations(0), activations(1, samples=samples)])


def test_training_on_what_cannot_be_trained_on_is_refused():
    encoder = cs.ContraSim(**SMALL)
    with pytest.raises(EncoderError, match=r"different numbers of layers: \{'net-0': 4, 'net-1': 3\}"):
        encoder.fit([activations(0), activations(1)[:3]])
    with pytest.raises(EncoderError, match="Got no layers to train on"):
        encoder.fit([])
    with pytest.raises(EncoderError, match=r"no layers to train on: \{'model 0': 0"):
        encoder.fit([[], []])
    with pytest.raises(EncoderError, match="Two models are called 'net-0'"):
        encoder.fit([activations(0), activations(0)])
    with pytest.raises(EncoderError, match="not 1 and 4"):
        encoder.fit([activations(0)])
    with pytest.raises(PairingError, match="96 rows against 90"):
        encoder.fit([matrices(0), matrices(1, n=90)])
    spoiled = matrices(1)
    spoiled[2][4, 4] = torch.inf
    for kind in ("contrasim", "contrasim.relative"):
        with pytest.raises(NotFiniteError, match=r"model 1 layer 2 \(layer 2\) has NaN or infinity"):
            cs.ContraSim(encoder=kind, **SMALL).fit([matrices(0), spoiled])


def test_models_may_come_as_matrices_lists_or_one_flat_list(encoders):
    groups = group(3)
    flat = cs.ContraSim(**SMALL).fit([layer for layers in groups.values() for layer in layers])
    plain = cs.ContraSim(**SMALL).fit([[layer.values.numpy() for layer in layers] for layers in groups.values()])
    for encoder in (flat, plain):
        for name, value in encoders["contrasim"].trained.weights.items():
            assert torch.equal(encoder.trained.weights[name], value)
    assert flat.models == ("net-0", "net-1", "net-2")
    assert flat.layers == ("0", "1", "2", "3")
    assert plain.models == ("model 0", "model 1", "model 2")


def test_unequal_widths_train_and_other_widths_are_refused_by_plain_encoders(tmp_path):
    models = [activations(0, width=12), activations(1, width=7)]
    encoder = cs.ContraSim(**SMALL, encoder="contrasim.relative").fit(models)
    wide, narrow = activations(5, width=30), activations(6, width=3)
    assert -1 <= encoder.similarity(wide[0], narrow[0], (wide[0], narrow[0])) <= 1
    plain = cs.ContraSim.load(cs.ContraSim(**SMALL).fit(models).save(tmp_path / "plain.safetensors"))
    first, second = models[0][0], models[1][0]
    assert -1 <= plain.similarity(first, second) <= 1
    assert plain.transform(second).shape == (len(second.samples), plain.spec.out_dim)
    with pytest.raises(
        ShapeError, match=r"has 30 columns; this encoder was trained on 7 and 12\. A plain encoder reads"
    ):
        plain.transform(wide[0])


def test_seeds_fitted_together_are_encoders_of_their_own():
    spec = cs.EncoderSpec(**SMALL, encoder="contrasim.relative")
    found = cs.ContraSim.fit_seeds(spec, (0, 5), list(group(3).values()))
    assert [encoder.spec.seed for encoder in found] == [0, 5]
    assert found[0].anchor_ids != found[1].anchor_ids
    alone = fitted("contrasim.relative", seed=5)
    layer = activations(0)[0]
    torch.testing.assert_close(found[1].transform(layer, layer), alone.transform(layer, layer), atol=1e-4, rtol=0)
    assert repr(alone) == "ContraSim(contrasim.relative, seed 5, trained on 3 models)"
    assert alone.curve.seed == 5


@every_kind
def test_a_saved_encoder_comes_back_whole(kind, encoders, tmp_path):
    encoder = encoders[kind]
    path = encoder.save(tmp_path / "new folder" / "encoder.safetensors")
    back = cs.ContraSim.load(path)
    for name in ("spec", "models", "layers", "anchor_ids", "sample_fingerprint", "curve", "is_relative"):
        assert getattr(back, name) == getattr(encoder, name), name
    assert back.trained.anchors == encoder.trained.anchors
    layer = activations(0)[0]
    anchors = layer if encoder.is_relative else None
    assert torch.equal(back.transform(layer, anchors), encoder.transform(layer, anchors))
    assert back.measure().trained_on == encoder.measure().trained_on


def test_files_that_are_no_encoders_are_refused(encoders, tmp_path):
    file = tmp_path / "encoder.safetensors"
    with pytest.raises(DamagedArtifactError, match="cannot be read as an encoder"):
        cs.ContraSim.load(file)
    whole = encoders["contrasim"].save(file).read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedArtifactError, match="cannot be read as an encoder"):
        cs.ContraSim.load(file)
    for metadata in (None, {"contrasim": "{"}, {"contrasim": "{}"}, {"other": "1"}):
        save_file({"weight.0": torch.zeros(2, 2)}, file, metadata=metadata)
        with pytest.raises(DamagedArtifactError, match=r"encoder\.safetensors is not an encoder written by contrasim"):
            cs.ContraSim.load(file)


def test_another_format_is_refused_with_advice(encoders, tmp_path):
    file = encoders["contrasim"].save(tmp_path / "encoder.safetensors")
    with safe_open(file, framework="pt") as stored:
        facts = json.loads(stored.metadata()["contrasim"])
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
    save_file(weights, file, metadata={"contrasim": json.dumps({**facts, "format": 99})})
    with pytest.raises(
        ForeignFormatError, match=r"has encoder format 99; this version reads format 1\. Train it again\."
    ):
        cs.ContraSim.load(file)


def test_learned_measures_are_described_like_the_others():
    assert tuple(spec.id for spec in LEARNED) == ENCODER_KINDS
    for spec in LEARNED:
        assert spec.source.startswith("arXiv:2303.16992")
        assert spec.needs_anchors == (spec.id == "contrasim.relative")
        with pytest.raises(AssertionError, match="a template has no encoder"):
            spec([[1.0], [2.0]], [[1.0], [2.0]])
