"""Options that several commands share, and what is made of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any, get_args

from contrasim_core.specs import Dtype, Pooling
from contrasim_core.store import Store

POOLINGS = get_args(Pooling)


def add_data(parser: ArgumentParser) -> None:
    """Which data, and how a model is run on them."""
    parser.add_argument("--data", required=True, help="bundled name, file, folder, or hub data set")
    parser.add_argument("--split", default="test", help="part of a bundled or hub data set (default: test)")
    parser.add_argument("--column", help="column of a table with the texts or images")
    parser.add_argument("--limit", type=int, help="only the first samples")
    parser.add_argument("--pooling", choices=POOLINGS, help="default: by the family of the model")
    parser.add_argument("--dtype", choices=get_args(Dtype), default="float32", help="of the forward pass")
    parser.add_argument("--max-length", type=int, default=128, help="tokens after which a text is cut (default: 128)")


def add_device(parser: ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument("--batch-size", type=int, help="samples per forward pass")


def store_of(options: Namespace) -> Store:
    """The store these options name."""
    return Store(options.cache)


def execution_of(options: Namespace) -> Any:
    """How models are run."""
    from contrasim_core.extraction import Execution

    return Execution(device=options.device, batch_size=options.batch_size)
