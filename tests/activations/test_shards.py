"""A shard is the unit of work: checked by its checksum, named when damaged, read a layer and a range at a time."""

import json
import os
import resource

import pytest
import safetensors
import torch

from contrasim_core.activations import shards
from contrasim_core.activations.shards import (
    Problem,
    ShardedLayers,
    info_path,
    read_info,
    samples_per_shard,
    shard_path,
    valid_info,
    verify,
    write_shard,
)
from contrasim_core.errors import DamagedArtifactError, StoreError
from contrasim_core.store import MANIFEST

LAYERS = ("embeddings", "block 1", "block 2")
SIZES = (4, 4, 3)
WIDTHS = (5, 6, 7)


def matrices(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, width, generator=generator) for name, width in zip(LAYERS, WIDTHS, strict=True)}


@pytest.fixture
def written(tmp_path):
    """Three shards in a finished folder; the folder, the notes and the whole matrices."""
    folder = tmp_path / "0123"
    folder.mkdir()
    parts = [matrices(rows, seed) for seed, rows in enumerate(SIZES)]
    infos, start = [], 0
    for index, part in enumerate(parts):
        stop = start + SIZES[index]
        infos.append(write_shard(folder, index, (start, stop), [f"s{i}" for i in range(start, stop)], part))
        start = stop
    (folder / MANIFEST).write_text(json.dumps({"shards": 3}))
    return folder, infos, [torch.cat([part[name] for part in parts]) for name in LAYERS]


def damage(path):
    """Flip one bit in the middle; the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_written_is_written_down(written):
    folder, infos, _ = written
    assert [read_info(folder, index) for index in range(3)] == infos
    assert [valid_info(folder, index) for index in range(3)] == infos
    assert (infos[1].start, infos[1].stop, infos[1].rows, infos[1].layers) == (4, 8, 4, LAYERS)
    assert infos[2].ids == ("s8", "s9", "s10")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("bounds", [(0, 11), (0, 4), (4, 8), (3, 5), (2, 10), (10, 11), (7, 99)])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_rows_are_read_across_shards(written, layer, bounds):
    folder, infos, whole = written
    found = ShardedLayers(folder, infos, "f").read(layer, *bounds)
    torch.testing.assert_close(found, whole[layer][slice(*bounds)], rtol=0, atol=0)


def test_activations_know_layer_samples_and_recipe(written):
    folder, infos, whole = written
    found = ShardedLayers(folder, infos, "print").activations("model", {"pooling": "cls"})
    assert [(item.layer.model, item.layer.index, item.layer.name) for item in found] == [
        ("model", index, name) for index, name in enumerate(LAYERS)
    ]
    assert all(item.samples.fingerprint == "print" and len(item.samples) == 11 for item in found)
    torch.testing.assert_close(found[2].values, whole[2])
    torch.testing.assert_close(found[2].rows(6).values, whole[2][:6])


def test_a_choice_of_layers_keeps_their_places(written):
    folder, infos, whole = written
    (only,) = ShardedLayers(folder, infos, "f").activations("m", {}, keep=[1])
    assert only.layer.index == 1
    torch.testing.assert_close(only.values, whole[1])


def test_nothing_is_read_until_it_is_asked_for(written, monkeypatch):
    folder, infos, _ = written
    opened = []
    real = safetensors.safe_open
    monkeypatch.setattr(safetensors, "safe_open", lambda path, **more: opened.append(path.name) or real(path, **more))
    found = ShardedLayers(folder, infos, "f").activations("m", {})
    assert opened == []
    found[1].read(4, 6)
    assert opened == ["shard-00001.safetensors"]


def test_sound_shards_have_no_problems(written):
    assert verify(written[0]) == []


def test_every_problem_is_named(written):
    folder, _, _ = written
    damage(shard_path(folder, 1))
    shard_path(folder, 2).unlink()
    assert verify(folder) == [Problem(1, "it does not match its checksum"), Problem(2, "missing")]
    assert valid_info(folder, 1) is None and read_info(folder, 1) is not None
    assert valid_info(folder, 0) is not None


def test_damage_is_seen_even_if_size_and_time_stay(written):
    """The checksum is remembered per file, size and time; a later process computes it anew."""
    folder, _, _ = written
    path = shard_path(folder, 0)
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    shards._checksum_of.cache_clear()
    assert verify(folder) == [Problem(0, "it does not match its checksum")]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"index": 0}', "null"])
def test_damaged_note_makes_a_shard_unfinished(text, written):
    folder, _, _ = written
    info_path(folder, 1).write_text(text)
    assert read_info(folder, 1) is None and valid_info(folder, 1) is None
    assert verify(folder) == [Problem(1, "missing")]


def test_unfinished_and_damaged_manifests_are_problems(written):
    folder, _, _ = written
    (folder / MANIFEST).write_text("{")
    assert verify(folder) == [Problem(-1, "(damaged) no readable manifest")]
    (folder / MANIFEST).unlink()
    assert verify(folder) == [Problem(-1, "(unfinished) no readable manifest")]


@pytest.mark.parametrize("how", ["missing", "cut"])
def test_unreadable_shard_is_named(how, written):
    folder, infos, _ = written
    layers = ShardedLayers(folder, infos, "f")
    path = shard_path(folder, 1)
    path.unlink() if how == "missing" else path.write_bytes(path.read_bytes()[:20])
    layers.read(0, 0, 4)
    with pytest.raises(
        DamagedArtifactError, match=r"^Shard 1 of activations 0123 cannot be read: .* only that shard is"
    ):
        layers.read(0, 0, 11)


def test_samples_per_shard_is_decided_once(tmp_path):
    assert samples_per_shard(tmp_path, lambda: 7) == 7

    def never():
        raise AssertionError("an earlier run has chosen")

    assert samples_per_shard(tmp_path, never) == 7
    (tmp_path / shards.LAYOUT).write_text("{")
    assert samples_per_shard(tmp_path, lambda: 9) == 9


@pytest.fixture
def full_disk():
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_a_store_error_and_keeps_the_other_shards(written, full_disk):
    folder, infos, _ = written
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(StoreError, match=r"^Shard 3 of activations 0123 cannot be written to .*File too large"):
        write_shard(folder, 3, (11, 12), ["s11"], {"embeddings": torch.zeros(1, 10_000)})
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [valid_info(folder, index) for index in range(3)] == infos


def test_full_disk_at_the_note_leaves_the_shard_unfinished(written, monkeypatch):
    folder, infos, _ = written

    def broken(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_atomic", broken)
    with pytest.raises(StoreError, match="No space left on device"):
        write_shard(folder, 3, (11, 12), ["s11"], {"embeddings": torch.zeros(1, 3)})
    assert read_info(folder, 3) is None
    assert [valid_info(folder, index) for index in range(3)] == infos


def test_an_overwritten_shard_has_its_new_checksum(written):
    folder, _, _ = written
    assert valid_info(folder, 0) is not None
    info = write_shard(folder, 0, (0, 4), ["a", "b", "c", "d"], matrices(4, 99))
    assert valid_info(folder, 0) == info
