"""The finished example that the dashboard opens on: one comparison, its encoders, and one benchmark.

It is computed by the same runs as everything else, in a separate store, and is small enough to ship with the code.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from contrasim_core.encoder.spec import QUICK, TrainSpec
from contrasim_core.errors import SpecError
from contrasim_core.measure.facts import CLOSED_FORM_IDS, expand_measures
from contrasim_core.progress import Progress, share, silent
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.runs.keep import run
from contrasim_core.runs.layer_prediction import presets
from contrasim_core.runs.layer_prediction.spec import BenchmarkSpec
from contrasim_core.runs.training.presets import train_spec
from contrasim_core.store import CHECKOUT, EXAMPLE, Store
from contrasim_core.zoo.recipes import recipe

FAMILY = "digits-vit"
DATA = "digits"
KINDS = ("contrasim", "contrasim.relative")
INDEX = "example.json"


@dataclass(frozen=True, kw_only=True)
class Example:
    """Keys of the example's artifacts."""

    comparison: str
    benchmark: str
    encoders: tuple[str, ...]


def read(root: Path = EXAMPLE) -> Example | None:
    """Read the example's keys; None if it has not been made."""
    path = root / INDEX
    if not path.is_file():
        return None
    keys = json.loads(path.read_text(encoding="utf-8"))
    return Example(comparison=keys["comparison"], benchmark=keys["benchmark"], encoders=tuple(keys["encoders"]))


def encoder_specs() -> tuple[TrainSpec, ...]:
    """Return the encoders of the example: one seed each, trained on all models of the family."""
    return tuple(train_spec(FAMILY, encoder=QUICK.replace(encoder=kind)) for kind in KINDS)


def comparison_spec() -> CompareSpec:
    """Return the comparison of the first two members of the family on test digits."""
    pooling = recipe(FAMILY).pooling
    a, b = (extraction_spec(f"{FAMILY}-{seed}", DATA, pooling=pooling) for seed in (0, 1))
    depth = tuple(range(1, recipe(FAMILY).depth + 1))
    return CompareSpec(
        a=a.replace(layers=depth),
        b=b.replace(layers=depth),
        measures=(*CLOSED_FORM_IDS, *KINDS),
        encoders=encoder_specs(),
    )


def benchmark_spec() -> BenchmarkSpec:
    """Return layer prediction with every measure and protocol."""
    return presets.benchmark_spec(FAMILY, measures=expand_measures("all"))


def make(root: Path | None = None, progress: Progress = silent) -> Path:
    """Compute the example, write its artifacts into a folder, and return the folder.

    Args:
        root: the folder; defaults to that of the bundled example.
        progress: called as the work proceeds.

    Raises:
        SpecError: if the package is installed and no folder is given, because its own files must not change.
    """
    if root is None and CHECKOUT is None:
        raise SpecError(
            "The example of an installed package cannot be overwritten. Use --root to choose another folder."
        )
    target = root or EXAMPLE
    specs = (*encoder_specs(), comparison_spec(), benchmark_spec())
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(scratch, example=None)
        for number, spec in enumerate(specs):
            run(spec, store=store, progress=share(progress, number, len(specs)))
        shutil.rmtree(target, ignore_errors=True)
        for spec in specs:
            shutil.copytree(store.folder(spec.kind, spec.key), target / spec.kind / spec.key)
            (target / spec.kind / spec.key / "used").unlink(missing_ok=True)
    *encoders, comparison, benchmark = (spec.key for spec in specs)
    keys = {"comparison": comparison, "benchmark": benchmark, "encoders": encoders}
    (target / INDEX).write_text(json.dumps(keys, indent=1) + "\n", encoding="utf-8")
    return target
