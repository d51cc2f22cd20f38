"""Record the outputs of modules during a forward pass, and always clean up."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from contrasim_core.errors import LayerError

Take = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recorded:
    """One output: the module's name (with `#2`, `#3` for later calls of a shared module) and what was kept."""

    name: str
    value: Tensor


@contextmanager
def record_outputs(
    model: nn.Module, names: Sequence[str], *, take: Take = lambda tensor: tensor, first_input: bool = False
) -> Iterator[list[Recorded]]:
    """Record the outputs of the named modules in order of execution; hooks are always removed.

    Args:
        model: the model that will be called inside the `with` block.
        names: dotted module names, as in `named_modules()`.
        take: applied to each output at once, so that only its result (such as a pooled matrix) is kept.
        first_input: also record the input of the first call to any of these modules, as `embeddings`.

    Yields:
        A list that is filled while the model runs.

    Raises:
        LayerError: if the model has no such module.
    """
    modules = dict(model.named_modules())
    recorded: list[Recorded] = []
    calls: dict[str, int] = {}

    def keep(name: str, value: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        label = name if calls[name] == 1 else f"{name}#{calls[name]}"
        recorded.append(Recorded(label, take(first_tensor(value, name))))

    with ExitStack() as stack:
        for name in names:
            if name not in modules:
                raise LayerError(f"{type(model).__name__} has no module {name!r}. {near_names(name, list(modules))}")

            def after(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
                keep(name, output)

            def before(_module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
                if not recorded:
                    keep("embeddings", inputs if inputs else keywords.get("hidden_states"))

            stack.callback(modules[name].register_forward_hook(after).remove)
            if first_input:
                stack.callback(modules[name].register_forward_pre_hook(before, with_kwargs=True).remove)
        yield recorded


def first_tensor(value: Any, name: str) -> Tensor:
    """Return the tensor itself, or the first one in a tuple, list or mapping of outputs.

    Raises:
        LayerError: if the output contains no tensor.
    """
    if isinstance(value, Tensor):
        return value
    items = (
        list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple | list) else []
    )
    for item in items:
        if isinstance(item, Tensor):
            return item
    raise LayerError(f"Module {name!r} returns {type(value).__name__}, which has no tensor. Choose another module.")


def expand_names(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Return the module names that match names or globs (`layer1.*`), in the order of `named_modules()`.

    Raises:
        LayerError: if a pattern matches nothing; the message lists similar names.
    """
    names = [name for name, _ in model.named_modules() if name]
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise LayerError(f"{type(model).__name__} has no module {pattern!r}. {near_names(pattern, names)}")
        found.update(dict.fromkeys(matches))
    return [name for name in names if name in found]


def near_names(name: str, names: Sequence[str]) -> str:
    """Return a sentence with the module names most similar to `name`, or the first ones."""
    import difflib

    known = [item for item in names if item]
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.4) or known[:8]
    return f"Modules are: {', '.join(close)}{', ...' if len(known) > len(close) else ''}."
