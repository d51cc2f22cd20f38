"""Extraction into the store: shard by shard, resumed at the first missing shard, never computed twice.

The hard case is a process that is killed (SIGKILL) in the middle: the same request afterwards computes only what is
missing, and the finished shards stay the very same files.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from contrasim_core.activations import extract as module
from contrasim_core.activations import shards
from contrasim_core.activations.runner import Runner
from contrasim_core.activations.shards import ShardInfo, info_path, shard_path, valid_info, verify
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.data import load_data, resolve_data
from contrasim_core.errors import ForeignFormatError, RunCancelled, StoreError
from contrasim_core.models.find import resolve_model
from contrasim_core.runs import keep
from contrasim_core.runs.extract import run_extraction
from contrasim_core.runs.extraction import run as extraction
from contrasim_core.runs.kind import Context
from contrasim_core.store import MANIFEST, Store
from tests.tiny import WORDS

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, PER_SHARD = 42, 4
SHARDS = 11  # ten full ones and one with two samples
EXECUTION = Execution(batch_size=2, shard_samples=PER_SHARD, device="cpu")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A text file with as many lines as there are samples, of different lengths."""
    path = tmp_path_factory.mktemp("data") / "texts.txt"
    lines = [" ".join(WORDS[(7 * i + j) % len(WORDS)] for j in range(2 + i % 9)) for i in range(SAMPLES)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def spec(tiny, texts):
    return ExtractionSpec(model=resolve_model(tiny("bert")), data=resolve_data(texts))


@pytest.fixture
def computed(monkeypatch):
    """The ranges of samples that go through the model."""
    ranges, real = [], Runner.run

    def run(self, start, stop, report):
        ranges.append((start, stop))
        return real(self, start, stop, report)

    monkeypatch.setattr(Runner, "run", run)
    return ranges


def extract(spec, store, **more):
    return run_extraction(spec, store=store, **{"execution": EXECUTION, **more})


def assert_equal_to_memory(found, spec):
    whole = run_extraction(spec, execution=EXECUTION)
    assert [item.layer for item in found] == [item.layer for item in whole]
    for x, y in zip(found, whole, strict=True):
        assert x.samples == y.samples
        torch.testing.assert_close(x.values, y.values, rtol=1e-4, atol=1e-4)


def files_of(folder, indices):
    """What must not change of shards that are left alone."""
    return {
        index: tuple((path.stat().st_ino, path.stat().st_mtime_ns) for path in (shard_path(folder, index),
                                                                               info_path(folder, index)))
        for index in indices
    }  # fmt: skip


def test_shards_of_a_finished_extraction(spec, empty_store):
    found = extract(spec, empty_store)
    folder = empty_store.find(spec.kind, spec.key)
    assert len(list(folder.glob("shard-*.safetensors"))) == SHARDS and verify(folder) == []
    manifest = empty_store.manifest(spec.kind, spec.key)
    assert (manifest["shards"], manifest["rows"], manifest["computed_shards"]) == (SHARDS, SAMPLES, SHARDS)
    assert manifest["layers"] == ["embeddings", "block 1", "block 2", "block 3"]
    assert manifest["fingerprint"] == found[0].samples.fingerprint == load_data(spec.data).samples.fingerprint
    assert manifest["device"] == "cpu" and manifest["versions"]["torch"] and manifest["spec"]["kind"] == "activations"
    assert "tiny-bert on texts.txt" in manifest["title"]
    assert_equal_to_memory(found, spec)


def test_what_is_finished_is_read_without_the_model(spec, empty_store, monkeypatch, computed):
    extract(spec, empty_store)
    computed.clear()

    def never(*_args, **_more):
        raise AssertionError("the model and the data are not needed")

    monkeypatch.setattr(module, "load_model", never)
    monkeypatch.setattr(module, "load_data", never)
    found = extract(spec, empty_store)
    assert computed == [] and len(found) == 4
    (block,) = extract(spec.replace(layers=(2,)), empty_store)  # from the activations of all layers
    torch.testing.assert_close(block.values, found[2].values)
    assert len(empty_store.entries()) == 1


def test_words_are_stored_with_their_ids(spec, empty_store):
    words = spec.replace(pooling="word")
    found = extract(words, empty_store)
    assert found[0].samples.ids[:3] == ("line-1/0", "line-1/1", "line-2/0")
    assert_equal_to_memory(found, words)


@pytest.mark.parametrize("missing", [[0], [3], [10], [0, 5, 6]])
def test_only_missing_shards_are_computed(missing, spec, empty_store, computed):
    extract(spec, empty_store)
    folder = empty_store.find(spec.kind, spec.key)
    (folder / MANIFEST).unlink()
    for number, index in enumerate(missing):  # the shard, its note, or both
        if number != 1:
            shard_path(folder, index).unlink()
        if number != 0:
            info_path(folder, index).unlink()
    kept = [index for index in range(SHARDS) if index not in missing]
    before = files_of(folder, kept)
    computed.clear()
    found = extract(spec, empty_store)
    assert computed == [(PER_SHARD * index, min(PER_SHARD * (index + 1), SAMPLES)) for index in missing]
    assert files_of(folder, kept) == before
    assert_equal_to_memory(found, spec)


def test_a_damaged_shard_is_recomputed_alone(spec, empty_store, computed):
    extract(spec, empty_store)
    folder = empty_store.find(spec.kind, spec.key)
    content = bytearray(shard_path(folder, 5).read_bytes())
    content[-1] ^= 1
    shard_path(folder, 5).write_bytes(bytes(content))
    assert [problem.shard for problem in verify(folder)] == [5]
    computed.clear()
    found = extract(spec, empty_store)
    assert computed == [(20, 24)]
    assert verify(folder) == [] and empty_store.manifest(spec.kind, spec.key)["computed_shards"] == 1
    assert_equal_to_memory(found, spec)


def test_unfinished_work_keeps_its_shard_size(spec, empty_store, computed):
    with pytest.raises(RunCancelled):
        extract(spec, empty_store, progress=stop_after(10))
    computed.clear()
    found = extract(spec, empty_store, execution=replace(EXECUTION, shard_samples=9))
    assert computed[0] == (8, 12) and empty_store.manifest(spec.kind, spec.key)["shards"] == SHARDS
    assert_equal_to_memory(found, spec)


def test_shards_of_another_size_are_not_taken_for_ours(spec, empty_store, computed):
    with pytest.raises(RunCancelled):
        extract(spec, empty_store, progress=stop_after(10))
    (empty_store.folder(spec.kind, spec.key) / shards.LAYOUT).unlink()
    found = extract(spec, empty_store, execution=replace(EXECUTION, shard_samples=3))
    assert_equal_to_memory(found, spec)


def test_resuming_needs_no_guess_of_the_shard_size(spec, empty_store, computed):
    execution = replace(EXECUTION, shard_samples=None)
    extract(spec, empty_store, execution=execution)
    assert computed == [(0, 1), (0, SAMPLES)]  # one sample to judge by, then all in one shard
    (empty_store.folder(spec.kind, spec.key) / MANIFEST).unlink()
    computed.clear()
    extract(spec, empty_store, execution=execution)
    assert computed == []


def stop_after(samples):
    def progress(done, _total, message, /, **_facts):
        if done >= samples:
            raise RunCancelled(f"Cancelled at {message}")

    return progress


def test_cancelled_work_is_taken_up(spec, empty_store, computed):
    with pytest.raises(RunCancelled):
        extract(spec, empty_store, progress=stop_after(10))
    folder = empty_store.folder(spec.kind, spec.key)
    assert empty_store.find(spec.kind, spec.key) is None
    assert [entry.title for entry in empty_store.entries()] == ["(unfinished)"]
    assert [valid_info(folder, index) is not None for index in range(4)] == [True, True, False, False]
    computed.clear()
    found = extract(spec, empty_store)
    assert computed[0] == (8, 12) and len(computed) == SHARDS - 2
    assert_equal_to_memory(found, spec)


def test_a_full_disk_keeps_the_finished_shards(spec, empty_store, computed, monkeypatch):
    real = safetensors.torch.save_file

    def full(tensors, path):
        if path.name == ".shard-00003.safetensors":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(StoreError, match=r"^Shard 3 of activations \w+ cannot be written to .*: No space left"):
            extract(spec, empty_store)
    folder = empty_store.folder(spec.kind, spec.key)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert [isinstance(valid_info(folder, index), ShardInfo) for index in range(5)] == [True] * 3 + [False] * 2
    computed.clear()
    found = extract(spec, empty_store)
    assert computed[0] == (12, 16) and len(computed) == SHARDS - 3
    assert_equal_to_memory(found, spec)


def test_a_foreign_format_is_refused(spec, empty_store):
    extract(spec, empty_store)
    path = empty_store.folder(spec.kind, spec.key) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ForeignFormatError):
        extract(spec, empty_store)


