"""Extract activations by name, or from objects: models, modules, texts, images, tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from contrasim_core.activations.extract import Extraction, extract_module
from contrasim_core.activations.layer import Activations
from contrasim_core.activations.spec import Execution, ExtractionSpec
from contrasim_core.data import Inputs, load_data, resolve_data
from contrasim_core.errors import SpecError
from contrasim_core.models.find import resolve_model
from contrasim_core.models.pooling import default_pooling
from contrasim_core.progress import Progress, silent
from contrasim_core.refs import DatasetRef, Dtype, ModelRef, Pooling
from contrasim_core.runs.keep import run
from contrasim_core.store import Store


def extract(
    model: str | Path | ModelRef | nn.Module,
    data: str | Path | DatasetRef | Inputs | Sequence[Any] | Tensor,
    *,
    layers: Literal["all"] | Sequence[int | str] = "all",
    pooling: Pooling | Literal["auto"] = "auto",
    split: str = "test",
    limit: int | None = None,
    column: str | None = None,
    dtype: Dtype = "float32",
    max_length: int = 128,
    device: str = "auto",
    batch_size: int | None = None,
    preprocess: Callable[[Sequence[Any]], Any] | None = None,
    name: str | None = None,
    ids: Sequence[str] | None = None,
    store: Store | None = None,
    progress: Progress = silent,
) -> list[Activations]:
    """Run a model over data; return one `Activations` per requested layer, in order of execution, one row per sample.

    Args:
        model: a bundled name, a folder, a hub id (`name#vision` for a tower), or any `nn.Module`.
        data: a bundled name, a file or folder, a hub data set, a list of texts or images, or a tensor [n, ...].
        layers: `"all"` or layer indices for Hugging Face models; module names or globs for an `nn.Module`.
        pooling: how positions become one row; `auto` uses the family's default.
        split: part of a bundled or hub data set.
        limit: use only the first samples.
        column: column of a table with texts or images.
        dtype: number format of the forward pass; rows are always float32.
        max_length: number of tokens after which a text is cut.
        device: where to run.
        batch_size: samples per forward pass.
        preprocess: for an `nn.Module`: turns a list of samples into its input (a tensor or a dictionary of tensors).
        name: name for an `nn.Module`.
        ids: sample ids, if `data` is a tensor.
        store: where to keep the activations; None keeps them in memory.
        progress: called after each batch.

    Raises:
        ContraSimError: if the model, the data, a layer or the pooling cannot be used; the message says what to do.
    """
    execution = Execution(device=device, batch_size=batch_size)
    if isinstance(model, nn.Module):
        inputs = data if isinstance(data, Tensor) else _loaded(data, split, column, limit)
        chosen = ["*"] if layers == "all" else [str(item) for item in layers]
        return extract_module(model, inputs, chosen, pooling, preprocess, name, ids, limit, execution, progress)
    if isinstance(data, Tensor):
        raise SpecError("A tensor as data needs an nn.Module as model. Give texts, images or a data set's name.")
    given = None if isinstance(data, str | Path | DatasetRef) else _loaded(data, split, column, limit)
    spec = ExtractionSpec(
        model=resolve_model(model),
        data=given.ref if given is not None else resolve_data(data, split=split, limit=limit, column=column),  # type: ignore[arg-type]
        layers="all" if layers == "all" else tuple(layers),
        pooling=default_pooling(resolve_model(model)) if pooling == "auto" else pooling,
        dtype=dtype,
        max_length=max_length,
    )
    return run_extraction(spec, store=store, execution=execution, progress=progress, inputs=given)


def _loaded(data: Any, split: str, column: str | None, limit: int | None) -> Inputs:
    """Load samples by name, or use those that are given."""
    if isinstance(data, Inputs):
        return data
    named = isinstance(data, str | Path | DatasetRef)
    return load_data(data, limit=limit, **({"split": split, "column": column} if named else {}))


def run_extraction(
    spec: ExtractionSpec,
    *,
    store: Store | None = None,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    progress: Progress = silent,
    inputs: Inputs | None = None,
) -> list[Activations]:
    """Run an extraction in memory or into a store; unfinished work resumes at the first missing shard.

    Args:
        spec: what to extract.
        store: where to keep it; None keeps it in memory.
        execution: how to run.
        progress: called after each batch.
        inputs: the samples, if they are already loaded.
    """
    if store is None:
        return Extraction(spec, execution, inputs=inputs).in_memory(progress)
    given = {} if inputs is None else {"inputs": inputs}
    found: list[Activations] = run(spec, store=store, execution=execution, progress=progress, given=given)
    return found
