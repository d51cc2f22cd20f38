"""Commands that run things: up, down, jobs, app, example."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.engine import cluster
from contrasim_core.engine.jobs import JobTable
from contrasim_core.errors import EngineError
from contrasim_core.store import DASHBOARD, Store

APP = DASHBOARD / "app.py"
END_SECONDS = 10


def add(commands: Any) -> None:
    """Declare the commands."""
    up = command(
        commands,
        "up",
        "Start a scheduler and one worker per GPU (or one on the CPU), on this machine only.",
        examples=("up", "up --host 10.0.0.5 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem"),
    )
    up.add_argument("--host", default="127.0.0.1", help="where to listen; others than this machine need TLS")
    for name in ("ca", "cert", "key"):
        up.add_argument(f"--tls-{name}", default="", metavar="FILE", help=f"{name} file of mutual TLS")
    up.set_defaults(run=_up)
    down = command(commands, "down", "End the scheduler and the workers that `up` started.")
    down.set_defaults(run=_down)
    jobs = command(commands, "jobs", "List runs, or cancel one.", examples=("jobs", "jobs cancel 0123456789ab"))
    jobs.add_argument("action", nargs="?", choices=("list", "cancel"), default="list")
    jobs.add_argument("id", nargs="?", help="for cancel")
    jobs.set_defaults(run=_jobs)
    app = command(commands, "app", "Start a worker and the dashboard, until Ctrl-C.", examples=("app --port 8501",))
    app.add_argument("--port", type=int, default=8501, help="of the dashboard, on 127.0.0.1 (default: 8501)")
    app.set_defaults(run=_app)
    example = command(commands, "example", "Compute the example that the dashboard opens on again.")
    example.add_argument("--root", type=Path, help="where it goes (default: cache/example)")
    example.set_defaults(run=_example)


def _root(options: Namespace) -> Path:
    return Store(options.cache).root


def _up(options: Namespace, output: Output) -> int:
    tls = cluster.Tls(ca=options.tls_ca, cert=options.tls_cert, key=options.tls_key)
    started, new = cluster.up(_root(options), host=options.host, tls=tls)
    if output.as_json:
        output.json({"new": new, **asdict(started)})
    word = "Started" if new else "Already running:"
    output.say(f"{word} scheduler {started.scheduler} and worker {', '.join(map(str, started.workers))}.")
    return 0


def _down(options: Namespace, output: Output) -> int:
    ended = cluster.down(_root(options))
    if output.as_json:
        output.json({"ended": ended})
    output.say(f"Ended {len(ended)} processes." if ended else "Nothing was running.")
    return 0


def _jobs(options: Namespace, output: Output) -> int:
    table = JobTable(_root(options))
    if options.action == "cancel":
        if not options.id:
            raise EngineError("jobs cancel needs the id of a job, as `jobs` lists them.")
        job = table.cancel(options.id)
        output.say(f"{job.id}: {job.state}.")
        if output.as_json:
            output.json(asdict(job))
        return 0
    found = table.jobs()
    rows = [
        (job.id, job.kind, job.title, job.state, f"{job.share:.0%}", job.error or job.message,
         time.strftime("%m-%d %H:%M", time.localtime(job.created)))
        for job in found
    ]  # fmt: skip
    heading = ("id", "kind", "what", "state", "done>", "message", "asked for")
    output.table("Runs", heading, rows, [asdict(job) for job in found])
    return 0


def _app(options: Namespace, output: Output) -> int:
    """A worker of its own beside the dashboard; ends the worker if it started it."""
    root = _root(options)
    _started, new = cluster.up(root)
    # -P: nothing in the user's folder is taken for a module. Streamlit reads the configuration that lies beside APP.
    arguments = [sys.executable, "-P", "-m", "streamlit", "run", str(APP), "--server.port", str(options.port)]
    output.say(f"Dashboard: http://127.0.0.1:{options.port} (Ctrl-C ends it)")
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


def _example(options: Namespace, output: Output) -> int:
    from contrasim_core.example import make

    with output.progress() as progress:
        made = make(options.root, progress)
    output.say(f"The example is in {made}.")
    return 0
