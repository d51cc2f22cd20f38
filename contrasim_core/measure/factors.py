"""What the closed-form measures share: each layer is centred and factored once, each pair is multiplied once."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from contrasim_core.errors import NotFiniteError
from contrasim_core.measure.linalg import Spectrum, centre, centred_rows, row_spread, spectrum


class LayerFactors:
    """One layer's factors, each computed when first asked for and then kept."""

    def __init__(self, values: Float[Tensor, "n d"], name: str = "x", known: Spectrum | None = None) -> None:
        self.values = values
        self.name = name
        self.n = len(values)
        self._spectrum = known

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

    @property
    def is_factored(self) -> bool:
        """Whether the spectrum is known, so that what follows from it is cheap."""
        return self._spectrum is not None

    @property
    def spectrum(self) -> Spectrum:
        """Thin SVD of the centred matrix."""
        if self._spectrum is None:
            self._spectrum = spectrum(self.centred)
        return self._spectrum

    @cached_property
    def sq_norm(self) -> float:
        """Squared Frobenius norm of the centred matrix: the trace of its Gram matrix."""
        return float(self.row_sq_norms.sum())

    @cached_property
    def gram_norm(self) -> float:
        """Frobenius norm of X'X, which is that of XX'."""
        if self.is_factored:
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


class PairFactors:
    """What the closed-form measures of one pair of layers share."""

    def __init__(self, a: LayerFactors, b: LayerFactors, coupling: Float[Tensor, "ka kb"] | None = None) -> None:
        self.a = a
        self.b = b
        self._coupling = coupling

    @property
    def coupling(self) -> Float[Tensor, "ka kb"]:
        """U_a' U_b: its singular values are the canonical correlations."""
        if self._coupling is None:
            self._coupling = self.a.spectrum.u.T @ self.b.spectrum.u
        return self._coupling

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
        if self.a.is_factored and self.b.is_factored:
            scaled = self.a.spectrum.s[:, None] * self.coupling * self.b.spectrum.s
            return float(scaled.square().sum())
        return float((self.a.centred.T @ self.b.centred).square().sum())

    @cached_property
    def swapped(self) -> PairFactors:
        """The pair with its sides exchanged; what is already computed is carried over."""
        return PairFactors(self.b, self.a, None if self._coupling is None else self._coupling.T)
