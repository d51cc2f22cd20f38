"""Values that public reference implementations return on fixed inputs (their provenance is in the file's README)."""

import json
from pathlib import Path

import numpy as np
import pytest

from contrasim_core.measure.closed_form import closed_form

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "reference" / "golden.json"

KEYS = {
    "cka_lin": "cka.linear",
    "cka_lin_debiased": "cka.debiased",
    **{f"cka_rbf_{t}": f"cka.rbf:t={t}" for t in ("0.2", "0.4", "0.5", "0.8", "1.0")},
    "cca_rho_qr": "cca.mean",
    "cca_r2_centred": "cca.r2",
    "ding_mean_cca": "cca.mean",
    "ding_mean_sq_cca": "cca.r2",
    **{
        f"svcca_{t}_s2.{summary}": f"svcca:threshold={t},summary={summary}"
        for t in ("0.9", "0.99")
        for summary in ("rho", "r2")
    },
    "pwcca_correct_xy": "pwcca",
    "linreg_fit_x_from_y": "regression.r2",
    "ding_procrustes": "procrustes",
}
SWAPPED = {"pwcca_correct_yx": "pwcca", "linreg_fit_y_from_x": "regression.r2"}
EQUAL_WIDTHS = {"norm_sim": "norm", "dot_mean": "dot"}


def demo():
    rng = np.random.RandomState(1337)
    x = rng.randn(100, 10)
    return x, rng.randn(100, 10) + x


def unequal_widths():
    rng = np.random.RandomState(0)
    a = rng.randn(500, 20) @ rng.randn(20, 20) + 3.0
    return a, np.tanh(a @ rng.randn(20, 30) / 5)


def low_rank():
    rng = np.random.RandomState(0)
    latent = rng.randn(500, 5)
    a = latent @ rng.randn(5, 40) + 0.01 * rng.randn(500, 40)
    return a, latent @ rng.randn(5, 40) + 0.01 * rng.randn(500, 40)


CASES = {
    "demo_1337": demo,
    "rs0_20vs30_mean3": unequal_widths,
    "rs0_30vs20": lambda: unequal_widths()[::-1],
    "rs0_lowrank5_40vs40": low_rank,
}


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_file():
        pytest.skip("the folder of shared reference values is not beside the repository")
    return json.loads(GOLDEN.read_text())


RUNS = [
    (case, key)
    for case in CASES
    for key in (*KEYS, *SWAPPED, *EQUAL_WIDTHS)
    if key not in EQUAL_WIDTHS or case in ("demo_1337", "rs0_lowrank5_40vs40")
]


@pytest.mark.parametrize(("case", "key"), RUNS)
def test_reference_values_are_met(case, key, golden):
    x, y = CASES[case]()
    name, part = key.rsplit(".", 1) if key.startswith("svcca") else (key, None)
    expected = golden[case][name][part] if part else golden[case][name]
    if key == "ding_procrustes":
        expected = 1 - expected / 2
    spec = closed_form({**KEYS, **SWAPPED, **EQUAL_WIDTHS}[key])
    value = spec(y, x) if key in SWAPPED else spec(x, y)
    assert value == pytest.approx(expected, abs=1e-6)
