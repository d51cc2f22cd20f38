"""The table of all measures: one row each, with everything that is said of it, in the order of tables and menus.

A row names its formulas, which live in the file of their family and are imported when they are first used; the table
itself imports no torch. To add a measure, write its formulas in a family's file (a new one or an existing one) and
add a row here: every list of ids, every menu and every colour follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["similarity", "distance"]
Invariance = Literal["joint orthogonal", "linear", "orthogonal", "permutation", "scale", "translation"]
"""Maps of one side's features that leave the value alone. `joint orthogonal`: one rotation of both sides."""

RIGID: tuple[Invariance, ...] = ("joint orthogonal", "orthogonal", "permutation", "scale", "translation")
LINEAR: tuple[Invariance, ...] = ("joint orthogonal", "linear", "orthogonal", "permutation", "scale", "translation")


@dataclass(frozen=True, kw_only=True)
class MeasureFacts:
    """What is claimed of a measure. The claims are tested in both directions.

    Attributes:
        id: as in commands, files and tables.
        label: as in figures.
        formulas: file of this folder and name in it, such as `cka.LINEAR`: a `base.Formulas`.
        colour: place in the palette of figures; measures that are often drawn together are far apart.
        source: paper, section or equation.
        formula: LaTeX, for the About page.
        bounds: least and greatest value; None where there is none.
        direction: whether high means alike or different.
        symmetric: whether f(x, y) = f(y, x).
        invariant_to: maps of x that leave the value alone, in alphabetical order.
        invariant_to_y: the same for y, where it differs.
        min_samples: fewer rows raise `TooFewSamplesError`.
        same_width: whether x and y need equally many columns.
        saturates: whether the value nears its maximum for any data once n <= d.
        streams: whether covariances and row lengths are all it needs, so that n may exceed memory.
        learned: whether it needs a trained encoder; else it is closed-form.
        needs_anchors: whether layers must come with representations of the anchor samples.
        options: keyword options of the formulas and their defaults.
        kornblith: rows of Table 2 of arXiv:1905.00414 that are this measure, each with its options.
    """

    id: str
    label: str
    formulas: str
    colour: int
    source: str
    formula: str
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    direction: Direction = "similarity"
    symmetric: bool = True
    invariant_to: tuple[Invariance, ...] = RIGID
    invariant_to_y: tuple[Invariance, ...] | None = None
    min_samples: int = 2
    same_width: bool = False
    saturates: bool = False
    streams: bool = True
    learned: bool = False
    needs_anchors: bool = False
    options: Mapping[str, float | str] = field(default_factory=dict)
    kornblith: Mapping[int, str] = field(default_factory=dict)


