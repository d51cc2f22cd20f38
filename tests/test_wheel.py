"""The package as people get it: built, installed into an environment of its own, and used from another folder."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from contrasim_core import __version__

pytestmark = pytest.mark.wheel

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 120


def run(*command, **options):
    """Run a command to its end; its output, or a failure that shows what it said."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def build(source, folder):
    """The wheel of a checkout or an sdist. No build environment is fetched: requirements-dev.txt has the backend."""
    options = ("--no-deps", "--no-build-isolation", "--check-build-dependencies", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", source, *options, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The file."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


class Installed:
    """An environment with nothing but the wheel, which borrows the dependencies of the one that runs the tests."""

    def __init__(self, wheel, folder):
        self.folder = folder
        run(sys.executable, "-m", "venv", folder / "venv")
        (self.packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        (self.packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run(self.binary("python"), "-m", "pip", "install", "--no-deps", "--no-index", wheel)
        self.elsewhere = folder / "elsewhere"
        (self.elsewhere / "pages").mkdir(parents=True)
        (self.elsewhere / "app.py").write_text("raise SystemExit('not this one')\n")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CONTRASIM_"))}
        self.environment = {**ours, "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "caches")}
        self.cache = folder / "caches" / "contrasim"

    def binary(self, name):
        return self.folder / "venv" / "bin" / name

    def run(self, *command):
        return run(self.binary(command[0]), *command[1:], cwd=self.elsewhere, env=self.environment)

    def files(self):
        """Every file beside and inside the package, with its size and when it was written."""
        facts = ((path, path.stat()) for path in self.packages.rglob("*") if path.is_file())
        return {str(path.relative_to(self.packages)): (stat.st_size, stat.st_mtime_ns) for path, stat in facts}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The environment."""
    return Installed(wheel, tmp_path_factory.mktemp("installed"))


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def tracked(*paths):
    """Files in the repository, or in the folder where there is no repository."""
    if (ROOT / ".git").exists():
        return run("git", "ls-files", "--cached", "--others", "--exclude-standard", *paths, cwd=ROOT).splitlines()
    found = (file for path in paths for file in ((ROOT / path).rglob("*") if (ROOT / path).is_dir() else [ROOT / path]))
    return [str(file.relative_to(ROOT)) for file in found if file.is_file() and file.suffix != ".pyc"]


def test_wheel_has_package_and_dashboard_and_nothing_else(wheel):
    dashboard = tracked("app.py", "pages", ".streamlit", "cache/example")
    inside = {f"contrasim_core/_dashboard/{name.removeprefix('cache/')}" for name in dashboard}
    found = {name for name in contents(wheel) if ".dist-info/" not in name}
    assert found == {*tracked("contrasim_core"), *inside}


def test_wheel_has_what_is_no_python(wheel):
    found = contents(wheel)
    weights = [name for name in found if name.startswith("contrasim_core/zoo/weights/")]
    assert any(name.endswith("model.safetensors") for name in weights)
    assert "contrasim_core/py.typed" in found
    assert any(name.endswith(".json") for name in set(found) - set(weights) if "/_dashboard/" not in name)
    assert f"contrasim-{__version__}.dist-info/licenses/LICENSE" in found


def test_sdist_builds_the_same_wheel(wheel, tmp_path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("*.tar.gz")
    assert contents(build(sdist, tmp_path / "again")) == contents(wheel)


def test_the_installed_package_is_imported(installed):
    where = installed.run("python", "-c", "import contrasim_core; print(contrasim_core.__file__)").strip()
    assert Path(where) == installed.packages / "contrasim_core" / "__init__.py"
    tops = {path.name for path in installed.packages.iterdir()}
    assert not tops & {"app.py", "pages", "cache", "tests", ".streamlit"}
    assert installed.run("contrasim", "--version") == f"contrasim {__version__}\n"
    assert installed.run("python", "-m", "contrasim_core", "--version") == f"contrasim {__version__}\n"


def test_comparing_keeps_results_in_the_folder_for_caches(installed):
    before = installed.files()
    command = ("contrasim", "compare", "digits-vit-0", "digits-vit-1", "--data", "digits", "--limit", "50", "--json")
    answer = json.loads(installed.run(*command))
    assert answer["grids"]
    assert list((installed.cache / "comparison").glob("*/manifest.json"))
    assert installed.files() == before
    kept = json.loads(installed.run("contrasim", "cache", "--json"))
    assert {item["bundled"] for item in kept} == {True, False}, "the finished example is there too"


def test_dashboard_starts_from_any_folder(installed):
    before = installed.files()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = installed.folder / "app.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [installed.binary("contrasim"), "app", "--port", str(port)],
            cwd=installed.elsewhere,
            env=installed.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert answers(f"http://127.0.0.1:{port}/_stcore/health", server), log.read_text()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        left = json.loads(installed.run("contrasim", "down", "--json"))
    assert left == {"ended": []}, "`app` ends the worker that it started"
    assert "Collecting usage statistics" not in log.read_text(), "the configuration beside app.py was not read"
    assert installed.files() == before


def test_every_page_opens(installed):
    """In the process that a server would be, so that an error on a page is seen."""
    before = installed.files()
    visit = """
import os, sys
from contrasim_core.store import DASHBOARD, EXAMPLE
sys.path.insert(0, str(DASHBOARD))
from streamlit.testing.v1 import AppTest
app = AppTest.from_file(str(DASHBOARD / "app.py"), default_timeout=60).run()
for page in sorted((DASHBOARD / "pages").glob("*.py")):
    app.switch_page(f"pages/{page.name}").run()
    assert not app.exception, (page, app.exception)
    assert app.title, page
print((EXAMPLE / "example.json").is_file())
"""
    assert installed.run("python", "-c", visit).strip() == "True"
    assert installed.files() == before


def answers(address, server):
    """Whether the server says that it is well, before it ends or the time is up."""
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - our own server
                return answer.read() == b"ok"
        except OSError:
            time.sleep(0.2)
    return False
