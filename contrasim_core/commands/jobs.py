"""`jobs`: list runs, or cancel one."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from contrasim_core.commands.options import root_of
from contrasim_core.commands.output import Output, command
from contrasim_core.engine.jobs import JobTable
from contrasim_core.errors import EngineError


def add(commands: Any) -> None:
    """Declare the command."""
    jobs = command(commands, "jobs", "List runs, or cancel one.", examples=("jobs", "jobs cancel 0123456789ab"))
    jobs.add_argument("action", nargs="?", choices=("list", "cancel"), default="list")
    jobs.add_argument("id", nargs="?", help="for cancel")
    jobs.set_defaults(run=_jobs)


def _jobs(options: Namespace, output: Output) -> int:
    table = JobTable(root_of(options))
    if options.action == "cancel":
        if not options.id:
            raise EngineError("jobs cancel needs the id of a job; `contrasim jobs` lists them.")
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
    heading = ("id", "kind", "what", "state", "done>", "message", "requested")
    output.table("Runs", heading, rows, [asdict(job) for job in found])
    return 0
