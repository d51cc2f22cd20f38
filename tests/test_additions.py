"""Adding a measure, a data source or a kind of run touches as few files as CONTRIBUTING says: each is added and run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


class Copy:
    """The sources in a folder of their own, and which files of them were touched."""

    def __init__(self, root: Path) -> None:
        self.root, self.touched = root, []
        ignored = shutil.ignore_patterns("__pycache__", "weights")
        shutil.copytree(ROOT / "contrasim_core", root / "contrasim_core", ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        weights = ROOT / "contrasim_core" / "zoo" / "weights" / "digits-vit-0"
        shutil.copytree(weights, root / "contrasim_core" / "zoo" / "weights" / "digits-vit-0")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.touched.append(name)

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
            text = text.replace(old, new)
        self.write(name, text)

    def run(self, code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def floors(self) -> None:
        linter = Path(sys.executable).with_name("lint-imports")
        done = subprocess.run([linter, "--no-cache"], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def files_in_guide(heading: str) -> list[str]:
    """The files that CONTRIBUTING lists under a heading, in backquotes at the start of an item."""
    section = GUIDE.split(f"### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]
    return re.findall(r"^\d\. `([^`]+)`", section, flags=re.MULTILINE)


MEASURE_ROW = """    MeasureFacts(
        id="overlap.signs",
        label="Equal signs",
        formulas="signs.SIGNS",
        colour=17,
        source="doi.org/10.0000/none",
        formula="s",
        invariant_to=("scale",),
        same_width=True,
        streams=False,
        options={"margin": 0.0},
    ),