def test_parts_of_an_extraction_are_the_whole(spec, empty_store, computed):
    """As two workers do it: every other shard each, then one that finds all of them there."""
    context = Context(execution=EXECUTION)
    for part in (1, 0):
        computed.clear()
        keep.make_part(spec, part, 2, store=empty_store, context=context)
        mine = list(range(part, SHARDS, 2))
        assert computed == [(PER_SHARD * index, min(PER_SHARD * (index + 1), SAMPLES)) for index in mine]
    computed.clear()
    keep.make_node(spec, store=empty_store, context=context)
    assert computed == [] and empty_store.manifest(spec.kind, spec.key)["computed_shards"] == 0
    assert_equal_to_memory(extract(spec, empty_store), spec)


@pytest.mark.parametrize(
    ("width", "limit", "expected"), [(768, None, 3), (768, 100, 1), (64, None, 1), (None, None, 3)]
)
def test_only_large_extractions_are_split(width, limit, expected, spec, monkeypatch):
    monkeypatch.setattr(extraction, "width_of", lambda _model: width)
    asked = spec.replace(data=replace(spec.data, limit=limit))
    assert extraction.parts(asked, 3) == expected


def test_two_threads_compute_once(spec, empty_store, computed):
    results = []
    threads = [threading.Thread(target=lambda: results.append(extract(spec, empty_store))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2 and len(computed) == SHARDS
    torch.testing.assert_close(results[0][1].values, results[1][1].values)


VICTIM = """
import os, sys, time
from pathlib import Path
from contrasim_core import Store, runs
from contrasim_core.activations.spec import Execution

def progress(done, total, message, /, **facts):
    print(done, flush=True)
    if done >= 4 * 5:
        time.sleep(600)  # shard 4 is computed but not written: the kill hits here

runs.run(runs.read_spec(Path(sys.argv[1]).read_text()), store=Store(sys.argv[2], example=None),
         execution=Execution(batch_size=2, shard_samples=4, device="cpu"), progress=progress)
"""


def kill_in_the_middle(spec, store, tmp_path):
    """Start the request in a process of its own and kill it, without warning, in the middle of its fifth shard."""
    (tmp_path / "spec.json").write_text(spec.to_json())
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(tmp_path / "spec.json"), str(store.root)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in victim.stdout:
            if float(line) >= 20:
                break
        else:
            raise AssertionError(victim.stderr.read())
        time.sleep(0.2)
        assert victim.poll() is None
        os.kill(victim.pid, signal.SIGKILL)
    finally:
        victim.kill()
        victim.communicate()
    assert victim.returncode == -signal.SIGKILL


def test_killed_extraction_is_taken_up_where_it_was(spec, empty_store, computed, tmp_path):
    kill_in_the_middle(spec, empty_store, tmp_path)
    folder = empty_store.folder(spec.kind, spec.key)
    finished = [index for index in range(SHARDS) if valid_info(folder, index) is not None]
    assert finished == [0, 1, 2, 3]
    assert empty_store.find(spec.kind, spec.key) is None
    before = files_of(folder, finished)
    found = extract(spec, empty_store)
    assert computed == [(4 * index, min(4 * index + 4, SAMPLES)) for index in range(4, SHARDS)]
    assert files_of(folder, finished) == before, "finished shards are the very same files"
    assert empty_store.manifest(spec.kind, spec.key)["computed_shards"] == SHARDS - 4
    assert verify(folder) == []
    assert_equal_to_memory(found, spec)


def test_two_stores_do_not_share(spec, tmp_path, computed):
    extract(spec, Store(tmp_path / "a", example=None))
    extract(spec, Store(tmp_path / "b", example=None))
    assert len(computed) == 2 * SHARDS
