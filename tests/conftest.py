"""Fixtures that several test files share."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported: no test may reach for the network

import pytest
from jaxtyping import install_import_hook

# Shapes and types in the signatures of what computes are checked at every call; in production they cost nothing.
CHECKED = (
    "neighbours.search", "activations.pooling", "activations.runner", "encoder.net", "encoder.losses",
    "encoder.loop", "encoder.training", "encoder.paired", "encoder.relative", "encoder.fitting",
    "measure.rowwise", "measure.cka", "measure.cca", "measure.procrustes", "measure.regression",
)  # fmt: skip
install_import_hook([f"contrasim_core.{name}" for name in CHECKED], "beartype.beartype")

from contrasim_core.store import Store  # noqa: E402 - after the hook


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A function from a family to the folder of a tiny random model of it, written once per session."""
    from tests.tiny import save_model

    root, made = tmp_path_factory.mktemp("models"), {}

    def folder(family):
        if family not in made:
            made[family] = save_model(family, root / f"tiny-{family}")
        return made[family]

    return folder


@pytest.fixture
def empty_store(tmp_path):
    """A store with nothing in it, not even the bundled example."""
    return Store(tmp_path / "cache", example=None)
