"""Each measure against a slow twin written from its definition alone, by another route than ours where there is one."""

import math

import numpy as np
import pytest

from contrasim_core.measure.closed_form import MEASURES, closed_form

SHAPES = [(50, 4, 4), (60, 3, 7), (40, 9, 5), (200, 12, 12), (12, 20, 30), (12, 20, 20), (15, 6, 30)]


def centred(x):
    return x - x.mean(0)


def gram(x):
    n = len(x)
    h = np.eye(n) - np.ones((n, n)) / n
    return h @ x @ x.T @ h


def projector(x):
    """The orthogonal projector onto the span of the centred columns."""
    return centred(x) @ np.linalg.pinv(centred(x), rcond=1e-9)


def correlations(px, py):
    """Canonical correlations as the cosines of principal angles: singular values of the product of projectors."""
    count = min(round(np.trace(px)), round(np.trace(py)))
    return np.linalg.svd(px @ py, compute_uv=False)[:count]


def cka_of(k, l):  # noqa: E741
    return np.trace(k @ l) / math.sqrt(np.trace(k @ k) * np.trace(l @ l))


def cka_linear(x, y):
    return cka_of(gram(x), gram(y))


def gaussian(x, t):
    n = len(x)
    distances = np.array([[((x[i] - x[j]) ** 2).sum() for j in range(n)] for i in range(n)])
    sigma = t * math.sqrt(np.median(distances))
    h = np.eye(n) - np.ones((n, n)) / n
    return h @ np.exp(-distances / (2 * sigma**2)) @ h


def cka_rbf(x, y):
    return cka_of(gaussian(x, 0.8), gaussian(y, 0.8))


def unbiased_hsic(k, l):  # noqa: E741
    """Song et al. 2012, equation 5."""
    n, one = len(k), np.ones(len(k))
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * one @ k @ l @ one) / (n * (n - 3))


def cka_debiased(x, y):
    k, l = x @ x.T, y @ y.T  # noqa: E741 - not centred: the estimator centres
    return unbiased_hsic(k, l) / math.sqrt(unbiased_hsic(k, k) * unbiased_hsic(l, l))


def cca_mean(x, y):
    return correlations(projector(x), projector(y)).sum() / min(x.shape[1], y.shape[1])


def cca_r2(x, y):
    return np.trace(projector(x) @ projector(y)) / min(x.shape[1], y.shape[1])


def truncated(x, threshold=0.99):
    values, vectors = np.linalg.eigh(centred(x) @ centred(x).T)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = next(k for k in range(1, len(values) + 1) if values[:k].sum() >= threshold * values.sum())
    return vectors[:, :kept]


def svcca(x, y):
    u, v = truncated(x), truncated(y)
    return np.linalg.norm(u.T @ v, "nuc") / min(u.shape[1], v.shape[1])


def pwcca(x, y):
    """Equation 7: canonical variables h_i of x are the leading eigenvectors of Px Py Px."""
    px, py = projector(x), projector(y)
    count = min(round(np.trace(px)), round(np.trace(py)))
    squares, h = np.linalg.eigh(px @ py @ px)
    squares, h = squares[::-1][:count], h[:, ::-1][:, :count]
    alpha = [sum(abs(h[:, i] @ column) for column in centred(x).T) for i in range(count)]
    return float(np.dot(alpha, np.sqrt(squares.clip(0))) / sum(alpha))


def regression_r2(x, y):
    """X explained by a linear map of Y with an intercept: one minus the share of the residual."""
    design = np.column_stack([np.ones(len(y)), y])
    residual = x - design @ np.linalg.lstsq(design, x, rcond=1e-9)[0]
    return 1 - (residual**2).sum() / (centred(x) ** 2).sum()


def hsic_linear(x, y):
    return np.trace(gram(x) @ gram(y)) / (len(x) - 1) ** 2


def procrustes(x, y):
    """The best overlap a rotation can reach, after both have unit size."""
    a, b = centred(x) / np.linalg.norm(centred(x)), centred(y) / np.linalg.norm(centred(y))
    u, _, vt = np.linalg.svd(a.T @ b, full_matrices=False)
    return np.trace((a @ u @ vt).T @ b)


def dot(x, y):
    return sum(sum(a * b for a, b in zip(p, q, strict=True)) for p, q in zip(x, y, strict=True)) / len(x)


def norm(x, y):
    units = [(p / math.sqrt((p**2).sum()), q / math.sqrt((q**2).sum())) for p, q in zip(x, y, strict=True)]
    return sum(1 - math.sqrt(((p - q) ** 2).sum()) for p, q in units) / len(x)


