"""Controls that become specs."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import streamlit as st

from contrasim_core.activations.spec import ExtractionSpec
from contrasim_core.data.catalog import BUNDLED
from contrasim_core.encoder.spec import ENCODER_KINDS, PAPER, EncoderSpec, TrainSpec
from contrasim_core.measure.facts import CLOSED_FORM_IDS, label_of, measure_facts
from contrasim_core.models.find import bundled_names, depth_of, resolve_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.refs import POOLING_NAMES, Pooling
from contrasim_core.runs.comparison.spec import CompareSpec
from contrasim_core.runs.extraction.presets import extraction_spec
from contrasim_core.zoo.families import quick_for, recipe_for
from pages._ui import cached, url

POOLINGS = get_args(Pooling)
PRESETS = {"quick": "Quick", "paper": "As in the paper"}
LOSSES = {"supcon": "Supervised contrastive (published code)", "eq3": "Equation 3, as printed"}
SHOWN = ("contrasim", "cka.linear", "contrasim.relative", "procrustes")
MOST_SHOWN = 4
HELP_MODEL = (
    "A bundled model, a folder in Hugging Face format, or a hub id such as owner/name: type it and press Enter."
)
HELP_DATA = "A bundled data set, a file or folder, or a hub data set: type it and press Enter."


def choice(
    name: str,
    label: str,
    options: list[str],
    default: str,
    *,
    free: bool = False,
    help: str | None = None,
    format_func: Callable[[str], str] = str,
) -> str:
    """A select box whose value lives in the address; `free` lets people type a value of their own."""
    key = url.start(name, default, lambda raw: raw if free or raw in options else None)
    if not free and st.session_state[key] not in options:  # it was chosen among other options, such as another task's
        st.session_state[key] = default
    known = options if st.session_state[key] in options else [*options, st.session_state[key]]
    value = st.selectbox(label, known, key=key, accept_new_options=free, help=help, format_func=format_func)
    url.keep(name, value, default)
    return str(value)


def text(name: str, label: str, default: str, *, help: str) -> str:
    """A line of text whose value lives in the address."""
    value = st.text_input(label, key=url.start(name, default), help=help)
    url.keep(name, value, default)
    return str(value)


def model(name: str, label: str, default: str) -> str:
    """A model by name."""
    return choice(name, label, bundled_names(), default, free=True, help=HELP_MODEL)


def layers(name: str, label: str, chosen: str) -> str | tuple[int, ...]:
    """Layer indices of a model; all of them where its depth is not known before it is loaded."""
    depth = depth_of(resolve_model(chosen))
    if depth is None:
        st.caption("All layers. How many there are is known once the model is loaded.")
        return "all"
    options = list(range(depth + 1))
    default = options[1:]
    key = url.start(name, default, lambda raw: options if raw == "all" else url.numbers(raw))
    st.session_state[key] = [item for item in st.session_state[key] if item in options] or default
    value = st.multiselect(
        label, options, key=key, wrap=True, help="0 is the output of the embeddings, k that of block k."
    )
    picked = sorted(value) or default
    url.keep(name, picked, default, url.dotted)
    return "all" if picked == options else tuple(picked)


def comparison() -> CompareSpec:
    """Two models, data, layers and encoders."""
    left, middle, right = st.columns(3)
    with left:
        a = model("a", "Model A (rows)", "digits-vit-0")
        layers_a = layers("la", "Layers of A", a)
    with middle:
        b = model("b", "Model B (columns)", "digits-vit-1")
        layers_b = layers("lb", "Layers of B", b)
    with right:
        usual = default_pooling(resolve_model(a))
        family = recipe_for([a])
        names = [item.name for item in BUNDLED]
        data = choice("d", "Data", names, family.test if family else names[0], free=True, help=HELP_DATA)
        pooling = choice(
            "p", "Pooling", list(POOLINGS), usual, format_func=POOLING_NAMES.__getitem__,
            help="How the positions of a sample become one row.",
        )  # fmt: skip
        limit = samples(family.rows if family else None)
    sides = [
        extraction_spec(name, data, pooling=pooling, limit=limit, layers=chosen)  # type: ignore[arg-type]
        for name, chosen in ((a, layers_a), (b, layers_b))
    ]
    encoders = [cached.trained()[key] for key in encoder_keys(sides)]
    learned = [kind for kind in ENCODER_KINDS if any(spec.encoder.encoder == kind for spec in encoders)]
    return CompareSpec(a=sides[0], b=sides[1], measures=(*CLOSED_FORM_IDS, *learned), encoders=tuple(encoders))


def samples(default: int | None) -> int | None:
    """How many samples, from the first; None for all of them."""
    key = url.start("n", default, lambda raw: int(raw) or url.EMPTY if raw.isdigit() else None)
    value = st.number_input("Samples", min_value=1, step=100, key=key, placeholder="All")
    url.keep("n", value or url.EMPTY, default or url.EMPTY, lambda kept: "0" if kept is url.EMPTY else str(kept))
    return value


def encoder_keys(sides: list[ExtractionSpec]) -> list[str]:
    """Trained encoders to compare with: those that know both models and the pooling are taken by default."""
    known = {key: spec for key, spec in cached.trained().items() if spec.sources[0].pooling == sides[0].pooling}
    wanted = {side.model for side in sides}
    fitting = [key for key, spec in known.items() if wanted <= {source.model for source in spec.sources}]
    default = list({known[key].encoder.encoder: key for key in reversed(fitting)}.values())
    key = url.start("enc", default, lambda raw: [item for item in url.words(raw) if item in known])
    st.session_state[key] = [item for item in st.session_state[key] if item in known]
    value = st.multiselect(
        "Trained encoders",
        list(known),
        key=key,
        format_func=lambda item: encoder_label(known[item], item),
        placeholder="None: closed-form measures only",
        help="Learned measures need an encoder. Train one on the Train encoder page.",
    )
    url.keep("enc", value, default, url.joined)
    chosen = {known[item].encoder.encoder: item for item in value}  # one of each kind
    return [chosen[kind] for kind in ENCODER_KINDS if kind in chosen]


def encoder_label(spec: TrainSpec, key: str) -> str:
    """One line about a trained encoder."""
    names = [source.model.label for source in spec.sources]
    span = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
    return f"{label_of(spec.encoder.encoder)}, {len(names)} models ({span}), {spec.encoder.epochs} epochs, {key[:6]}"


def shown_measures(available: list[str]) -> list[str]:
    """Up to four measures to draw."""
    default = [name for name in SHOWN if name in available][:MOST_SHOWN]
    key = url.start("m", default, lambda raw: [name for name in url.words(raw) if name in measure_facts()][:MOST_SHOWN])
    st.session_state[key] = [name for name in st.session_state[key] if name in available] or default
    value = st.multiselect(
        "Measures shown (up to 4)", available, key=key, format_func=label_of, max_selections=MOST_SHOWN
    )
    url.keep("m", value, default, url.joined)
    return value or default


def encoder_options(models: str) -> EncoderSpec:
    """Kind and training options of an encoder for these models, from a preset."""
    left, right = st.columns(2)
    with left:
        kind = choice("kind", "Kind", list(ENCODER_KINDS), "contrasim", format_func=label_of)
    with right:
        preset = choice(
            "preset",
            "Training options",
            ["quick", "paper"],
            "quick",
            format_func=PRESETS.__getitem__,
            help="Quick options suit the bundled models on a laptop.",
        )
    base = (quick_for(models) if preset == "quick" else PAPER).replace(encoder=kind)
    with st.expander("Change training options"):
        one, two, three = st.columns(3)
        changes = {
            "epochs": int(one.number_input("Epochs", 1, 1000, base.epochs)),
            "batch_rows": int(one.number_input("Rows per step", 4, 65536, base.batch_rows)),
            "temperature": float(two.number_input("Temperature τ", 0.001, 10.0, base.temperature, format="%.3f")),
            "learning_rate": float(two.number_input("Learning rate", 1e-6, 1.0, base.learning_rate, format="%.5f")),
            "anchors": int(three.number_input("Anchors (relative kind)", 2, 4096, base.anchors)),
            "loss": three.selectbox(
                "Loss",
                list(LOSSES),
                format_func=LOSSES.__getitem__,
                help="The denominator: all other examples, as in the published code, or negatives only.",
            ),
        }
    return base.replace(**changes)
