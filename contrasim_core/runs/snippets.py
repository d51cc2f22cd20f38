"""The Python lines that run a spec again."""

from __future__ import annotations

from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec


def python_lines(spec: Spec, file: str = "spec.json") -> str:
    """Return lines that read the spec from a file and run it.

    Args:
        spec: what to run.
        file: name of the file with the spec's JSON.

    Raises:
        SpecError: if this kind of spec cannot be run by itself.
    """
    kind_of(spec)
    return (
        "from pathlib import Path\n"
        "from contrasim_core import Store, runs\n"
        f'spec = runs.read_spec(Path("{file}").read_text())\n'
        "result = runs.run(spec, store=Store())\n"
    )
