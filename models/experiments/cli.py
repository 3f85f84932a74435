"""`run.py experiment depth`: repeats an experiment of the talk, and says whether its claim was seen.

Status 0 when it was seen, 3 when the run does not show it, 1 when it cannot be done, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models.command_line import Parser
from models.errors import ModelError

PROGRAM = "run.py experiment"
NOT_SEEN = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as exc:  # argparse ends the process; a caller of main wants the status
        return int(exc.code or 0)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes on itself
    try:
        return _depth(arguments)
    except ModelError as exc:
        sys.stderr.write(f"{PROGRAM}: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: stopped.\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, description="Repeat an experiment of the talk.")
    verbs = parser.add_subparsers(metavar="depth", required=True, parser_class=Parser)
    depth = verbs.add_parser("depth", help="plain against residual networks at growing depth")
    depth.add_argument("--scale", choices=("small", "paper"), default="small",
                       help="small: some 25 minutes on two cores; paper: for a GPU (default: small)")
    depth.add_argument("--data", default="keras:cifar10", metavar="SOURCE",
                       help="pictures with an official test part (default: keras:cifar10)")
    depth.add_argument("--out", type=Path, default=Path("depth"), metavar="DIR", help="where depth.csv and depth.svg go"
                       " (default: depth)")
    depth.add_argument("--seed", type=int, default=1, metavar="N", help="another start and another subset")
    return parser


def _depth(arguments: argparse.Namespace) -> int:
    from models.data.loading import load
    from models.experiments import depth
    from models.experiments.depth_figure import write_csv, write_svg

    scale = depth.SCALES[arguments.scale]
    _say(f"{arguments.scale}: {scale.about}")
    data = load(arguments.data, size=None if arguments.scale == "small" else scale.size)
    networks = depth.run(data, scale, seed=arguments.seed, say=_say)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_csv(arguments.out / "depth.csv", networks)
    write_svg(arguments.out / "depth.svg", networks)
    is_seen, sentence = depth.finding(networks)
    _say(sentence)
    _say(f"errors by epoch: {arguments.out / 'depth.csv'}; figure: {arguments.out / 'depth.svg'}")
    return 0 if is_seen else NOT_SEEN


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
