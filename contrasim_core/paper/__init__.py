"""The tables and figures of arXiv:2303.16992, reproduced on the bundled models, or on the paper's own from the hub.

Each item is a list of specs, so finished parts are never computed twice and an interrupted run can resume. The output
has the paper's layout; at the hub's scale it shows the paper's own numbers next to ours.
"""

from contrasim_core.paper.bench import Bench
from contrasim_core.paper.items import ITEMS, item, make
from contrasim_core.paper.sheets import Sheet, paper_numbers

__all__ = ["ITEMS", "Bench", "Sheet", "item", "make", "paper_numbers"]
