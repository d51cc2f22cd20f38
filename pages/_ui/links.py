"""From a spec to the page that shows it, and back: address parameters that lead to the same key."""

from __future__ import annotations

from typing import Any

import streamlit as st

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec
from pages._ui import cached, router, url


def model_name(source: ExtractionSpec) -> str:
    """The name by which a page finds this model again."""
    tower = "" if source.model.tower == "auto" else f"#{source.model.tower}"
    return source.model.name + tower


def target(spec: Spec) -> tuple[str, dict[str, str]] | None:
    """The page of a spec and the parameters of its controls; None for specs that no page shows."""
    page = kind_of(spec).page
    if page is None:
        return None
    controls = CONTROLS.get(spec.kind, lambda item: {"run": item.key})
    return router.path(page), controls(spec)


def _comparison(spec: CompareSpec) -> dict[str, str]:
    parameters = {"a": model_name(spec.a), "b": model_name(spec.b), "d": spec.a.data.name, "p": spec.a.pooling}
    for name, side in (("la", spec.a), ("lb", spec.b)):
        parameters[name] = "all" if side.layers == "all" else url.dotted(list(side.layers))
    parameters["n"] = str(spec.a.data.limit or 0)  # said even where it is none: the page would suggest its own
    parameters["enc"] = url.joined([training.key for training in spec.encoders])
    return parameters


CONTROLS: dict[str, Any] = {CompareSpec.kind: _comparison}
"""Pages whose controls say all; the others are opened by the key of the run."""


def finished_run(again: str, *kinds: str) -> Spec | None:
    """The finished run that the address names; None to show the controls.

    Args:
        again: label of the button that leads back to the controls.
        kinds: what the run may be.
    """
    key = url.start("run", None)
    wanted = st.session_state[key]
    if wanted is None:
        return None
    if st.button(again, icon=":material/add:"):
        st.session_state[key] = None
        return None
    url.keep("run", wanted, None)
    kind = next((kind for kind in kinds if cached.store().find(kind, wanted) is not None), kinds[-1])
    cached.store().need(kind, wanted)
    return cached.spec_of(kind, wanted)
