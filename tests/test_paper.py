"""The paper's tables and figures: the right specs, the paper's layout, its numbers beside ours, and no work twice."""

import json

import pandas as pd
import pytest

from contrasim_core import paper
from contrasim_core.commands import main as cli
from contrasim_core.errors import SpecError
from contrasim_core.models.find import bundled_names
from contrasim_core.store import Store

needs_models = pytest.mark.skipif("scenes-clip-0" not in bundled_names(), reason="no bundled models in this checkout")


def bench(tmp_path, **options):
    return paper.Bench(
        **{
            "scale": "bundled", "store": Store(tmp_path / "store", example=None), "seeds": 1, "epochs": 1,
            "rows": (64, 64), **options,
        }
    )  # fmt: skip


def test_every_table_and_figure_of_the_paper_is_there():
    names = [item.name for item in paper.ITEMS]
    assert names == [*(f"table-{number}" for number in range(1, 9)), "figure-4", "figure-5"]
    with pytest.raises(SpecError, match=r"Unknown table or figure 'table-9'\. It can be: table-1, "):
        paper.item("table-9")


def test_the_papers_numbers_are_whole():
    numbers = paper.paper_numbers()
    assert set(numbers) == {f"table-{number}" for number in range(1, 9)}
    for name, table in numbers.items():
        for row in table["rows"].values():
            assert len(row) == len(table["columns"]), name
            assert all(0 <= cell[0] <= 100 for cell in row)
    assert numbers["table-2"]["rows"]["12"][-1] == [98.9, 0.8]
    assert numbers["table-1"]["rows"]["cka.linear"] == [[71.66], [76.66], [78.18], [74.54]]
    assert len(numbers["table-4"]["rows"]) == 12


@needs_models
def test_a_layerwise_table_has_layers_down_and_measures_across(tmp_path):
    sheets = paper.make(["table-7"], bench(tmp_path), tmp_path / "out")
    wide = sheets["table-7"].wide
    assert list(wide.index) == [str(layer) for layer in range(1, 7)]
    assert list(wide.columns) == [
        f"{kind}: {name}" for kind in ("random", "faiss") for name in ("Dot product", "Norm", "ContraSim (norm)")
    ]
    assert "Chance 9.1 %" in sheets["table-7"].caption
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"table-7.csv", "table-7-numbers.csv", "table-7.md", "table-7.html"}
    laid_out = pd.read_csv(tmp_path / "out/table-7.csv", index_col=0, dtype=str)
    assert list(laid_out.columns) == list(wide.columns)
    assert (laid_out.to_numpy() == wide.to_numpy()).all()
    markdown = (tmp_path / "out/table-7.md").read_text(encoding="utf-8")
    assert markdown.startswith("# Table 7. Multilingual benchmark, further measures\n\n| layer | random: Dot product |")
    long = pd.read_csv(tmp_path / "out/table-7-numbers.csv")
    assert {"measure", "negatives", "layer", "pair", "accuracy", "low", "high", "chance", "trials"} <= set(long.columns)


@needs_models
def test_captions_have_pairs_across(tmp_path):
    made = paper.make(["table-8", "figure-4", "table-5"], bench(tmp_path, rows=(80, 160)), tmp_path / "out")
    assert list(made["table-8"].wide.columns) == [
        f"scenes-{a}-0 → scenes-{b}-0" for a in ("vit", "convnext") for b in ("bert", "gpt2")
    ]
    assert list(made["table-8"].wide.index)[:2] == ["random: Dot product", "random: Norm"]
    assert made["figure-4"].picture is not None
    assert "plotly" in (tmp_path / "out/figure-4.html").read_text(encoding="utf-8")
    assert list(made["table-5"].wide.columns) == ["random", "faiss"]