TWINS = {
    "cka.linear": cka_linear,
    "cka.rbf": cka_rbf,
    "cka.debiased": cka_debiased,
    "cca.mean": cca_mean,
    "cca.r2": cca_r2,
    "svcca": svcca,
    "pwcca": pwcca,
    "regression.r2": regression_r2,
    "hsic.linear": hsic_linear,
    "procrustes": procrustes,
    "dot": dot,
    "norm": norm,
}


def test_every_measure_has_a_twin():
    assert set(TWINS) == {spec.id for spec in MEASURES}


CASES = [(spec.id, *shape) for spec in MEASURES for shape in SHAPES if shape[1] == shape[2] or not spec.same_width]


@pytest.mark.parametrize(("measure_id", "n", "dx", "dy"), CASES)
def test_measure_matches_its_twin(measure_id, n, dx, dy, layers):
    spec = closed_form(measure_id)
    x, y = layers(n, [dx, dy], seed=n + dx + dy)
    assert spec(x, y) == pytest.approx(TWINS[measure_id](x, y), rel=1e-8, abs=1e-8)
    assert spec(y, x) == pytest.approx(TWINS[measure_id](y, x), rel=1e-8, abs=1e-8)


def test_dead_columns_lower_mean_cca_unless_the_rank_divides(layers):
    x, y = layers(60, [4, 6])
    dead = np.column_stack([x, np.zeros((60, 2)), x[:, :1] + x[:, 1:2]])
    full = cca_mean(x, y)
    assert closed_form("cca.mean")(dead, y) == pytest.approx(full * 4 / 6)
    assert closed_form("cca.mean:over=rank")(dead, y) == pytest.approx(full)
    assert closed_form("cca.r2:over=rank")(dead, y) == pytest.approx(cca_r2(x, y))


def test_svcca_options(layers):
    x, y = layers(80, [10, 9])
    u, v = truncated(x, 0.8), truncated(y, 0.8)
    assert 1 < u.shape[1] < 10, "the threshold must cut something"
    smaller = min(u.shape[1], v.shape[1])
    assert closed_form("svcca:threshold=0.8")(x, y) == pytest.approx(np.linalg.norm(u.T @ v, "nuc") / smaller)
    squares = np.linalg.norm(u.T @ v) ** 2
    assert closed_form("svcca:threshold=0.8,summary=r2")(x, y) == pytest.approx(squares / smaller)
    assert closed_form("svcca:threshold=1")(x, y) == pytest.approx(cca_mean(x, y))


def test_rbf_bandwidth_is_an_option(layers):
    x, y = layers(30, [4, 5])
    assert closed_form("cka.rbf:t=0.4")(x, y) == pytest.approx(cka_of(gaussian(x, 0.4), gaussian(y, 0.4)))
    assert closed_form("cka.rbf:t=0.4")(x, y) != pytest.approx(closed_form("cka.rbf")(x, y), rel=1e-3)


def test_debiased_cka_may_be_negative_and_is_not_clamped():
    rng = np.random.default_rng(0)
    values = []
    for _ in range(20):
        x, y = rng.normal(size=(20, 5)), rng.normal(size=(20, 5))
        values.append(closed_form("cka.debiased")(x, y))
        assert values[-1] == pytest.approx(cka_debiased(x, y), abs=1e-10)
    assert min(values) < -0.02
    assert abs(np.mean(values)) < 0.05  # where biased CKA of the same data is about 0.2


def test_norm_of_opposite_and_of_zero_rows():
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    assert closed_form("norm")(x, -x) == pytest.approx(-1)
    assert closed_form("norm")(np.zeros((2, 2)), x) == pytest.approx(0), "a row of zeros has no direction"


@pytest.mark.parametrize(("dx", "dy"), [(8, 8), (8, 20), (20, 8)])
def test_directions_that_share_nothing_add_nothing(dx, dy):
    """Correlations of exactly zero, where root eigenvalues are least exact."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(centred(rng.normal(size=(60, dx + dy - 2))))[0]
    x, y = basis[:, :dx] @ rng.normal(size=(dx, dx)), basis[:, dx - 2 :] @ rng.normal(size=(dy, dy))
    assert closed_form("cca.mean")(x, y) == pytest.approx(2 / 8, abs=1e-7)
    assert closed_form("cca.r2")(x, y) == pytest.approx(2 / 8, abs=1e-12)
