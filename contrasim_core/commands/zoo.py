"""`zoo`: the bundled models."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrasim_core.commands.output import Output, command
from contrasim_core.errors import SpecError


def add(commands: Any) -> None:
    """Declare the command."""
    zoo = command(
        commands,
        "zoo",
        "List the bundled models, or train one from its recipe.",
        examples=("zoo", "zoo build digits-vit-0 --root rebuilt"),
    )
    zoo.add_argument("action", nargs="?", choices=("list", "build"), default="list")
    zoo.add_argument("name", nargs="?", help="a model such as digits-vit-0, or a family, for build")
    zoo.add_argument("--root", type=Path, help="folder to write to (default: rebuilt)", default=Path("rebuilt"))
    zoo.add_argument("--steps", type=int, help="number of training steps instead of the recipe's, for a trial run")
    zoo.set_defaults(run=_zoo)


def _zoo(options: Namespace, output: Output) -> int:
    from contrasim_core.zoo.build import build
    from contrasim_core.zoo.cards import cards
    from contrasim_core.zoo.recipes import RECIPES

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
