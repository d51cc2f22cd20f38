"""`cache`: what is stored on disk."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError
from contrasim_core.store import Store

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def add(commands: Any) -> None:
    """Declare the command."""
    cache = command(
        commands,
        "cache",
        "List, verify or prune what is stored on disk.",
        examples=("cache", "cache verify", "cache prune --max-size 2G", "cache remove activations 0123456789abcdef"),
    )
    cache.add_argument("action", nargs="?", choices=("list", "verify", "prune", "remove"), default="list")
    cache.add_argument("kind", nargs="?", help="for remove")
    cache.add_argument("key", nargs="?", help="for remove")
    cache.add_argument("--max-size", help="for prune: such as 500M or 2G; the least recently used are deleted first")
    cache.set_defaults(run=_cache)


def _cache(options: Namespace, output: Output) -> int:
    store = Store(options.cache)
    if options.action == "prune":
        return _prune(store, options.max_size, output)
    if options.action == "verify":
        return _verify(store, output)
    if options.action == "remove":
        if not (options.kind and options.key):
            raise SpecError("cache remove needs a kind and a key; `contrasim cache` lists them.")
        store.remove(options.kind, options.key)
        output.say(f"Deleted {options.kind} {options.key}.")
        return 0
    entries = store.entries()
    rows = [
        (item.kind, item.key, item.title, f"{item.size / 1e6:.1f}", _age(item.used), _state(item)) for item in entries
    ]
    output.table(
        f"{store.root}: {sum(item.size for item in entries) / 1e6:.1f} MB",
        ("kind", "key", "what it is", "MB>", "last used", "state"),
        rows,
        [asdict(item) for item in entries],
    )
    return 0


def _state(entry: Any) -> str:
    return "example" if entry.bundled else "finished" if entry.complete else "unfinished"


def _age(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _prune(store: Store, text: str | None, output: Output) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", (text or "").strip().lower())
    if not match:
        raise SpecError(f"cache prune needs --max-size, such as 500M or 2G. It is {text!r}.")
    gone = store.prune(int(float(match[1]) * UNITS[match[2]]))
    if output.as_json:
        output.json([asdict(item) for item in gone])
    output.say(f"Deleted {len(gone)} artifacts, {sum(item.size for item in gone) / 1e6:.1f} MB.")
    return 0


def _verify(store: Store, output: Output) -> int:
    """Check every shard against its checksum; exit code 1 if any is damaged."""
    from contrasim_core.activations.shards import verify

    checked = [item for item in store.entries() if item.kind == "activations" and item.complete and not item.bundled]
    problems = [(item, problem) for item in checked for problem in verify(store.folder(item.kind, item.key))]
    output.table(
        f"{len(checked)} sets of activations checked, {len(problems)} problems",
        ("key", "what it is", "problem"),
        [(item.key, item.title, problem.reason) for item, problem in problems],
        [{"key": item.key, "title": item.title, "problem": problem.reason} for item, problem in problems],
    )
    if problems:
        output.say("Damaged shards are computed again the next time they are needed.")
    return 1 if problems else 0
