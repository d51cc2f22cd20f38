"""Artifacts are written whole or not at all, found again, pruned by last use, and never touched outside the store."""

import json
import multiprocessing
import os
import resource
import time

import pytest

from contrasim_core import store as module
from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.errors import DamagedArtifactError, ForeignFormatError, MissingArtifactError, StoreError
from contrasim_core.refs import DatasetRef, ModelRef
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kinds import stored_spec
from contrasim_core.store import MANIFEST, Store, default_root, write_atomic

DATA = DatasetRef(name="digits", kind="bundled")
A, B = (ExtractionSpec(model=ModelRef(name=name, kind="hub"), data=DATA) for name in "ab")
SPEC = CompareSpec(a=A, b=B)
OTHER = CompareSpec(a=A, b=B, groups=0)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache", example=None)


def fill(folder, size=100):
    (folder / "data.bin").write_bytes(b"x" * size)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_write_and_find(store):
    assert store.find(SPEC.kind, SPEC.key) is None
    folder = store.write(SPEC, "A title", fill)
    assert folder == store.find(SPEC.kind, SPEC.key) == store.need(SPEC.kind, SPEC.key)
    assert folder == store.root / "comparison" / SPEC.key
    manifest = store.manifest(SPEC.kind, SPEC.key)
    assert (manifest["title"], manifest["key"], manifest["format"]) == ("A title", SPEC.key, 1)
    assert manifest["versions"]["numpy"]
    assert stored_spec(store, SPEC.kind, SPEC.key) == SPEC


