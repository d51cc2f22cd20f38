"""The architecture is held by tests: levels, light imports, no user interface and no numerics where they do not belong.

Every rule is a function over a source tree, and every rule is also shown to fail on a small bad tree.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "contrasim_core"
PAGES = ROOT / "pages"

LEVEL = {
    # names and numbers: standard library, numpy and pandas only
    "errors": 0,
    "refs": 1,
    "glossary": 1,
    "specs": 2,
    "results": 2,
    "progress": 2,
    # building blocks
    "retrieval_results": 3,
    "projection_results": 3,
    "activations": 3,
    "linalg": 3,
    "pooling": 3,
    "hooks": 3,
    "zoo.architectures": 3,  # apart from the other recipes: `models` registers it before it loads a model
    "snippets": 3,
    "insights": 4,
    "figures": 4,
    "data": 4,
    "models": 4,
    "store": 4,
    "measure": 4,
    "neighbours": 4,
    "projection": 4,
    # what works with models and with the store
    "batches": 5,
    "shards": 5,
    "encoder": 5,
    "extraction": 6,
    "benchmarks": 6,
    "zoo": 6,
    # the verbs
    "api": 7,
    "presets": 7,
    "retrieval_runs": 7,
    "presets_paired": 8,
    "projection_runs": 8,
    "runs": 9,
    "paper": 10,
    "example": 10,
    "engine": 10,
    "__init__": 10,
    # the command line
    "commands": 11,
    "cli": 12,
    "__main__": 13,
}
"""A module imports lower levels, or its own part; the part is the longest entry that begins its name."""

LIGHT = ("refs", "specs", "results", "retrieval_results", "projection_results", "figures")
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


def part_of(name: str, level: Mapping[str, int]) -> str | None:
    """The longest entry of the table that begins a module's name; None if it has no level."""
    fitting = [part for part in level if name == part or name.startswith(f"{part}.")]
    return max(fitting, key=len, default=None)


def without_level(package: Path, level: Mapping[str, int]) -> list[str]:
    """Modules that the table forgets, and entries of the table that name no module."""
    names = modules(package)
    forgotten = [f"{name} has no level" for name in names if part_of(name, level) is None]
    used = {part_of(name, level) for name in names}
    return forgotten + [f"{part} is no module" for part in level if part not in used]


def upward_imports(package: Path, level: Mapping[str, int]) -> list[str]:
    """Imports of a higher level, or of another part of the same level."""
    known = modules(package)
    wrong = []
    for name, path in known.items():
        here = part_of(name, level)
        for line, target in imports(path):
            there = _target(target, package.name, known, level)
            if here is not None and there is not None and there != here and level[there] >= level[here]:
                wrong.append(f"{name}:{line} (level {level[here]}) imports {there} (level {level[there]})")
    return wrong


def _target(target: str, package: str, known: Collection[str], level: Mapping[str, int]) -> str | None:
    """The part of the package that an imported name belongs to; None if it is from elsewhere."""
    if target.startswith("."):
        return "__init__"  # relative imports are not used; ruff bans them
    first, _, rest = target.partition(".")
    if first != package:
        return None
    while rest and rest not in known:
        rest = rest.rpartition(".")[0]
    return part_of(rest or "__init__", level)


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


def test_every_module_has_a_level():
    assert without_level(CORE, LEVEL) == [], "give a new module its level, and take a removed one out"


def test_modules_import_only_lower_levels_or_their_own_part():
    assert upward_imports(CORE, LEVEL) == []


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
    names = [f"contrasim_core.{name}" for name in modules(CORE) if part_of(name, LEVEL) in LIGHT]
    assert any(".figures." in name for name in names)
    assert fails_without(names, HEAVY, ROOT) == ""


def test_import_of_the_package_is_light():
    assert loaded_by("import contrasim_core", HEAVY, ROOT) == []


def test_core_works_without_streamlit():
    names = [f"contrasim_core.{name}" for name in ("api", "runs", "engine.dask", "cli", "figures")]
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


LEVELS = {"__init__": 9, "low": 0, "part": 1}


def test_guard_accepts_a_good_tree(tree):
    package = tree("low.py", "import json\n")
    assert without_level(package, LEVELS) == upward_imports(package, LEVELS) == noise_and_globals(package) == []


def test_guard_sees_a_module_without_level(tree):
    assert without_level(tree("new.py", ""), LEVELS) == ["new has no level"]
    assert without_level(tree("low.py", ""), {**LEVELS, "new": 3, "gone": 2}) == ["gone is no module"]


@pytest.mark.parametrize(
    "text",
    [
        "from bad.part.one import x",
        "from bad import part",
        "import bad.part.one",
        "def f():\n    from bad.part import one",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bad.part.one import x",
    ],
)
def test_guard_sees_an_upward_import(tree, text):
    (found,) = upward_imports(tree("low.py", text), LEVELS)
    assert found.startswith("low:") and found.endswith("(level 0) imports part (level 1)")


def test_guard_sees_siblings_that_import_each_other(tree):
    assert len(upward_imports(tree("other.py", "from bad.low import x"), {**LEVELS, "other": 0})) == 1


def test_guard_sees_a_part_of_a_package_with_its_own_level(tree):
    package = tree("part/two.py", "from bad.part.one import x")
    assert upward_imports(package, LEVELS) == []
    assert len(upward_imports(package, {**LEVELS, "part.two": 0})) == 1


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
