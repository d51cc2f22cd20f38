"""`python -m contrasim_core`."""

from __future__ import annotations

import os
import sys

from contrasim_core.commands.main import main

if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads make a busy machine crawl
    sys.exit(main())
