"""The tables and figures of arXiv:2303.16992, run anew: on the bundled models, or on the paper's own from the hub.

Each item is a list of specs, so that finished parts are never computed twice and an interrupted run goes on. What is
written has the paper's layout; on the hub's scale the paper's own numbers stand beside ours.
"""

from contrasim_core.paper.bench import Bench
from contrasim_core.paper.items import ITEMS, item, make
from contrasim_core.paper.sheets import Sheet, paper_numbers

__all__ = ["ITEMS", "Bench", "Sheet", "item", "make", "paper_numbers"]
