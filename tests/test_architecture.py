"""The architecture is held by tests: levels, light imports, no user interface and no numerics where they do not belong.

Every rule is a function over a source tree, and every rule is also shown to fail on a small bad tree.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from contrasim_core.runs.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "contrasim_core"
PAGES = ROOT / "pages"

LIGHT_FILES = (
    "spec",
    "result",
    "presets",
    "figures",
    "words",
    "insights",
    "kind",
    "kinds",
    "keep",
    "run",
    "estimate",
    "snippets",
)
"""Files under `runs` that pages import: neither they nor anything they import loads torch."""
LIGHT = (
    "refs",
    "spec",
    "result",
    "store",
    "figures",
    "models.find",
    "models.pooling",
    "measure.facts",
    "measure.table",
    "engine.dask",
)
HEAVY = ("torch", "transformers", "umap", "faiss")
NOT_IN_PAGES = ("torch", "numpy", "sklearn", "faiss", "umap", "transformers")


def modules(package: Path) -> dict[str, Path]:
    """Dotted names of a package's modules, without the package's own name; `a.__init__` is called `a`."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, wherever in the file; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def floors(root: Path) -> str:
    """What import-linter finds wrong with the package in a folder that also holds `pyproject.toml`; or nothing."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def sideways(runs: Path) -> list[str]:
    """Imports by a kind's folder of another kind, or of what stands above the kinds."""
    kinds = {path.name for path in runs.iterdir() if path.is_dir() and path.name != "__pycache__"}
    above = {path.stem for path in runs.glob("*.py")} - {"kind", "intervals", "__init__"}
    wrong = []
    for kind in sorted(kinds):
        for path in sorted((runs / kind).rglob("*.py")):
            for line, name in imports(path):
                parts = name.split(".")
                if parts[:2] == ["contrasim_core", "runs"] and parts[2:3] and parts[2] in (kinds | above) - {kind}:
                    wrong.append(f"{path.relative_to(runs)}:{line} imports {'.'.join(parts[2:])}")
    return wrong


def spec_chains(folder: Path, specs: Collection[str], most: int = 2) -> list[str]:
    """Files that ask of which class a spec is more often than `most` times, or that name most of the classes."""
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        asked = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "isinstance"
            and any(isinstance(name, ast.Name) and name.id in specs for name in ast.walk(node.args[1]))
        ]
        if len(asked) > most:
            wrong.append(f"{path.relative_to(folder)} asks {len(asked)} times which spec it has")
        named = {name.rpartition(".")[2] for _, name in imports(path)} & set(specs)
        if len(named) > len(specs) - 3:
            wrong.append(f"{path.relative_to(folder)} knows {len(named)} of {len(specs)} specs")
    return wrong


