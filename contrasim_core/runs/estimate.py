"""What a run will cost, in words: its graph is walked without computing anything."""

from __future__ import annotations

from contrasim_core.runs.keep import plan
from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec
from contrasim_core.store import Store


def estimate(spec: Spec, store: Store) -> str:
    """Return samples, memory, and which parts already exist; nothing is loaded or computed."""
    nodes = plan(spec, store).nodes
    if nodes[-1].there:
        return "This run is finished."
    parts = list(kind_of(spec).cost(spec))
    products: dict[str, list[bool]] = {}
    for node in nodes[:-1]:
        products.setdefault(kind_of(node.spec).product, []).append(node.there)
    parts += [f"{product}: {sum(ready)} of {len(ready)} ready" for product, ready in products.items()]
    return "; ".join(parts) + "."
