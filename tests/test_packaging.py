"""What pyproject.toml declares, what requirements.txt pins, and where an installed package looks for its things."""

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from contrasim_core import __version__, store

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = {item.name: item for item in map(Requirement, PROJECT["dependencies"])}
PINNED = {
    item.name: item
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if (text := line.partition("#")[0].strip()) and (item := Requirement(text))
}


def test_requirements_pin_what_pyproject_declares():
    assert list(PINNED) == list(DECLARED), "pyproject.toml has the list; requirements.txt follows it, in its order"


@pytest.mark.parametrize("name", DECLARED)
def test_pin_is_one_release_within_the_declared_range(name):
    (only,) = PINNED[name].specifier
    assert only.operator == "=="
    assert any(part.operator == ">=" for part in DECLARED[name].specifier), "say from which release on"
    assert only.version in DECLARED[name].specifier


def test_extras_are_no_part_of_the_plain_installation():
    extra = {Requirement(text).name for names in PROJECT["optional-dependencies"].values() for text in names}
    assert not extra & set(DECLARED)


def test_build_backend_of_the_tests_is_the_declared_one():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    (backend,) = map(Requirement, build["requires"])
    pins = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert re.search(rf"^{backend.name}==(\S+)$", pins, flags=re.MULTILINE)[1] in backend.specifier


def test_console_script_names_a_function():
    point = importlib.metadata.EntryPoint("contrasim", PROJECT["scripts"]["contrasim"], "console_scripts")
    assert callable(point.load())


def test_version_is_said_once():
    assert "version" not in PROJECT
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'version: "{__version__}"' in citation.splitlines()


# ---- where things are


@pytest.fixture
def folder(tmp_path):
    """A folder with a package in it, and a function that adds empty files beside and inside the package."""

    def add(*names):
        for name in ("contrasim_core/__init__.py", *names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "contrasim_core"

    return add


def test_checkout_has_the_app_and_its_project_beside_the_package(folder):
    package = folder("pyproject.toml", "app.py")
    assert store.checkout_of(package) == package.parent


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("app.py",),
        ("pyproject.toml",),
        ("app.py", "pyproject.toml", "contrasim_core/_dashboard/app.py"),  # others put their files into site-packages
    ],
)
def test_installed_package_is_no_checkout(folder, files):
    assert store.checkout_of(folder(*files)) is None


def installed(monkeypatch, package):
    """The module `store` as it would be if it lay in another package."""
    source = Path(store.__file__)
    spec = importlib.util.spec_from_loader("store_elsewhere", loader=None, origin=str(package / source.name))
    module = importlib.util.module_from_spec(spec)
    module.__file__ = spec.origin
    monkeypatch.setitem(sys.modules, spec.name, module)
    exec(compile(source.read_text(encoding="utf-8"), source, "exec"), module.__dict__)  # noqa: S102 - our own module
    return module


def test_checkout_keeps_its_cache_and_its_example_at_the_top(monkeypatch):
    monkeypatch.delenv("CONTRASIM_CACHE", raising=False)
    assert (store.CHECKOUT, store.DASHBOARD, store.EXAMPLE) == (ROOT, ROOT, ROOT / "cache" / "example")
    assert store.default_root() == ROOT / "cache"


def test_installed_package_keeps_nothing_beside_itself(monkeypatch, folder, tmp_path):
    package = folder("contrasim_core/_dashboard/app.py")
    found = installed(monkeypatch, package)
    monkeypatch.delenv("CONTRASIM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    inside = package / "_dashboard"
    assert found.CHECKOUT is None
    assert inside == found.DASHBOARD
    assert inside / "example" == found.EXAMPLE
    assert package not in found.default_root().parents
    if sys.platform == "linux":
        assert found.default_root() == tmp_path / "home" / "contrasim"
    monkeypatch.setenv("CONTRASIM_CACHE", "~/here")
    assert found.default_root() == Path("~/here").expanduser()


def test_module_runs_as_a_program():
    command = [sys.executable, "-m", "contrasim_core", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"contrasim {__version__}\n"