def too_long(folder: Path, lines: int, of_function: int) -> list[str]:
    """Files over so many lines, and functions over so many."""
    wrong = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > lines:
            wrong.append(f"{path.relative_to(folder)} has {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > of_function:
                wrong.append(
                    f"{path.relative_to(folder)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1}"
                )
    return wrong


def imports_of(folder: Path, banned: Collection[str]) -> list[str]:
    """Imports of banned libraries, or of anything in them, by any file under a folder."""
    return [
        f"{path.relative_to(folder)}:{line} imports {name}"
        for path in sorted(folder.rglob("*.py"))
        for line, name in imports(path)
        if name.split(".")[0] in banned
    ]


def noise_and_globals(package: Path) -> list[str]:
    """Calls of `print`, imports of `tqdm`, and `global` statements."""
    wrong = imports_of(package, ("tqdm",))
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(f"{path.relative_to(package)}:{node.lineno} prints")
            elif isinstance(node, ast.Global):
                wrong.append(f"{path.relative_to(package)}:{node.lineno} changes a global")
    return wrong


def fails_without(names: Collection[str], blocked: Collection[str], root: Path) -> str:
    """Import modules in a fresh process in which some libraries cannot be imported; the error, or nothing."""
    code = f"import sys; sys.modules.update(dict.fromkeys({list(blocked)!r}))\n"
    code += "\n".join(f"import {name}" for name in names)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def loaded_by(statement: str, watched: Collection[str], root: Path) -> list[str]:
    """Which of the watched libraries a statement loads in a fresh process."""
    code = f"import sys\n{statement}\nprint(*[name for name in {list(watched)!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.split()


# ---- the rules hold here


def test_the_floors_of_the_house():
    """Levels, exhaustive; and folders of `runs` that do not know each other."""
    assert floors(ROOT) == ""


def test_kinds_of_runs_do_not_know_each_other():
    assert sideways(CORE / "runs") == []


def test_one_table_knows_all_kinds():
    specs = {kind.spec.__name__ for kind in KINDS}
    for folder in (CORE, PAGES):
        assert [item for item in spec_chains(folder, specs) if not item.startswith("runs/kinds.py")] == []


def test_nothing_is_too_long():
    for folder in (CORE, PAGES):
        assert too_long(folder, 350, 60) == []


def test_core_never_imports_streamlit():
    assert imports_of(CORE, ("streamlit",)) == []


def test_core_does_not_print_and_has_no_global_state():
    assert noise_and_globals(CORE) == []


def test_pages_import_no_numerics():
    files = list(PAGES.rglob("*.py"))
    if not files:
        pytest.skip("there are no pages yet")
    assert imports_of(PAGES, NOT_IN_PAGES) == []


def test_light_modules_work_without_heavy_libraries():
    names = [name for name in modules(CORE) if name in LIGHT or name.startswith("figures.")]
    names += [name for name in modules(CORE) if name.startswith("runs.") and name.rpartition(".")[2] in LIGHT_FILES]
    assert len(names) > 40
    assert fails_without([f"contrasim_core.{name}" for name in names], HEAVY, ROOT) == ""


def test_import_of_the_package_is_light():
    assert loaded_by("import contrasim_core", HEAVY, ROOT) == []


def test_core_works_without_streamlit():
    names = [f"contrasim_core.{name}" for name in ("api", "runs.keep", "engine.dask", "commands.main", "figures")]
    assert fails_without(names, ("streamlit",), ROOT) == ""


# ---- and would be seen to break


@pytest.fixture
def tree(tmp_path):
    """A package with the good modules `low` (level 0) and `part` (level 1); returns a function to add a file."""

    def add(name, text):
        path = tmp_path / "bad" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tmp_path / "bad"

    add("__init__.py", "")
    add("low.py", "import json\n")
    add("part/__init__.py", "")
    add("part/one.py", "from bad.low import x\nfrom bad.part import two\n")
    add("part/two.py", "")
    return add


def house(tmp_path):
    """A copy of the package's sources with its rules; returns a function to add a file."""
    shutil.copytree(CORE, tmp_path / "contrasim_core", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def add(name, text):
        path = tmp_path / "contrasim_core" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return add


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("measure/new.py", "from contrasim_core.encoder.net import encode", "measure is not allowed to import"),
        ("models/new.py", "def f():\n    from contrasim_core.data import base", "models is not allowed to import"),
        ("runs/kind.py", "from contrasim_core.runs import keep", "kind is not allowed to import"),
        ("stray.py", "", "contrasim_core.stray"),
    ],
)
def test_guard_sees_a_wrong_floor(tmp_path, name, text, message):
    house(tmp_path)(name, text)
    assert message in floors(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "from contrasim_core.runs.b import spec",
        "from contrasim_core.runs import b",
        "import contrasim_core.runs.b",
        "def f():\n    from contrasim_core.runs import keep",
    ],
)
def test_guard_sees_a_kind_that_knows_another(tmp_path, text):
    for name in ("a/__init__.py", "b/__init__.py", "keep.py", "kind.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("from contrasim_core.runs import kind\n")
    (tmp_path / "a" / "spec.py").write_text("from contrasim_core.runs.a import x\n")
    assert sideways(tmp_path) == []
    (tmp_path / "a" / "run.py").write_text(text)
    assert len(sideways(tmp_path)) == 1


def test_guard_sees_a_chain_and_a_second_table(tmp_path):
    chain = "\n".join(f"isinstance(x, {name})" for name in ("A", "B | C", "D"))
    (tmp_path / "chain.py").write_text(chain)
    assert spec_chains(tmp_path, {"A", "B", "C", "D"}) == ["chain.py asks 3 times which spec it has"]
    (tmp_path / "chain.py").write_text("from specs import A, B, C")
    assert spec_chains(tmp_path, {"A", "B", "C", "D", "E"}) == ["chain.py knows 3 of 5 specs"]


def test_guard_sees_what_is_too_long(tmp_path):
    (tmp_path / "long.py").write_text("def f():\n" + "    pass\n" * 5)
    assert too_long(tmp_path, 5, 5) == ["long.py has 6 lines", "long.py:1 f: 6"]
    assert too_long(tmp_path, 6, 6) == []


@pytest.mark.parametrize("text", ["import torch", "import torch.nn as nn", "def f():\n    from torch import nn"])
def test_guard_sees_a_banned_library(tree, text):
    assert len(imports_of(tree("part/page.py", text), ("torch",))) == 1
    assert imports_of(tree("part/page.py", "import torchlike"), ("torch",)) == []


@pytest.mark.parametrize("text", ["print(1)", "from tqdm import tqdm", "def f():\n    global x\n    x = 1"])
def test_guard_sees_noise_and_global_state(tree, text):
    assert len(noise_and_globals(tree("part/one.py", text))) == 1


def test_guard_sees_an_import_of_a_blocked_library(tree):
    root = tree("low.py", "import json").parent
    assert fails_without(["bad.low"], ["json"], root).endswith("import of json halted; None in sys.modules\n")
    assert fails_without(["bad.part"], ["json"], root) == ""


def test_guard_sees_what_an_import_loads(tree):
    root = tree("low.py", "import sqlite3").parent
    assert loaded_by("import bad.low", ["sqlite3", "torch"], root) == ["sqlite3"]
