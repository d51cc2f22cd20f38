"""The state of a page lives in its address: every view can be linked, reloaded, and left with Back.

Each control calls `start` before and `keep` after its widget; app.py calls `begin` before and `flush` after the page,
so that one run writes the address at most once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

STATE = "_url"
EMPTY = object()
"""Value of a control that was emptied, where that is not its default."""
LONGEST = 500  # characters of one parameter; addresses are not to be trusted


def begin(page: str) -> None:
    """Take note of the page that runs now."""
    state = st.session_state.setdefault(STATE, {"page": None, "written": {}, "kept": {}})
    state["entered"] = state["page"] != page
    if state["entered"]:
        state["written"] = {}
    state["page"], state["now"], state["claimed"] = page, {}, set()


def start(name: str, default: Any, decode: Callable[[str], Any] = str) -> str:
    """Seed the control `name` from the address, from what it was before, or with its default; returns its widget key.

    Args:
        name: of the parameter.
        default: value without a parameter.
        decode: from text to value; None for text that means nothing, which is then ignored.
    """
    state = st.session_state[STATE]
    key = f"{state['page'] or 'overview'}.{name}"
    state["claimed"].add(name)
    raw = st.query_params.get(name)
    written = state["written"].get(name)
    if raw is not None and raw != written:
        value = decode(raw[:LONGEST])
    elif raw is None and written is not None and not state["entered"]:
        value = default  # Back to an address without it
    elif key not in st.session_state:
        value = state["kept"].get(key, default)
    else:
        return key
    st.session_state[key] = default if value is None else None if value is EMPTY else value
    return key


def keep(name: str, value: Any, default: Any, encode: Callable[[Any], str] = str) -> None:
    """Remember a control's value for the address and for coming back to the page."""
    state = st.session_state[STATE]
    state["kept"][f"{state['page'] or 'overview'}.{name}"] = value
    if value != default and value is not None:
        state["now"][name] = encode(value)


def flush() -> None:
    """Write what was kept into the address, if it changed.

    Parameters of controls that were not drawn this time, such as those of a result that is still being computed, stay.
    """
    state = st.session_state[STATE]
    waiting = {name: value for name, value in st.query_params.items() if name not in state["claimed"]}
    wanted = {**waiting, **state["now"]}
    if wanted != dict(st.query_params):
        st.query_params.from_dict(wanted)
    state["written"] = state["now"]


def numbers(text: str) -> list[int] | None:
    """Indices from `1.2.5`."""
    parts = text.split(".")
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else None


def dotted(values: list[Any]) -> str:
    """A list as `a.b.c`; the parts hold no dots of their own but for measure ids, which use `words`."""
    return ".".join(str(value) for value in values)


def words(text: str) -> list[str]:
    """Names from `a~b~c`."""
    return [part for part in text.split("~") if part]


def joined(values: list[str]) -> str:
    """Names as `a~b~c`."""
    return "~".join(values)