@needs_models
def test_layer_tables_train_on_either_data_set(tmp_path):
    options = bench(tmp_path, rows=(40, 40), sources={"language models": "docs-bert-0,docs-bert-1"})
    wide = paper.make(["table-6"], options, tmp_path / "out")["table-6"].wide
    assert list(wide.columns) == ["python-docs", "library-docs"]
    assert list(wide.index) == [
        "SVCCA", "Dot product", "Norm", "ContraSim (norm), trained on the first",
        "ContraSim (norm), trained on the second",
    ]  # fmt: skip
    assert (wide != "").all().all()


@needs_models
def test_figure_5_has_both_pictures_and_its_points(tmp_path):
    sheet = paper.make(["figure-5"], bench(tmp_path), tmp_path / "out")["figure-5"]
    assert set(sheet.wide.columns) == {"before", "after"}
    assert len(sheet.long) == 10
    assert len([trace for trace in sheet.picture.data if trace.customdata is not None]) == 4


@needs_models
def test_nothing_is_computed_twice(tmp_path, monkeypatch):
    first = paper.make(["table-7"], bench(tmp_path), tmp_path / "one")
    monkeypatch.setattr("contrasim_core.runs.retrieval.run.make", lambda *_: pytest.fail("computed again"))
    again = paper.make(["table-7"], bench(tmp_path), tmp_path / "two")
    assert again["table-7"].wide.equals(first["table-7"].wide)


@needs_models
def test_on_the_hubs_scale_the_papers_numbers_stand_beside_ours(tmp_path):
    """Real hub code on models and data of the same format that are on this machine."""
    from contrasim_core.models.find import BUNDLED_ROOT

    table = tmp_path / "parallel.tsv"
    from contrasim_core.data import phrases

    part = phrases.phrases().take(range(240))
    rows = ["\t".join(("en", "ar", "zh", "ru", "tr"))]
    rows += ["\t".join(part.sides[name][i] for name in ("en", "ar", "zh", "ru", "tr")) for i in range(240)]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    sources = {"multilingual 1": str(BUNDLED_ROOT / "phrases-bert-0"), "parallel": str(table), "parallel config": ""}
    options = bench(tmp_path, scale="hub", sources=sources)
    wide = paper.make(["table-2"], options, tmp_path / "out")["table-2"].wide
    assert list(wide.index) == [*map(str, range(1, 7)), *(f"paper: {layer}" for layer in range(1, 13))]
    assert wide.loc["paper: 12"].iloc[-1] == "98.9 ± 0.8"
    assert "[" in wide.loc["1"].iloc[0]


@needs_models
def test_layer_tables_of_the_hub_have_the_papers_columns_under_ours(tmp_path):
    """There are no vision models on the hub: the paper's last two columns have nothing to stand beside."""
    roles = {"language models": "docs-bert-0,docs-bert-1", "text 1": "python-docs", "text 2": "library-docs"}
    made = paper.make(["table-1"], bench(tmp_path, scale="hub", rows=(40, 40), sources=roles), tmp_path / "out")
    wide = made["table-1"].wide
    assert list(wide.columns) == ["python-docs", "library-docs"]
    assert wide.loc["paper: Linear CKA"].tolist() == ["71.66", "76.66"]
    assert "paper: ContraSim, trained on the second" in wide.index
    assert (wide != "–").all().all()
    assert all(text.startswith(("python-docs: ", "library-docs: ")) for text in made["table-1"].says)


def test_what_was_not_published_is_said(tmp_path):
    options = bench(tmp_path, scale="hub")
    assert options.source("vision models") is None
    with pytest.raises(SpecError, match=r"give images with captions \(--captioned\): a folder, a zip, or a hub"):
        paper.make(["figure-4"], options, tmp_path / "out")


def test_the_command_lists_and_refuses(capsys):
    assert cli.main(["bench", "paper", "--list", "--json"]) == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)][-1] == "figure-5"
    with pytest.raises(SystemExit):
        cli.main(["bench", "paper", "--table", "9"])
