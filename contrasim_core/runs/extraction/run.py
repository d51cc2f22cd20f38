"""Activations of one model on one data set: split into shards, resumed at the first missing one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.activations.spec import Execution, ExtractionSpec, layer_indices
from contrasim_core.data.catalog import bundled
from contrasim_core.data.pairs import OF
from contrasim_core.models.find import cached_commit, width_of
from contrasim_core.refs import POOLING_NAMES, layer_refs
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec
from contrasim_core.store import MANIFEST, Store

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations
    from contrasim_core.activations.shards import ShardedLayers

SPLIT_FROM = 2048
"""Number of samples that justifies loading the model in one more worker."""
SPLIT_WIDTH = 256
"""Width of a model from which a split pays: one of width 64 took 1.3 times as long in two parts."""


def needs(_spec: ExtractionSpec) -> tuple[Spec, ...]:
    """Return nothing: an extraction reads only models and data."""
    return ()


def title(spec: ExtractionSpec) -> str:
    """Name model, data and pooling."""
    side = f", {spec.data.column.partition(OF)[0]}" if spec.data.column else ""
    return f"{spec.model.label} on {spec.data.label}{side}, {POOLING_NAMES[spec.pooling]}"


def make(spec: ExtractionSpec, _have: Mapping[Spec, Any], context: Context) -> dict[str, Any]:
    """Write the missing shards into the context's folder; return facts for the manifest."""
    from contrasim_core.activations.extract import Extraction

    given = dict(context.given)
    part, parts = given.pop("part", 0), given.pop("parts", 1)
    work = Extraction(spec, context.execution, **given)
    return work.into(context.folder, context.progress, context.lock, part, parts)


def parts(spec: ExtractionSpec, workers: int) -> int:
    """One part per worker, unless there are few samples or the model is so small that reading them twice costs more."""
    known = bundled(spec.data.name)
    count = spec.data.limit or (known.sizes[spec.data.split] if known else None)
    width = width_of(spec.model)
    small = (count is not None and count < SPLIT_FROM) or (width is not None and width < SPLIT_WIDTH)
    return 1 if small else workers


def pin(spec: ExtractionSpec, execution: Execution) -> ExtractionSpec:
    """Download a hub model that is not cached yet, so that its commit is known."""
    if spec.model.kind != "hub" or spec.model.fingerprint:
        return spec
    from contrasim_core.models.load import commit_of, load_model

    commit = commit_of(load_model(spec.model, device=execution.device, dtype=spec.dtype))
    return spec.replace(model=replace(spec.model, fingerprint=commit))


def find(spec: ExtractionSpec, store: Store, *, verify: bool = True) -> Path | None:
    """Find valid activations under this spec's own key or, for a selection of layers, under that of all layers.

    A hub model without a commit is taken at the one in the local cache. Checksums are compared if `verify` is true.
    """
    if spec.model.kind == "hub" and not spec.model.fingerprint:
        commit = cached_commit(spec.model.name, spec.model.revision)
        spec = spec.replace(model=replace(spec.model, fingerprint=commit))
    wider = spec.replace(layers="all")
    for candidate in dict.fromkeys((spec, wider)):
        folder = store.find(candidate.kind, candidate.key)
        if folder is not None and (not verify or _open(folder) is not None) and _has_layers(spec, folder):
            return folder
    return None


def load(spec: ExtractionSpec, folder: Path) -> list[Activations]:
    """Return one `Activations` per layer; rows are read from disk on access."""
    from contrasim_core.activations.extract import recipe_of

    stored = _open(folder)
    assert stored is not None  # noqa: S101 - `find` has checked
    return stored.activations(spec.model.label, recipe_of(spec), _kept(spec, folder))


def _has_layers(spec: ExtractionSpec, folder: Path) -> bool:
    """Return whether the folder has all requested layers."""
    keep = _kept(spec, folder)
    there = {layer.index for layer in layer_refs("", _manifest(folder)["layers"])}
    return keep is None or (set(keep) <= there and len(keep) == len(set(keep)))


def _kept(spec: ExtractionSpec, folder: Path) -> list[int] | None:
    """Return the indices of the layers to use from a folder; None for all of them."""
    if spec.layers == "all" or _manifest(folder)["spec"]["spec"]["layers"] != "all":
        return None
    return layer_indices(spec.layers, spec.model.label)


def _open(folder: Path) -> ShardedLayers | None:
    """Open the shards of a folder with a manifest; None if one is missing or damaged and must be made again."""
    from contrasim_core.activations.shards import ShardedLayers, valid_info

    manifest = _manifest(folder)
    infos = [valid_info(folder, index) for index in range(int(manifest["shards"]))]
    if any(info is None for info in infos):
        return None
    return ShardedLayers(folder, [info for info in infos if info is not None], str(manifest["fingerprint"]))


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
