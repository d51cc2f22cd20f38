"""What a run will cost, in words: the walk of its graph without doing anything."""

from __future__ import annotations

from contrasim_core.runs.keep import plan
from contrasim_core.runs.kinds import kind_of
from contrasim_core.spec import Spec
from contrasim_core.store import Store


def estimate(spec: Spec, store: Store) -> str:
    """Samples, memory, and which parts are there already; nothing is loaded or computed."""
    nodes = plan(spec, store).nodes
    if nodes[-1].there:
        return "This run is finished."
    parts = list(kind_of(spec).cost(spec))
    products: dict[str, list[bool]] = {}
    for node in nodes[:-1]:
        products.setdefault(kind_of(node.spec).product, []).append(node.there)
    parts += [f"{product}: {sum(there)} of {len(there)} ready" for product, there in products.items()]
    return "; ".join(parts) + "."
