"""The documentation is true: commands parse, Python blocks run, and every list is complete."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import contrasim_core as cs
from contrasim_core.commands import main as cli
from contrasim_core.data import load_data
from contrasim_core.measure import facts as known
from contrasim_core.models.find import bundled_names
from contrasim_core.store import EXAMPLE

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURES, BENCHMARKS, DEPENDENCIES, CONTRIBUTING = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/measures.md", "docs/benchmarks.md", "docs/dependencies.md", "CONTRIBUTING.md")
)
PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
PROGRAM = r"(?:python -m contrasim_core|contrasim) "


def commands(text):
    """Our commands in a page: lines of its shell blocks, and pieces of its sentences."""
    shell = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    lines = re.findall(rf"^{PROGRAM}([^\n#]+)", shell, flags=re.MULTILINE)
    return [line.strip() for line in (*lines, *re.findall(rf"`{PROGRAM}([^`]+)`", text))]


COMMANDS = [(name, line) for name, text in TEXTS.items() for line in commands(text)]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(text):
    """The Python blocks of a page, each behind as many empty lines as make its line numbers those of the page."""
    found = re.finditer(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return ["\n" * text.count("\n", 0, match.start(1)) + match[1] for match in found]


# ---- commands


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_command_parses(page, line):
    assert cli.parser().parse_args(shlex.split(line)).run, page


def test_readme_shows_every_command():
    shown = {line.split()[0] for page, line in COMMANDS if page == "README.md"}
    names = set(cli.parser()._subparsers._group_actions[0].choices)
    assert names - shown == {"example"}, "show the command in README.md (example has a make target)"


@pytest.mark.parametrize("name", ["README.md", "docs/benchmarks.md", "CONTRIBUTING.md"])
def test_make_targets_exist(name):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = re.findall(r"(?:^|`)make (\w+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert named and set(named) <= set(targets)
    assert name != "CONTRIBUTING.md" or set(targets) <= set(named), "CONTRIBUTING.md lists every target"


def test_measurements_that_are_named_exist():
    named = {name for text in TEXTS.values() for name in re.findall(r"python -m (bench[\w.]*)", text)}
    assert named and all((ROOT / f"{name.replace('.', '/')}.py").is_file() for name in named)


# ---- Python


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if blocks(text)])
def test_python_blocks_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONTRASIM_CACHE", str(tmp_path / "cache"))
    namespace = {"__name__": "__main__"}
    for code in blocks(TEXTS[name]):
        exec(compile(code, PAGES[name], "exec"), namespace)  # noqa: S102 - our own documentation


def test_no_python_block_is_missed():
    fences = sum(text.count("```python") for text in TEXTS.values())
    assert fences == sum(len(blocks(text)) for text in TEXTS.values()) > 0
    assert blocks(README)[0].strip().startswith("import numpy as np")


def test_python_blocks_name_public_functions():
    code = "\n".join(block for text in TEXTS.values() for block in blocks(text))
    assert set(re.findall(r"\bcs\.(\w+)", code)) <= set(cs.__all__)


def test_importing_the_package_is_light_and_complete():
    assert set(cs.__all__) <= set(dir(cs))
    with pytest.raises(AttributeError, match="no attribute 'similarty'"):
        cs.similarty  # noqa: B018


# ---- lists and numbers


def row_of(text, cell):
    """The cells of the table row that begins with a cell."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {cell} |"))
    return [part.strip() for part in row.strip("|").split("|")]


@pytest.mark.parametrize("facts", known.measure_facts().values(), ids=lambda facts: facts.id)
def test_measure_is_documented_as_it_is(facts):
    _, label, bounds, unchanged, source = row_of(MEASURES, f"`{facts.id}`")
    low, high = (sign if bound is None else f"{bound:g}" for bound, sign in zip(facts.bounds, ("−∞", "∞"), strict=True))
    assert (label, bounds) == (facts.label, f"{low} … {high}")
    assert set(unchanged.split(", ")) == (set(facts.invariant_to) or {"nothing"})
    assert facts.source in source


def test_no_other_measure_is_documented():
    assert re.findall(r"^\| `([\w.]+)` \|", MEASURES, flags=re.MULTILINE) == list(known.measure_facts())


def test_measures_as_json_are_the_table(capsys):
    assert cli.main(["measures", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in printed] == list(known.measure_facts())
    for item, row in zip(printed, known.measure_facts().values(), strict=True):
        assert {"label", "source", "formula", "bounds", "direction", "invariant_to", "options"} < set(item)
        assert item == json.loads(json.dumps({name: getattr(row, name) for name in item}))


@pytest.mark.parametrize("measure", ["cka.linear", "procrustes", "contrasim", "contrasim.relative"])
def test_accuracies_in_the_readme_are_those_of_the_example(measure):
    key = json.loads((EXAMPLE / "example.json").read_text(encoding="utf-8"))["benchmark"]
    summary = cs.BenchmarkResult.load(EXAMPLE / "benchmark" / key).summary()
    rows = (summary[(summary.measure == measure) & (summary.protocol == name)].iloc[0] for name in ("seen", "unseen"))
    found = [f"{100 * row.accuracy:.0f} % ({100 * row.low:.0f} to {100 * row.high:.0f})" for row in rows]
    assert row_of(README, known.label_of(measure))[1:] == found
    assert f"Chance is {100 * summary.chance.iloc[0]:.0f} %." in README


def test_bundled_families_are_documented_with_their_numbers():
    members = [name.rpartition("-")[0] for name in bundled_names()]
    if not members:
        pytest.skip("no bundled models in this checkout")
    rows = [line.split("|")[1:3] for line in BENCHMARKS.splitlines() if line.startswith("| `")]
    documented = {
        family: int(re.match(r"\s*(\d+) ", models)[1])
        for names, models in rows
        for family in re.findall(r"`([\w-]+)`", names)
    }
    assert documented == {family: members.count(family) for family in members}


@pytest.mark.parametrize(("data", "column", "what"), [("cldr-phrases", "en", "phrases"), ("scenes", "image", "drawn")])
def test_bundled_data_are_as_large_as_documented(data, column, what):
    size = sum(len(load_data(data, split=split, column=column)) for split in ("train", "test"))
    assert f"{size:,} {what}" in BENCHMARKS


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for names in project["optional-dependencies"].values() for text in names]
    development = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in development if line and not line.startswith(("#", "-r"))]
    assert all("==" in line for line in pins)
    names = [Requirement(text).name for text in (*project["dependencies"], *extras, *pins)]
    rows = re.findall(r"^\| ([\w-]+) \| (.+) \|$", DEPENDENCIES, flags=re.MULTILINE)
    assert [name for name, reason in rows if name != "package" and len(reason) > 4] == names


@pytest.mark.parametrize("name", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    page = ROOT / name
    assert [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()] == []


def test_readme_is_short_and_leads_to_every_page():
    assert len(README.splitlines()) < 200
    assert all(f"({name})" in README for name in PAGES if name != "README.md")
