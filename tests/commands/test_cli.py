"""The command line: what it prints, where it writes, how it ends."""

import csv
import json

import pytest

from contrasim_core.commands import main as cli
from contrasim_core.commands import output
from contrasim_core.models.find import bundled_names

KEYS = ["task", "measure", "protocol", "accuracy", "low", "high", "trials", "chance", "seed"]
needs_models = pytest.mark.skipif(not bundled_names(), reason="no bundled models in this checkout")


def run(capsys, *arguments):
    code = cli.main([str(item) for item in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_measures_as_json_have_the_fields_people_script_against(capsys):
    code, out, _ = run(capsys, "measures", "--json")
    found = {item["id"]: item for item in json.loads(out)}
    assert code == 0
    assert found["cka.linear"]["bounds"] == [0, 1]
    assert found["contrasim.relative"]["needs_anchors"] is True


@pytest.mark.parametrize("command", [[], ["compare"], ["bench", "layer-prediction"], ["cache", "wash"]])
def test_wrong_usage_ends_with_two(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 2


@pytest.mark.parametrize("command", ["extract", "compare", "train", "bench", "zoo", "cache", "up", "jobs"])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"contrasim {command}" in capsys.readouterr().out.split("examples:")[1]


def test_an_error_goes_to_standard_error_and_ends_with_one(capsys, tmp_path):
    code, out, err = run(
        capsys, "extract", "no such model", "--data", "digits", "--pooling", "cls", "--cache", tmp_path
    )
    assert code == 1
    assert out == ""
    assert "Unknown model 'no such model'" in err
    assert "bundled name" in err


def test_an_interrupt_ends_with_130(capsys, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("contrasim_core.store.Store.entries", interrupt)
    code, _, err = run(capsys, "cache", "--cache", tmp_path)
    assert code == 130
    assert "run the same command again to continue" in err


@needs_models
def test_compare_writes_a_grid_with_layer_names(capsys, tmp_path):
    out = tmp_path / "grid.csv"
    code, shown, _ = run(
        capsys, "compare", "digits-vit-0", "digits-vit-1", "--data", "digits", "--limit", 64,
        "--measure", "cka.linear", "--pooling", "cls", "--out", out, "--cache", tmp_path,
    )  # fmt: skip
    rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
    assert code == 0
    assert rows[0] == ["layer", "0", "1", "2", "3", "4", "5", "6"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "2", "3", "4", "5", "6"]
    assert all(0 <= float(value) <= 1 for row in rows[2:] for value in row[2:])
    assert "Linear CKA, n = 64" in shown
    assert "nan" not in shown and "–" in shown
    assert "has no variance: all 64 rows are the same" in shown, "why a row of the table is empty"


@needs_models
def test_compare_of_a_model_with_itself_is_one_on_the_diagonal(capsys, tmp_path):
    code, out, _ = run(
        capsys, "compare", "digits-vit-0", "digits-vit-0", "--data", "digits", "--limit", 64, "--json",
        "--measure", "cka.linear,procrustes", "--pooling", "mean", "--cache", tmp_path,
    )  # fmt: skip
    grids = json.loads(out)["grids"]
    assert code == 0
    for name in ("cka.linear", "procrustes"):
        values = grids[name]["values"]
        assert [values[i][i] for i in range(7)] == pytest.approx([1] * 7, abs=1e-6)


@needs_models
def test_bench_prints_records_with_the_agreed_keys(capsys, tmp_path):
    code, out, _ = run(
        capsys, "bench", "layer-prediction", "--models", "digits-vit-0,digits-vit-1,digits-vit-2,digits-vit-3",
        "--data", "digits", "--pooling", "cls", "--measures", "cka.linear,contrasim", "--seeds", 2, "--epochs", 2,
        "--batch-rows", 256, "--unseen-models", 2, "--rows", 300, "--protocols", "seen,unseen",
        "--cache", tmp_path, "--json",
    )  # fmt: skip
    records = json.loads(out)
    assert code == 0
    assert all(list(record)[:9] == KEYS for record in records)
    assert {record["protocol"] for record in records} == {"seen", "unseen"}
    assert [
        record["seed"] for record in records if record["measure"] == "contrasim" and record["protocol"] == "seen"
    ] == [0, 1]
    for record in records:
        assert 0 <= record["low"] <= record["accuracy"] <= record["high"] <= 1
        assert record["chance"] == pytest.approx(1 / 6)
        assert record["trials"] == (72 if record["protocol"] == "seen" else 12)


@needs_models
def test_cache_lists_verifies_and_prunes(capsys, tmp_path):
    run(capsys, "extract", "digits-vit-0", "--data", "digits", "--limit", 32, "--pooling", "cls", "--cache", tmp_path)
    code, out, _ = run(capsys, "cache", "--json", "--cache", tmp_path)
    own = [item for item in json.loads(out) if not item["bundled"]]
    assert code == 0
    assert [(item["kind"], item["complete"]) for item in own] == [("activations", True)]
    assert run(capsys, "cache", "verify", "--cache", tmp_path)[0] == 0
    shard = next(tmp_path.glob("activations/*/shard-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-8])
    code, out, _ = run(capsys, "cache", "verify", "--cache", tmp_path)
    assert code == 1
    assert "computed again" in out
    assert run(capsys, "cache", "prune", "--max-size", "0", "--cache", tmp_path)[0] == 0
    assert not list(tmp_path.glob("activations/*"))


def test_prune_wants_a_size(capsys, tmp_path):
    code, _, err = run(capsys, "cache", "prune", "--cache", tmp_path)
    assert code == 1
    assert "such as 500M or 2G" in err


def test_a_terminal_gets_a_bar_and_a_pipe_does_not(monkeypatch):
    quiet = output.Output(as_json=False)
    with quiet.progress() as progress:
        progress(1, 2, "half")
    monkeypatch.setattr(type(quiet.errors), "is_terminal", property(lambda _self: True))
    with quiet.progress() as progress:
        progress(1, 2, "half", loss=1.0)


def test_jobs_and_down_on_an_empty_store(capsys, tmp_path):
    assert json.loads(run(capsys, "jobs", "--json", "--cache", tmp_path)[1]) == []
    assert "Nothing was running" in run(capsys, "down", "--cache", tmp_path)[1]
    code, _, err = run(capsys, "jobs", "cancel", "--cache", tmp_path)
    assert code == 1
    assert "needs the id of a job" in err


PAIRED_KEYS = {*KEYS, "layer", "pair", "pair_group", "negatives"}
needs_phrases = pytest.mark.skipif("scenes-clip-0" not in bundled_names(), reason="no bundled models in this checkout")


@needs_phrases
def test_bench_multilingual_prints_records(capsys, tmp_path):
    code, out, _ = run(
        capsys, "bench", "multilingual", "--measures", "dot,contrasim", "--languages", "en,tr,zh", "--rows", 64,
        "--epochs", 1, "--negatives", "random", "--json", "--cache", tmp_path,
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert all(set(item) >= PAIRED_KEYS for item in found)
    assert {item["task"] for item in found} == {"multilingual"}
    assert {item["negatives"] for item in found} == {"random"}
    assert {item["pair_group"] for item in found if item["measure"] == "contrasim"} == {"one", "both"}
    assert all(0 <= item["low"] <= item["accuracy"] <= item["high"] <= 1 for item in found)


@needs_phrases
def test_bench_image_caption_prints_a_table_with_reasons(capsys, tmp_path):
    code, out, _ = run(
        capsys, "bench", "image-caption", "--models", "scenes-clip-0", "--measures", "dot,pwcca", "--rows", 64,
        "--batch", 8, "--metric", "ip", "--cache", tmp_path,
    )  # fmt: skip
    assert code == 0
    assert "Image-caption" in out and "faiss" in out
    assert "pwcca: with batches of 8 rows and 64 features pwcca is at its maximum for any data." in out
