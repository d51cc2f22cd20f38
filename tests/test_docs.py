"""The README is true: commands parse, measures and dependencies are all there, the Python lines name real functions."""

import json
import re
import shlex
from pathlib import Path

import pytest

import contrasim_core as cs
from contrasim_core.commands import main as cli
from contrasim_core.measure import facts as known

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m contrasim_core ([^\n#]+)", README, flags=re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_command_of_the_readme_parses(line):
    assert cli.parser().parse_args(shlex.split(line)).run


def test_readme_shows_every_command():
    shown = {line.split()[0] for line in COMMANDS} | set(re.findall(r"`(down|jobs|example|app)\b", README))
    names = set(cli.parser()._subparsers._group_actions[0].choices)
    assert names - shown <= {"app", "example"}, "show the command in README.md (app and example have make targets)"


@pytest.mark.parametrize("facts", known.measure_facts().values(), ids=lambda facts: facts.id)
def test_measure_is_in_the_readme_with_its_source(facts):
    row = next(line for line in README.splitlines() if line.startswith(f"| `{facts.id}` |"))
    assert facts.source in row


def test_facts_are_what_the_measures_say(capsys):
    assert cli.main(["measures", "--json"]) == 0
    now = json.loads(capsys.readouterr().out)
    advice = "run `contrasim measures --json > contrasim_core/measure/facts.json`"
    assert now == json.loads(known.FILE.read_text(encoding="utf-8")), advice


def test_every_dependency_has_its_reason():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if line and not line.startswith("#")]
    table = README.split("## Dependencies")[1].split("## Words")[0]
    missing = [name for name in names if not re.search(rf"^\| [^|]*\b{re.escape(name)}\b", table, flags=re.MULTILINE)]
    assert not missing
    assert all("==" in line for line in lines if line and not line.startswith("#"))


def test_python_lines_name_public_functions():
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
    assert set(re.findall(r"\bcs\.(\w+)", code)) <= set(cs.__all__)
    compile(code, "README.md", "exec")


def test_importing_the_package_is_light_and_complete():
    assert set(cs.__all__) <= set(dir(cs))
    with pytest.raises(AttributeError, match="no attribute 'similarty'"):
        cs.similarty  # noqa: B018
