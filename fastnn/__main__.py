"""Command line: `python -m fastnn demo` trains on real digits, `config` describes this installation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import fastnn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give the exit code."""
    parser = argparse.ArgumentParser(prog="fastnn", description=(fastnn.__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,config}")
    demo = commands.add_parser("demo", help="train a CNN on 4,000 digits, save pictures, measure kernels beside NumPy")
    demo.add_argument("--out", default="demo", metavar="FOLDER", help="where the pictures go (default: demo)")
    demo.add_argument("--epochs", type=int, default=16, help="passes over the training digits (default: 16)")
    demo.add_argument("--seed", type=int, default=0, help="another seed gives another net (default: 0)")
    commands.add_parser("config", help="print CPU, threads, cache folder and versions")
    options = parser.parse_args(arguments)
    if options.command == "demo":
        from fastnn.demo import digits

        digits.run(options.out, epochs=options.epochs, seed=options.seed)
    else:
        fastnn.show_config()
    return 0


if __name__ == "__main__":
    sys.exit(main())
