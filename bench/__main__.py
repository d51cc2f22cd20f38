"""`python -m bench [--quick] [--only cka|families|extraction] [--threads 1]`: our speed and memory against peers."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

import torch

from bench import cka, extraction, families
from bench.cka import Size


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to test that it runs, not how fast")
    parser.add_argument("--only", choices=("cka", "families", "extraction"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="number of torch threads, the same for all")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        cka.child(*arguments.child[1:])
        return
    missing = [name for name in ("cka", "torch_cka") if find_spec(name) is None]
    if missing and arguments.only in (None, "cka"):
        sys.exit(f"{', '.join(missing)} missing: pip install -r bench/requirements.txt")
    size, count = (Size(1000, 128, 4), 96) if arguments.quick else (Size(), 512)
    repeats = 1 if arguments.quick else arguments.repeats
    if arguments.only in (None, "cka"):
        cka.main(size, repeats)
    if arguments.only in (None, "extraction"):
        extraction.main(count, repeats)
    if arguments.only in (None, "families"):
        families.main(size, 1 if size == Size() else repeats)


if __name__ == "__main__":
    main()
