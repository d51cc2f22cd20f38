"""`app`: workers and the dashboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import Namespace
from typing import Any

from contrasim_core.commands.options import root_of
from contrasim_core.commands.output import Output, command
from contrasim_core.engine import cluster
from contrasim_core.store import DASHBOARD

APP = DASHBOARD / "app.py"
END_SECONDS = 10


def add(commands: Any) -> None:
    """Declare the command."""
    app = command(commands, "app", "Start a worker and the dashboard, until Ctrl-C.", examples=("app --port 8501",))
    app.add_argument("--port", type=int, default=8501, help="port of the dashboard on 127.0.0.1 (default: 8501)")
    app.set_defaults(run=_app)


def _app(options: Namespace, output: Output) -> int:
    """Run a worker next to the dashboard, and stop the worker at the end if this command started it."""
    root = root_of(options)
    _started, new = cluster.up(root)
    arguments = [sys.executable, "-P", "-m", "streamlit", "run", str(APP), "--server.port", str(options.port)]
    output.say(f"Dashboard: http://127.0.0.1:{options.port} (Ctrl-C stops it)")
    server = subprocess.Popen(  # noqa: S603 - our own interpreter
        [*arguments, "--server.address", "127.0.0.1", "--server.headless", "true"],
        env={**os.environ, "CONTRASIM_CACHE": str(root)},
    )
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait(END_SECONDS)
        if new:
            cluster.down(root)
