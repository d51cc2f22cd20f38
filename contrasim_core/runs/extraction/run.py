"""Activations of one model on one data set: split into shards, resumed at the first missing one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrasim_core.activations.spec import Execution, ExtractionSpec, layer_indices
from contrasim_core.data.catalog import bundled
from contrasim_core.models.find import cached_commit
from contrasim_core.refs import layer_refs
from contrasim_core.runs.kind import Context
from contrasim_core.spec import Spec
from contrasim_core.store import MANIFEST, Store

if TYPE_CHECKING:
    from contrasim_core.activations.layer import Activations
    from contrasim_core.activations.shards import ShardedLayers

SPLIT_FROM = 2048
"""Samples from which an extraction is worth a model in every worker."""


def needs(_spec: ExtractionSpec) -> tuple[Spec, ...]:
    """Nothing: models and data are all it reads."""
    return ()


def title(spec: ExtractionSpec) -> str:
    """Model, data and pooling."""
    return f"{spec.model.label} on {spec.data.label}, {spec.pooling}"


def make(spec: ExtractionSpec, _have: Mapping[Spec, Any], context: Context) -> dict[str, Any]:
    """Write the shards that are missing into the context's folder; returns facts for the manifest."""
    from contrasim_core.activations.extract import Extraction

    given = dict(context.given)
    part, parts = given.pop("part", 0), given.pop("parts", 1)
    work = Extraction(spec, context.execution, **given)
    return work.into(context.folder, context.progress, context.lock, part, parts)


def parts(spec: ExtractionSpec, workers: int) -> int:
    """One part for each worker, unless there are so few samples that loading the model would cost more."""
    known = bundled(spec.data.name)
    count = spec.data.limit or (known.sizes[spec.data.split] if known else None)
    return workers if count is None or count >= SPLIT_FROM else 1


def pin(spec: ExtractionSpec, execution: Execution) -> ExtractionSpec:
    """A hub model that was not here yet is fetched, so that its commit is known."""
    if spec.model.kind != "hub" or spec.model.fingerprint:
        return spec
    from contrasim_core.models.load import commit_of, load_model

    commit = commit_of(load_model(spec.model, device=execution.device, dtype=spec.dtype))
    return spec.replace(model=replace(spec.model, fingerprint=commit))


def find(spec: ExtractionSpec, store: Store, *, verify: bool = True) -> Path | None:
    """Sound activations: under this spec's own key or, for a choice of layers, under that of all layers.

    A hub model without a commit is taken at the one in the local cache. Checksums are compared if `verify` says so.
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
    """One `Activations` per layer; rows are read from disk when they are asked for."""
    from contrasim_core.activations.extract import recipe_of

    stored = _open(folder)
    assert stored is not None  # noqa: S101 - `find` has looked
    return stored.activations(spec.model.label, recipe_of(spec), _kept(spec, folder))


def _has_layers(spec: ExtractionSpec, folder: Path) -> bool:
    """Whether the folder has all layers that are asked for."""
    keep = _kept(spec, folder)
    there = {layer.index for layer in layer_refs("", _manifest(folder)["layers"])}
    return keep is None or (set(keep) <= there and len(keep) == len(set(keep)))


def _kept(spec: ExtractionSpec, folder: Path) -> list[int] | None:
    """Indices of the layers to take from a folder; None for all that it holds."""
    if spec.layers == "all" or _manifest(folder)["spec"]["spec"]["layers"] != "all":
        return None
    return layer_indices(spec.layers, spec.model.label)


def _open(folder: Path) -> ShardedLayers | None:
    """The shards of a folder with a manifest; None if one is missing or damaged, so that it must be made again."""
    from contrasim_core.activations.shards import ShardedLayers, valid_info

    manifest = _manifest(folder)
    infos = [valid_info(folder, index) for index in range(int(manifest["shards"]))]
    if any(info is None for info in infos):
        return None
    return ShardedLayers(folder, [info for info in infos if info is not None], str(manifest["fingerprint"]))


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest
