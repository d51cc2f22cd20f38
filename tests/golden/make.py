"""Numbers of one small run of each kind, kept to be compared with: `python -m tests.golden.make` writes them anew.

They say that a change of structure changed no number. Do it on purpose only, and say why.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("numbers.json")
MODELS = "digits-vit-0,digits-vit-1,digits-vit-2,digits-vit-3"
ROWS = 6  # of arrays that are kept in full; of others, a summary


def specs() -> dict[str, Any]:
    """One run of each kind, options at other values than their defaults."""
    from contrasim_core.encoder.spec import QUICK
    from contrasim_core.measure.facts import CLOSED_FORM_IDS
    from contrasim_core.runs.comparison.spec import CompareSpec
    from contrasim_core.runs.extraction.presets import extraction_spec
    from contrasim_core.runs.layer_prediction.presets import benchmark_spec
    from contrasim_core.runs.projection.spec import ProjectionSpec
    from contrasim_core.runs.retrieval.presets import multilingual_spec
    from contrasim_core.runs.training.presets import train_spec

    unique = tuple(name for name in CLOSED_FORM_IDS if name != "pwcca")  # not unique where correlations tie
    few = QUICK.replace(epochs=1, batch_rows=64, anchors=16, temperature=0.2)
    relative = train_spec(MODELS, encoder=few.replace(encoder="contrasim.relative"), rows=128)
    a, b = (extraction_spec(f"digits-vit-{seed}", "digits", pooling="cls", limit=96, layers=(1, 3)) for seed in (0, 1))
    languages = multilingual_spec(
        measures=("cka.linear", "contrasim"), languages=("en", "ar"), rows=(96, 60), encoder=few
    )
    return {
        "extraction": extraction_spec("docs-bert-0", "python-docs", pooling="word", limit=20, layers=(2, 6)),
        "training": relative,
        "comparison": CompareSpec(a=a, b=b, measures=(*unique, "contrasim.relative"), encoders=(relative,), groups=3),
        "layer prediction": benchmark_spec(
            MODELS, measures=("cka.linear", "procrustes", "deepdot"), rows=96, encoder=few, seeds=(0,), unseen_models=2
        ),
        "paired training": languages.training("contrasim"),
        "neighbours": languages.neighbours(1),
        "retrieval": languages,
        "projection": ProjectionSpec(sources=languages.test, training=languages.training("contrasim"), items=6),
    }


def numbers_of(result: Any) -> Any:
    """What is compared of a result: plain numbers and words, no times and no versions."""
    if isinstance(result, list):  # activations
        return [_summary(item.values.numpy()) for item in result]
    if hasattr(result, "encoders"):
        return [[*encoder.curve.loss, *encoder.curve.accuracy] for encoder in result]
    if hasattr(result, "rows"):
        return _summary(result.rows)
    if hasattr(result, "agreement"):
        grids = {name: [grid.values.tolist(), _list(grid.low), _list(grid.null)] for name, grid in result.grids.items()}
        return {"grids": grids, "agreement": _summary(result.agreement)}
    if hasattr(result, "before"):
        return {"before": result.before.tolist(), "after": result.after.tolist(), "numbers": result.numbers}
    columns = ["measure", "accuracy", "low", "high", "trials"]
    return result.summary()[columns].values.tolist()


def _list(array: Any) -> Any:
    return None if array is None else array.tolist()


def _summary(array: Any) -> dict[str, Any]:
    values = np.asarray(array, dtype=np.float64)
    return {
        "shape": list(values.shape), "mean": values.mean(), "std": values.std(), "first": values.flat[:ROWS].tolist(),
    }  # fmt: skip


def compute() -> dict[str, Any]:
    """Run everything in a store of its own."""
    from contrasim_core import Store, runs

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, example=None)
        found = {}
        for name, spec in specs().items():
            found[name] = {"key": spec.key, "numbers": numbers_of(runs.run(spec, store=store))}
    return json.loads(json.dumps(found))


if __name__ == "__main__":
    FILE.write_text(json.dumps(compute(), indent=1) + "\n", encoding="utf-8")
