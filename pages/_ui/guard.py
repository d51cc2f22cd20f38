"""Errors that are meant for people become a message on the page; anything else is a bug and crashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from contrasim_core.errors import ContraSimError


class Enough(Exception):
    """Raised where a page has nothing more to show.

    `st.stop` would also stop what follows the page, which is writing its state into the address.
    """


@contextmanager
def guarded() -> Iterator[None]:
    """Show what went wrong and what to do, and leave the rest of the page out."""
    try:
        yield
    except ContraSimError as error:
        st.error(str(error), icon=":material/error:")
    except Enough:
        return
