"""`up`: start the scheduler and the workers."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from contrasim_core.commands.options import root_of
from contrasim_core.commands.output import Output, command
from contrasim_core.engine import cluster


def add(commands: Any) -> None:
    """Declare the command."""
    up = command(
        commands,
        "up",
        "Start a scheduler and one worker per GPU (or one on the CPU), on this machine only.",
        examples=("up", "up --workers 2", "up --host 10.0.0.5 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem"),
    )
    up.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; anything but a loopback address needs TLS (default: 127.0.0.1)",
    )
    for name in ("ca", "cert", "key"):
        up.add_argument(f"--tls-{name}", default="", metavar="FILE", help=f"{name} file for mutual TLS")
    up.add_argument(
        "--workers", type=int, metavar="N", help="number of workers (default: one per GPU, or one on the CPU)"
    )
    up.set_defaults(run=_up)


def _up(options: Namespace, output: Output) -> int:
    tls = cluster.Tls(ca=options.tls_ca, cert=options.tls_cert, key=options.tls_key)
    started, new = cluster.up(root_of(options), host=options.host, tls=tls, workers=options.workers)
    if output.as_json:
        output.json({"new": new, **asdict(started)})
    word = "Started" if new else "Already running:"
    output.say(f"{word} scheduler {started.scheduler} and worker {', '.join(map(str, started.workers))}.")
    return 0