"""
MEASURE_FILE = '''"""Share of equal signs."""

from contrasim_core.measure.base import Formulas


def share(pair, margin):
    return float(((pair.a.finite > margin) == (pair.b.finite > margin)).double().mean())


SIGNS = Formulas(pair=share, stacked=lambda x, y, margin: ((x > margin) == (y > margin)).double().mean((-2, -1)))
'''
MEASURE_IN_USE = """
import json, torch
import contrasim_core as cs
from contrasim_core.commands import main
from contrasim_core.figures.theme import measure_style
from contrasim_core.measure import facts
from contrasim_core.measure.batched import batched
from contrasim_core.measure.closed_form import closed_form
x, y = torch.tensor([[1.0, -1.0], [2.0, 3.0]]), torch.tensor([[1.0, 1.0], [2.0, -3.0]])
grid = cs.similarity_grid([x, y], [x, y], "overlap.signs")
print(json.dumps([
    cs.similarity(x, y, "overlap.signs"), cs.similarity(x, y, "overlap.signs", margin=1.5), grid.values.tolist(),
    grid.label, batched(closed_form("overlap.signs"))(x[None], y[None]).tolist(),
    "overlap.signs" in facts.expand_measures("all"), "overlap.signs" in facts.expand_measures("closed-form"),
    "overlap.signs" in facts.LEARNED_IDS, measure_style("overlap.signs")[0], "overlap.signs" in str(cs.measures()),
]))
assert main.main(["measures", "--json"]) == 0
"""


def test_a_measure_is_one_file_and_one_row(copy):
    copy.write("contrasim_core/measure/signs.py", MEASURE_FILE)
    table = (copy.root / "contrasim_core/measure/table.py").read_text(encoding="utf-8")
    copy.write("contrasim_core/measure/table.py", table.rstrip().removesuffix(")") + MEASURE_ROW + ")\n")
    values, _, printed = copy.run(MEASURE_IN_USE).partition("\n")
    assert json.loads(values) == [
        0.5, 0.75, [[1.0, 0.5], [0.5, 1.0]], "Equal signs", [0.5], True, True, False, "#D55E00", True,
    ]  # fmt: skip
    assert json.loads(printed)[-1]["id"] == "overlap.signs"
    copy.floors()
    assert [name.replace("signs", "NAME") for name in copy.touched] == files_in_guide("A measure")
    assert len(copy.touched) == 2


def test_a_data_source_is_one_file_and_one_row(copy):
    copy.write(
        "contrasim_core/data/counting.py",
        '"""Numbers as texts."""\n\n\ndef counting(split):\n'
        '    numbers = range(6) if split == "test" else range(6, 20)\n'
        '    return [f"number {n}" for n in numbers], [str(n) for n in numbers]\n',
    )
    copy.edit(
        "contrasim_core/data/catalog.py",
        ("from contrasim_core.data import files,", "from contrasim_core.data import counting, files,"),
        (
            "BUNDLED: tuple[BundledData, ...] = (\n",
            'BUNDLED: tuple[BundledData, ...] = (\n    BundledData("counting", "text", "Numbers",'
            ' {"train": 14, "test": 6}, _python, counting.counting),\n',
        ),
    )
    code = "from contrasim_core.data import load_data; print(load_data('counting').texts[5])"
    assert copy.run(code) == "number 5"
    copy.floors()
    assert [name.replace("counting", "NAME") for name in copy.touched] == files_in_guide("A data source")
    assert len(copy.touched) == 2


def test_a_kind_of_run_is_one_folder_one_row_and_one_page_file(copy):
    """The folder's files count as one: nobody else knows them but the table."""
    folder = "contrasim_core/runs/width/"
    copy.write(folder + "__init__.py", '"""How wide are the layers?"""\n')
    copy.write(
        folder + "spec.py",
        "from dataclasses import dataclass\nfrom typing import ClassVar\n\n"
        "from contrasim_core.activations.spec import ExtractionSpec\nfrom contrasim_core.spec import Spec\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass WidthSpec(Spec):\n"
        '    kind: ClassVar[str] = "width"\n    source: ExtractionSpec\n',
    )
    copy.write(
        folder + "run.py",
        "from dataclasses import dataclass\n\nfrom contrasim_core.result import read_json, write_json\n\n\n"
        "@dataclass\nclass Widths:\n    widths: list\n\n"
        '    def save(self, folder):\n        write_json(folder / "result.json", {"widths": self.widths})\n\n\n'
        "def needs(spec):\n    return (spec.source,)\n\n\n"
        'def title(spec):\n    return f"Widths of {spec.source.model.label}"\n\n\n'
        "def make(spec, have, context):\n"
        "    return Widths([layer.values.shape[1] for layer in have[spec.source]])\n\n\n"
        'def load(spec, folder):\n    return Widths(read_json(folder / "result.json")["widths"])\n',
    )
    copy.edit(
        "contrasim_core/runs/kinds.py",
        (
            "from contrasim_core.runs.training import run as training\n",
            "from contrasim_core.runs.training import run as training\n"
            "from contrasim_core.runs.width import run as width\n"
            "from contrasim_core.runs.width.spec import WidthSpec\n",
        ),
        (
            "KINDS: tuple[Kind, ...] = (\n",
            "KINDS: tuple[Kind, ...] = (\n    Kind(spec=WidthSpec, run=width, page=None,"
            " verb='Measuring', noun='layers', product='widths'),\n",
        ),
    )
    code = """
from contrasim_core import Store, runs
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.runs.width.spec import WidthSpec
spec = WidthSpec(source=extraction_spec("digits-vit-0", "digits", pooling="cls", limit=8))
store = Store("cache", example=None)
print([node.spec.kind for node in runs.plan(spec, store).missing])
print(runs.run(spec, store=store).widths)
again = runs.read_spec(spec.to_json())
print(again == spec, len(runs.plan(spec, store).missing), runs.title_of(spec))
"""
    assert copy.run(code).splitlines() == [
        "['activations', 'width']",
        str([64] * 7),
        "True 0 Widths of digits-vit-0",
    ]
    places = list(dict.fromkeys(folder if name.startswith(folder) else name for name in copy.touched))
    guide = files_in_guide("A kind of run (such as a benchmark)")
    assert [name.replace("width", "NAME") for name in places] == guide[:2]
    assert guide[2:] == ["pages/_ui/NAME.py"], "and what draws it, where a page shows it"
    copy.floors()
