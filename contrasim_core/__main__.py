"""`python -m contrasim_core`, the same as `contrasim`."""

from __future__ import annotations

import sys

from contrasim_core.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