def test_writing_again_replaces(store):
    store.write(SPEC, "old", fill)
    folder = store.write(SPEC, "new", lambda path: (path / "other").touch())
    assert names(folder) == [MANIFEST, "other"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_failed_write_is_named_and_leaves_nothing(error, store):
    store.write(OTHER, "before", fill)

    def broken(folder):
        fill(folder)
        raise error

    with pytest.raises(
        StoreError, match=rf"comparison {SPEC.key} cannot be written to .*: {error.strerror}\. Free some space"
    ):
        store.write(SPEC, "title", broken)
    assert names(store.root / "comparison") == [OTHER.key]
    assert store.find(SPEC.kind, SPEC.key) is None


def test_failed_write_keeps_what_was_there(store):
    folder = store.write(SPEC, "old", fill)

    def broken(_folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError):
        store.write(SPEC, "new", broken)
    assert names(folder) == ["data.bin", MANIFEST]
    assert store.manifest(SPEC.kind, SPEC.key)["title"] == "old"


def test_bug_in_fill_is_not_dressed_up_and_leaves_nothing(store):
    def broken(_folder):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(SPEC, "title", broken)
    assert names(store.root / "comparison") == []


@pytest.fixture
def full_disk():
    """The operating system itself refuses files above a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_a_store_error(store, full_disk):
    full_disk(50)
    with pytest.raises(StoreError, match="File too large"):
        store.write(SPEC, "title", fill)
    assert names(store.root / "comparison") == []


def test_full_disk_at_the_manifest_leaves_no_finished_artifact(store, full_disk):
    full_disk(150)  # the data fit, the manifest does not
    with pytest.raises(StoreError, match="The manifest of comparison"):
        store.write(SPEC, "title", fill)
    assert store.find(SPEC.kind, SPEC.key) is None
    assert names(store.root / "comparison") == []


def test_store_where_nothing_can_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file", example=None)
    with pytest.raises(StoreError, match="cannot be written"):
        store.write(SPEC, "title", fill)
    with pytest.raises(StoreError, match="The lock of comparison"), store.lock(SPEC.kind, SPEC.key):
        pass


def test_write_atomic_leaves_the_old_text_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomic(path, "old")

    def broken(*_args):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(type(path), "replace", broken)
    with pytest.raises(OSError, match="Input/output"):
        write_atomic(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["x.json"]


def test_missing_artifact_is_told(store):
    with pytest.raises(MissingArtifactError, match=rf"^No comparison {SPEC.key} in .*\. Run it again, or check"):
        store.need(SPEC.kind, SPEC.key)
    with pytest.raises(MissingArtifactError):
        store.manifest(SPEC.kind, SPEC.key)
    with pytest.raises(MissingArtifactError):
        store.remove(SPEC.kind, SPEC.key)


@pytest.mark.parametrize("key", ["..", ".", "", "../encoders/x", "/etc", "a/b", ".hidden", "a\x00b"])
def test_nothing_outside_the_store_is_touched(key, store):
    store.write(SPEC, "title", fill)
    for verb in (store.find, store.need, store.remove, store.manifest):
        with pytest.raises(MissingArtifactError, match="is not the name of an artifact"):
            verb("comparison", key)
    with pytest.raises(MissingArtifactError):
        store.remove(key, SPEC.key)
    assert store.find(SPEC.kind, SPEC.key) is not None


def test_foreign_format_is_refused_with_advice(store):
    folder = store.write(SPEC, "title", fill)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format": 7}))
    with pytest.raises(
        ForeignFormatError, match=r"was written in store format 7; this version reads format 1\. Delete .* and"
    ):
        store.find(SPEC.kind, SPEC.key)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_damaged_manifest_is_told_and_does_not_hide_the_others(text, store):
    store.write(OTHER, "sound", fill)
    folder = store.write(SPEC, "title", fill)
    (folder / MANIFEST).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DamagedArtifactError, match=rf"The manifest of comparison {SPEC.key} is damaged\. Delete "):
        store.find(SPEC.kind, SPEC.key)
    assert {entry.title for entry in store.entries()} == {"(damaged)", "sound"}


def test_entries_describe_what_is_there(store):
    store.write(SPEC, "A title", lambda folder: fill(folder, 5000))
    (store.root / "activations" / "0123456789abcdef").mkdir(parents=True)
    (store.root / "activations" / ".0123456789abcdef-draft").mkdir()
    by_key = {entry.key: entry for entry in store.entries()}
    assert set(by_key) == {SPEC.key, "0123456789abcdef"}
    done, unfinished = by_key[SPEC.key], by_key["0123456789abcdef"]
    assert (done.title, done.complete, done.bundled, done.kind) == ("A title", True, False, "comparison")
    assert 5000 < done.size < 8000 and abs(done.created - time.time()) < 60
    assert (unfinished.title, unfinished.complete) == ("(unfinished)", False)
    assert [entry.key for entry in store.entries(kinds=("comparison",))] == [SPEC.key]


def use(store, spec, when):
    """Pretend that an artifact was last used at that time."""
    folder = store.find(spec.kind, spec.key)
    os.utime(folder / "used", (when, when))


def three(store):
    specs = [CompareSpec(a=A, b=B, groups=groups) for groups in (2, 3, 4)]
    for when, spec in enumerate(specs):
        store.write(spec, f"number {when}", lambda folder: fill(folder, 10_000))
        use(store, spec, 1_000_000 + when)
    return specs


def test_entries_are_sorted_by_last_use(store):
    oldest, middle, newest = three(store)
    assert [entry.key for entry in store.entries()] == [newest.key, middle.key, oldest.key]
    store.find(oldest.kind, oldest.key)  # reading is using
    assert store.entries()[0].key == oldest.key


def test_prune_deletes_the_least_recently_used_until_the_rest_fits(store):
    oldest, middle, newest = three(store)
    use(store, oldest, 2_000_000)
    assert [entry.key for entry in store.prune(25_000)] == [middle.key]
    assert {entry.key for entry in store.entries()} == {oldest.key, newest.key}
    assert sum(entry.size for entry in store.entries()) <= 25_000


def test_prune_leaves_what_fits_to_the_byte(store):
    three(store)
    total = sum(entry.size for entry in store.entries())
    assert store.prune(total) == []
    assert len(store.prune(total - 1)) == 1


def test_an_entry_was_created_when_its_manifest_says(store):
    oldest, *_ = three(store)
    path = store.folder(oldest.kind, oldest.key) / module.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": 1234.5}))
    assert next(entry.created for entry in store.entries() if entry.key == oldest.key) == 1234.5


def test_prune_leaves_what_fits_and_can_delete_all(store):
    three(store)
    assert store.prune(1_000_000) == []
    assert len(store.prune(0)) == 3 and store.entries() == []


def test_prune_sweeps_only_old_drafts(store):
    for name, age in (("old", 2 * module.DRAFT_SECONDS), ("new", 0)):
        draft = store.root / "comparison" / f".{SPEC.key}-{name}"
        draft.mkdir(parents=True)
        os.utime(draft, (time.time() - age, time.time() - age))
    store.prune(10**9)
    assert names(store.root / "comparison") == [f".{SPEC.key}-new"]


def test_example_is_read_but_never_deleted_or_touched(tmp_path):
    bundled = Store(tmp_path / "example", example=None)
    source = bundled.write(SPEC, "bundled", fill)
    store = Store(tmp_path / "cache", example=tmp_path / "example")
    assert store.find(SPEC.kind, SPEC.key) == source
    assert not (source / "used").exists()
    assert [entry.bundled for entry in store.entries()] == [True]
    assert store.prune(0) == []
    with pytest.raises(MissingArtifactError):
        store.remove(SPEC.kind, SPEC.key)
    own = store.write(SPEC, "own", fill)
    assert store.find(SPEC.kind, SPEC.key) == own != source


def test_read_only_store_does_without_the_last_use(store, monkeypatch):
    folder = store.write(SPEC, "title", fill)

    def broken(*_args, **_more):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(folder), "touch", broken)
    assert store.find(SPEC.kind, SPEC.key) == folder


def test_default_root_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("CONTRASIM_CACHE", str(tmp_path / "here"))
    assert Store().root == default_root() == tmp_path / "here"
    monkeypatch.delenv("CONTRASIM_CACHE")
    assert default_root().name == "cache"


def test_only_folders_with_keys_are_artifacts(store):
    store.write(SPEC, "A title", fill)
    for name in ("jobs/0123456789ab", "locks/x.lock", "run/dask", "comparison/.draft-0a"):
        (store.root / name).mkdir(parents=True)
    assert [(entry.kind, entry.key) for entry in store.entries()] == [(SPEC.kind, SPEC.key)]
    assert store.entries(["encoders"]) == []


def compute_once(root, ready, log):
    """What every verb does: look, lock, look again, compute."""
    store = Store(root, example=None)
    ready.wait()
    if store.find(SPEC.kind, SPEC.key) is None:
        with store.lock(SPEC.kind, SPEC.key):
            if store.find(SPEC.kind, SPEC.key) is None:
                with log.open("a") as lines:
                    lines.write(f"{os.getpid()}\n")
                time.sleep(0.3)
                store.write(SPEC, "title", fill)


def test_two_processes_compute_a_key_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, log = context.Barrier(2), tmp_path / "computed"
    workers = [context.Process(target=compute_once, args=(tmp_path / "cache", ready, log)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(log.read_text().split()) == 1
    assert Store(tmp_path / "cache", example=None).find(SPEC.kind, SPEC.key) is not None


def hold(root, held):
    with Store(root, example=None).lock(SPEC.kind, SPEC.key):
        held.set()
        time.sleep(600)


def test_lock_is_freed_when_its_holder_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, held))
    holder.start()
    try:
        assert held.wait(60)
    finally:
        holder.kill()
        holder.join(60)
    with Store(tmp_path, example=None).lock(SPEC.kind, SPEC.key):
        pass


def test_lock_is_freed_after_an_error(store):
    with pytest.raises(ZeroDivisionError), store.lock(SPEC.kind, SPEC.key):
        raise ZeroDivisionError
    with store.lock(SPEC.kind, SPEC.key):
        pass
