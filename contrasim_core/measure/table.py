"""All closed-form measures, in the order in which tables and menus show them."""

from __future__ import annotations

from contrasim_core.errors import UnknownMeasureError
from contrasim_core.measure.base import MeasureSpec
from contrasim_core.measure.cca import CCA_MEAN, CCA_R2, PWCCA, SVCCA
from contrasim_core.measure.cka import CKA_DEBIASED, CKA_LINEAR, CKA_RBF, HSIC_LINEAR
from contrasim_core.measure.facts import LEARNED_IDS
from contrasim_core.measure.procrustes import PROCRUSTES
from contrasim_core.measure.regression import REGRESSION_R2
from contrasim_core.measure.rowwise import DOT, NORM

MEASURES: tuple[MeasureSpec, ...] = (
    CKA_LINEAR,
    CKA_RBF,
    CKA_DEBIASED,
    CCA_MEAN,
    CCA_R2,
    SVCCA,
    PWCCA,
    REGRESSION_R2,
    HSIC_LINEAR,
    PROCRUSTES,
    DOT,
    NORM,
)


def closed_form(measure_id: str) -> MeasureSpec:
    """The closed-form measure with this id; options may follow, as in `cka.rbf:t=0.4` or `svcca:summary=r2`.

    Raises:
        UnknownMeasureError: if there is none.
        SpecError: if it has no such option.
    """
    base, _, suffix = measure_id.partition(":")
    for spec in MEASURES:
        if spec.id == base:
            return spec.with_options(**_options(suffix)) if suffix else spec
    registered = ", ".join(spec.id for spec in MEASURES)
    if base in LEARNED_IDS:
        raise UnknownMeasureError(
            f"{base} is a learned measure: it needs a trained encoder. Train one with contrasim_core.ContraSim "
            f"(or `python -m contrasim_core train`) and use its .similarity. Closed-form measures: {registered}."
        )
    raise UnknownMeasureError(f"No measure {measure_id!r}. Registered: {registered}, {', '.join(LEARNED_IDS)}.")


def _options(suffix: str) -> dict[str, float | str]:
    options: dict[str, float | str] = {}
    for item in suffix.split(","):
        name, found, value = item.partition("=")
        if not found:
            raise UnknownMeasureError(f"Options of a measure are written name=value, not {item!r}.")
        try:
            options[name.strip()] = float(value)
        except ValueError:
            options[name.strip()] = value.strip()
    return options
