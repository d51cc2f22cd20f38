"""Controls and tables of the page Train encoder."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from contrasim_core.encoder.result import TrainingCurve
from contrasim_core.encoder.spec import TrainSpec
from contrasim_core.measure.facts import label_of
from contrasim_core.runs.training.presets import train_spec
from contrasim_core.zoo.recipes import RECIPES
from pages._ui import cached, links, widgets


def from_link() -> TrainSpec | None:
    """The finished encoder that the address names; None to show the controls."""
    spec = links.finished_run("New training", "encoders")
    return spec if isinstance(spec, TrainSpec) else None


def request() -> TrainSpec:
    """What to train, from the controls."""
    families = [item.family for item in RECIPES if item.task == "layer-prediction"]
    left, right = st.columns([2, 1])
    with left:
        models = widgets.choice(
            "models", "Models", families, families[0], free=True,
            help="A bundled family, or names separated by commas: bundled, folders or hub ids.",
        )  # fmt: skip
    known = models in families
    with right:
        count = int(st.number_input("Seeds", 1, 20, 1, help="Encoders to train, all in one batched computation."))
    data = None
    if not known:
        data = st.text_input("Training data", "digits", help=widgets.HELP_DATA)
    encoder = widgets.encoder_options(models)
    return train_spec(models, encoder=encoder, data=data, seeds=range(count))


def compared(spec: TrainSpec) -> list[TrainingCurve]:
    """The curves of this run, and of other finished ones the viewer picks to compare with."""
    others = {key: item for key, item in cached.trained().items() if key != spec.key}
    picked = st.multiselect(
        "Compare with other runs",
        list(others),
        format_func=lambda key: widgets.encoder_label(others[key], key),
        placeholder="None",
    )
    return [curve for key in (spec.key, *picked) for curve in cached.curves(key)]


def table(curves: list[TrainingCurve]) -> pd.DataFrame:
    """One row per encoder and epoch."""
    return pd.DataFrame(
        [
            {
                "encoder": label_of(curve.encoder),
                "seed": curve.seed,
                "epoch": epoch + 1,
                "loss": loss,
                "held-out accuracy": curve.accuracy[epoch] if curve.accuracy else None,
            }
            for curve in curves
            for epoch, loss in enumerate(curve.loss)
        ]
    )


def compare_link(spec: TrainSpec) -> dict[str, str]:
    """Parameters of the page Compare for the first two models of this encoder."""
    first, second = spec.sources[0], spec.sources[1]
    return {"a": links.model_name(first), "b": links.model_name(second), "p": first.pooling, "enc": spec.key}
