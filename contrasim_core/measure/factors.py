"""What the closed-form measures share: each layer is centred and factored once, each pair is multiplied once."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import ConstantLayerError, NotFiniteError, SpecError
from contrasim_core.measure.linalg import Spectrum, centre, centred_rows, row_spread, spectrum, squared_distances

KERNEL_ROWS = 20_000
"""More rows than this and an n x n kernel does not belong in memory (3.2 GB each in float64)."""


class LayerFactors:
    """One layer's factors, each computed when first asked for and then kept."""

    def __init__(self, values: Float[Tensor, "n d"], name: str = "x") -> None:
        self.values = values
        self.name = name
        self.n = len(values)

    @cached_property
    def finite(self) -> Float[Tensor, "n d"]:
        """The values as they came, in float64, once it is known that all are finite."""
        wide = self.values.double()
        if not bool(torch.isfinite(wide).all()):
            bad = int((~torch.isfinite(wide)).any(1).sum())
            raise NotFiniteError(
                f"{self.name} has NaN or infinity in {bad} of {len(wide)} rows. Mend or drop those rows first."
            )
        return wide

    @cached_property
    def centred(self) -> Float[Tensor, "n d"]:
        """Columns with their means taken off, float64."""
        return centre(self.values, self.name)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Thin SVD of the centred matrix."""
        return spectrum(self.centred)

    @cached_property
    def sq_norm(self) -> float:
        """Squared Frobenius norm of the centred matrix: the trace of its Gram matrix."""
        return float(self.row_sq_norms.sum())

    @cached_property
    def gram_norm(self) -> float:
        """Frobenius norm of X'X, which is that of XX'."""
        if "spectrum" in self.__dict__:
            return float(self.spectrum.s.square().norm())
        n, d = self.centred.shape
        return float((self.centred.T @ self.centred if d <= n else self.centred @ self.centred.T).norm())

    @cached_property
    def row_sq_norms(self) -> Float[Tensor, " n"]:
        """Squared length of each centred row."""
        return self._row_spread[1]

    @cached_property
    def _row_spread(self) -> tuple[Float[Tensor, " d"], Float[Tensor, " n"]]:
        return row_spread(self.values, self.name)

    def unit_centred(self) -> Float[Tensor, "n d"]:
        """The centred matrix in the precision of its input, scaled to norm 1 so that float32 cannot overflow."""
        return centred_rows(self.values, self._row_spread[0], math.sqrt(self.sq_norm))

    @cached_property
    def unit_rows(self) -> Float[Tensor, "n d"]:
        """The rows as they came, each at length 1; rows of zeros stay zeros."""
        return torch.nn.functional.normalize(self.finite, dim=1)

    def rbf(self, t: float) -> Float[Tensor, "n n"]:
        """The centred Gaussian kernel with sigma = t times the median distance.

        The median is that of the squared distances over the whole n x n matrix, its zero diagonal included, as in
        the notebook of CKA's authors.
        """
        distances = squared_distances(self.centred, self.centred).fill_diagonal_(0)
        kernel = torch.exp(-distances / (2 * self.bandwidth(distances, t)))
        kernel -= kernel.mean(0, keepdim=True)
        return kernel - kernel.mean(1, keepdim=True)

    def bandwidth(self, distances: Float[Tensor, "n n"], t: float) -> float:
        """sigma^2 = (t * median distance)^2.

        Raises:
            SpecError: if t is not above 0.
            ConstantLayerError: if more than half of the rows coincide, so that the median distance is 0.
        """
        if not t > 0:
            raise SpecError(f"t is {t:g}. It must be above 0.")
        median = float(np.median(distances.cpu().numpy()))
        if median == 0:
            raise ConstantLayerError(
                f"{self.name}: more than half of the rows coincide, so the median distance, the bandwidth of RBF CKA, "
                "is 0. Drop repeated samples, or use cka.linear."
            )
        return t * t * median


class PairFactors:
    """What the closed-form measures of one pair of layers share."""

    def __init__(self, a: LayerFactors, b: LayerFactors) -> None:
        self.a = a
        self.b = b

    @cached_property
    def coupling(self) -> Float[Tensor, "ka kb"]:
        """U_a' U_b: its singular values are the canonical correlations."""
        return self.a.spectrum.u.T @ self.b.spectrum.u

    @cached_property
    def canonical(self) -> tuple[Float[Tensor, "ka k"], Float[Tensor, " k"]]:
        """Canonical directions of a, and the canonical correlations (0 to 1, descending).

        They are eigenvectors and root eigenvalues of C C', C being the coupling: half the work of a singular value
        decomposition, and exact to 1e-16 / rho. A side much wider than the other is left to the latter.
        """
        ka, kb = self.coupling.shape
        if ka > 2 * kb:
            left, rho, _ = torch.linalg.svd(self.coupling, full_matrices=False)
            return left, rho.clamp(max=1.0)
        squares, vectors = torch.linalg.eigh(self.coupling @ self.coupling.T)
        kept = min(ka, kb)
        return vectors.flip(1)[:, :kept], squares.flip(0)[:kept].clamp(min=0.0, max=1.0).sqrt()

    @property
    def correlations(self) -> Float[Tensor, " k"]:
        """The canonical correlations alone."""
        return self.canonical[1]

    @cached_property
    def sq_frobenius(self) -> float:
        """Squared Frobenius norm of Y'X, the unnormalised linear HSIC."""
        if "spectrum" in self.a.__dict__ and "spectrum" in self.b.__dict__:
            scaled = self.a.spectrum.s[:, None] * self.coupling * self.b.spectrum.s
            return float(scaled.square().sum())
        return float((self.a.centred.T @ self.b.centred).square().sum())

    @cached_property
    def swapped(self) -> PairFactors:
        """The pair with its sides exchanged; what is already computed is carried over."""
        other = PairFactors(self.b, self.a)
        if "coupling" in self.__dict__:
            other.__dict__["coupling"] = self.coupling.T
        return other