TABLE: tuple[MeasureFacts, ...] = (
    MeasureFacts(
        id="cka.linear",
        label="Linear CKA",
        formulas="cka.LINEAR",
        colour=0,
        source="arXiv:1905.00414, section 3, eq. 4 with a linear kernel",
        formula=r"\frac{\lVert Y^\top X\rVert_F^2}{\lVert X^\top X\rVert_F\,\lVert Y^\top Y\rVert_F}",
        kornblith={8: ""},
    ),
    MeasureFacts(
        id="cka.rbf",
        label="RBF CKA",
        formulas="cka.RBF",
        colour=9,
        source="arXiv:1905.00414, section 3; bandwidth as in the authors' notebook",
        formula=r"\mathrm{CKA}(K,L),\; K_{ij}=e^{-\lVert x_i-x_j\rVert^2/2\sigma^2},\; \sigma = t\,\mathrm{median}",
        streams=False,
        options={"t": 0.8},
        kornblith={9: "t=0.2", 10: "t=0.4", 11: ""},
    ),
    MeasureFacts(
        id="cka.debiased",
        label="Debiased CKA",
        formulas="cka.DEBIASED",
        colour=10,
        source="Song et al. 2012, eq. 5 (jmlr.org/papers/v13/song12a.html); arXiv:2010.15327, section 2",
        formula=r"\frac{\mathrm{HSIC}_1(X,Y)}{\sqrt{\mathrm{HSIC}_1(X,X)\,\mathrm{HSIC}_1(Y,Y)}}",
        bounds=(None, None),
        min_samples=4,
    ),
    MeasureFacts(
        id="cca.mean",
        label="Mean CCA",
        formulas="cca.MEAN",
        colour=14,
        source="arXiv:1905.00414, eq. 8; arXiv:2303.16992, eq. 6",
        formula=r"\lVert Q_Y^\top Q_X\rVert_*/p_1 = \textstyle\sum_i \rho_i/p_1",
        invariant_to=LINEAR,
        saturates=True,
        options={"over": "width"},
        kornblith={1: ""},
    ),
    MeasureFacts(
        id="cca.r2",
        label="Mean squared CCA",
        formulas="cca.MEAN_SQUARED",
        colour=15,
        source="arXiv:1905.00414, eq. 7",
        formula=r"\lVert Q_Y^\top Q_X\rVert_F^2/p_1 = \textstyle\sum_i \rho_i^2/p_1",
        invariant_to=LINEAR,
        saturates=True,
        options={"over": "width"},
        kornblith={2: ""},
    ),
    MeasureFacts(
        id="svcca",
        label="SVCCA",
        formulas="cca.SVCCA",
        colour=12,
        source="arXiv:1706.05806; arXiv:1905.00414, Table 1",
        formula=r"\lVert (U_Y T_Y)^\top U_X T_X\rVert_*/\min(k_x,k_y)",
        saturates=True,
        options={"threshold": 0.99, "summary": "rho"},
        kornblith={3: "", 4: "summary=r2"},
    ),
    MeasureFacts(
        id="pwcca",
        label="PWCCA",
        formulas="cca.PWCCA",
        colour=13,
        source="arXiv:1806.05759; arXiv:2303.16992, eq. 7",
        formula=r"\frac{\sum_i \alpha_i\rho_i}{\sum_i \alpha_i},\quad "
        r"\alpha_i=\textstyle\sum_j|\langle h_i,x_j\rangle|",
        symmetric=False,
        invariant_to=("permutation", "scale", "translation"),
        invariant_to_y=LINEAR,
        saturates=True,
        kornblith={5: ""},
    ),
    MeasureFacts(
        id="regression.r2",
        label="Linear regression R²",
        formulas="regression.R2",
        colour=16,
        source="arXiv:1905.00414, eq. 5: X explained by Y",
        formula=r"\lVert Q_Y^\top X\rVert_F^2/\lVert X\rVert_F^2",
        symmetric=False,
        invariant_to_y=LINEAR,
        saturates=True,
        kornblith={6: ""},
    ),
    MeasureFacts(
        id="hsic.linear",
        label="Linear HSIC",
        formulas="cka.HSIC",
        colour=11,
        source="arXiv:1905.00414, section 3, eq. 3",
        formula=r"\lVert Y^\top X\rVert_F^2/(n-1)^2",
        bounds=(0.0, None),
        invariant_to=("joint orthogonal", "orthogonal", "permutation", "translation"),
        kornblith={7: ""},
    ),
    MeasureFacts(
        id="procrustes",
        label="Procrustes",
        formulas="procrustes.PROCRUSTES",
        colour=8,
        source="arXiv:2108.01661, section 2; cosine of the angular distance of arXiv:2110.14739",
        formula=r"\lVert X^\top Y\rVert_*/(\lVert X\rVert_F\,\lVert Y\rVert_F)",
    ),
    MeasureFacts(
        id="dot",
        label="Dot product",
        formulas="rowwise.DOT",
        colour=4,
        source="arXiv:2303.16992, section 6, divided by n as in eq. 2",
        formula=r"\tfrac1n\textstyle\sum_i x_i\cdot y_i",
        bounds=(None, None),
        invariant_to=("joint orthogonal",),
        min_samples=1,
        same_width=True,
        streams=False,
    ),
    MeasureFacts(
        id="norm",
        label="Norm",
        formulas="rowwise.NORM",
        colour=6,
        source="arXiv:2303.16992, eqs. 9 and 10",
        formula=r"\tfrac1n\textstyle\sum_i 1-\lVert x_i/\lVert x_i\rVert-y_i/\lVert y_i\rVert\rVert",
        bounds=(-1.0, 1.0),
        invariant_to=("joint orthogonal", "scale"),
        min_samples=1,
        same_width=True,
        streams=False,
    ),
    MeasureFacts(
        id="contrasim",
        label="ContraSim",
        formulas="rowwise.ENCODED_DOT",
        colour=3,
        source="arXiv:2303.16992, section 4, eqs. 2 and 3",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(x_i)\cdot e_\theta(y_i)",
        bounds=(-1.0, 1.0),
        invariant_to=(),
        min_samples=1,
        streams=False,
        learned=True,
    ),
    MeasureFacts(
        id="contrasim.norm",
        label="ContraSim (norm)",
        formulas="rowwise.ENCODED_NORM",
        colour=7,
        source="arXiv:2303.16992, appendix A.5, eqs. 9 and 10 on encodings",
        formula=r"\tfrac1n\textstyle\sum_i 1-\lVert e_\theta(x_i)-e_\theta(y_i)\rVert",
        bounds=(-1.0, 1.0),
        invariant_to=(),
        min_samples=1,
        streams=False,
        learned=True,
    ),
    MeasureFacts(
        id="contrasim.relative",
        label="ContraSim (relative)",
        formulas="rowwise.ENCODED_DOT",
        colour=5,
        source="arXiv:2303.16992, eq. 2, on relative representations (arXiv:2209.15430, eq. 1)",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(r(x_i))\cdot e_\theta(r(y_i)),\; r(x)_j=\cos(x-\bar a,a_j-\bar a)",
        bounds=(-1.0, 1.0),
        min_samples=1,
        needs_anchors=True,
        streams=False,
        learned=True,
    ),
    MeasureFacts(
        id="deepdot",
        label="DeepDot",
        formulas="rowwise.ENCODED_DOT",
        colour=2,
        source="arXiv:2303.16992, section 6, eq. 4 with the dot product: positives only",
        formula=r"\tfrac1n\textstyle\sum_i e_\theta(x_i)\cdot e_\theta(y_i),\;\mathcal L=-s",
        bounds=(-1.0, 1.0),
        invariant_to=(),
        min_samples=1,
        streams=False,
        learned=True,
    ),
    MeasureFacts(
        id="deepcka",
        label="DeepCKA",
        formulas="cka.ENCODED",
        colour=1,
        source="arXiv:2303.16992, section 6, eq. 4 with CKA: positives only",
        formula=r"\mathrm{CKA}(e_\theta(X),e_\theta(Y)),\;\mathcal L=-s",
        invariant_to=(),
        streams=False,
        learned=True,
    ),
)
