"""Commands about what there is: zoo, cache, measures."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError
from contrasim_core.glossary import MeasureFacts
from contrasim_core.store import Store

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def add(commands: Any) -> None:
    """Declare the commands."""
    zoo = command(
        commands,
        "zoo",
        "List the bundled models, or train one again from its recipe.",
        examples=("zoo", "zoo build digits-vit-0 --root rebuilt"),
    )
    zoo.add_argument("action", nargs="?", choices=("list", "build"), default="list")
    zoo.add_argument("name", nargs="?", help="a model such as digits-vit-0, or a family, for build")
    zoo.add_argument("--root", type=Path, help="folder for what is built (default: rebuilt)", default=Path("rebuilt"))
    zoo.add_argument("--steps", type=int, help="fewer training steps than the recipe's, for a try")
    zoo.set_defaults(run=_zoo)
    cache = command(
        commands,
        "cache",
        "List, verify or prune what is kept on disk.",
        examples=("cache", "cache verify", "cache prune --max-size 2G", "cache remove activations 0123456789abcdef"),
    )
    cache.add_argument("action", nargs="?", choices=("list", "verify", "prune", "remove"), default="list")
    cache.add_argument("kind", nargs="?", help="for remove")
    cache.add_argument("key", nargs="?", help="for remove")
    cache.add_argument("--max-size", help="for prune: such as 500M or 2G; least recently used go first")
    cache.set_defaults(run=_cache)
    measures = command(commands, "measures", "List all measures with range, invariances and source.")
    measures.set_defaults(run=_measures)


def _zoo(options: Namespace, output: Output) -> int:
    from contrasim_core.zoo.cards import cards
    from contrasim_core.zoo.recipes import RECIPES, build

    if options.action == "build":
        if not options.name:
            raise SpecError("zoo build needs a name, such as digits-vit-0, or a family, such as digits-vit.")
        family = next((item for item in RECIPES if item.family == options.name), None)
        names = [f"{options.name}-{seed}" for seed in family.seeds] if family else [options.name]
        made = []
        for name in names:
            with output.progress() as progress:
                made.append(build(name, root=options.root, progress=progress, steps=options.steps))
            output.say(f"{name}: {_score(made[-1].score)}, {made[-1].seconds:.0f} s, in {options.root / name}")
        if output.as_json:
            output.json([asdict(card) for card in made])
        return 0
    found = cards()
    rows = [
        (card.name, card.about, card.layers, f"{card.megabytes:.2f}", _score(card.score), f"{card.seconds:.0f}")
        for card in found
    ]
    output.table(
        "Bundled models",
        ("name", "what it is", "layers>", "MB>", "on unseen data", "trained in s>"),
        rows,
        [asdict(card) for card in found],
    )
    return 0


def _score(score: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in score.items())


def _cache(options: Namespace, output: Output) -> int:
    store = Store(options.cache)
    if options.action == "prune":
        return _prune(store, options.max_size, output)
    if options.action == "verify":
        return _verify(store, output)
    if options.action == "remove":
        if not (options.kind and options.key):
            raise SpecError("cache remove needs a kind and a key, as `cache` lists them.")
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
        raise SpecError(f"cache prune needs --max-size, a size such as 500M or 2G; it is {text!r}.")
    gone = store.prune(int(float(match[1]) * UNITS[match[2]]))
    if output.as_json:
        output.json([asdict(item) for item in gone])
    output.say(f"Deleted {len(gone)} artifacts, {sum(item.size for item in gone) / 1e6:.1f} MB.")
    return 0


def _verify(store: Store, output: Output) -> int:
    """Check every shard against its checksum; exit code 1 if something is damaged."""
    from contrasim_core.shards import verify

    checked = [item for item in store.entries() if item.kind == "activations" and item.complete and not item.bundled]
    problems = [(item, problem) for item in checked for problem in verify(store.folder(item.kind, item.key))]
    output.table(
        f"{len(checked)} sets of activations checked, {len(problems)} problems",
        ("key", "what it is", "problem"),
        [(item.key, item.title, problem.reason) for item, problem in problems],
        [{"key": item.key, "title": item.title, "problem": problem.reason} for item, problem in problems],
    )
    if problems:
        output.say("Damaged shards are computed again when they are next asked for.")
    return 1 if problems else 0


def _measures(_options: Namespace, output: Output) -> int:
    from contrasim_core.api import measures

    found = measures()
    rows = [
        (spec.id, spec.label, _range(spec.bounds), ", ".join(sorted(spec.invariant_to)) or "nothing", spec.source)
        for spec in found
    ]
    data = [{name: _jsonable(getattr(spec, name)) for name in MeasureFacts.__dataclass_fields__} for spec in found]
    output.table("Measures", ("id", "name", "range", "does not change under", "source"), rows, data)
    return 0


def _jsonable(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else dict(value) if isinstance(value, Mapping) else value


def _range(bounds: tuple[float | None, float | None]) -> str:
    low, high = (("−∞", "∞")[place] if value is None else f"{value:g}" for place, value in enumerate(bounds))
    return f"{low} … {high}"
