"""`run.py train`: one command from labelled pictures to a served version.

Status 0 when done, 1 when it cannot be done, 2 when the arguments make no sense, 130 after Ctrl-C; always one sentence,
never a traceback.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from models.architectures import table
from models.command_line import Parser, model_name
from models.data.reading import Wishes
from models.errors import ModelError
from models.spec import SPEC_FILE
from models.training.order import Order, seconds_of
from models.training.starting import version_of

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "run.py train"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    started = time.monotonic()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        order = _order(words)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes on itself
        from models.training.train import train

        version = train(order, say=_say, started=started)
    except SystemExit as exc:  # argparse ends the process; a caller of main wants the status
        return int(exc.code or 0)
    except ModelError as exc:
        sys.stderr.write(f"{PROGRAM}: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: stopped; the same command with --resume goes on from the last epoch.\n")
        return 130
    _say(f"{version.reference} is in {version.folder} after {(time.monotonic() - started) / 60:.1f} minutes; a running"
         " server takes it up by itself.")
    return 0


def _order(words: list[str]) -> Order:
    arguments = _parser().parse_args(words)
    _check_network(arguments)
    wishes = Wishes(image_column=arguments.image_column, label_column=arguments.label_column,
                    images=arguments.pictures)
    return Order(
        source=arguments.source, name=arguments.name, store=arguments.store, work=arguments.work, wishes=wishes,
        budget_s=seconds_of(arguments.budget), architecture=arguments.architecture, size=arguments.size,
        weights=arguments.weights, test=arguments.test, seed=arguments.seed, is_resumed=arguments.resume,
        labels=arguments.labels, flip={"auto": None, "yes": True, "no": False}[arguments.flip], command=_shown(words),
        report=arguments.report, erase=arguments.erase, distort=arguments.distort, start=arguments.start,
        note=arguments.note,
    )


def _check_network(arguments: argparse.Namespace) -> None:
    """Raise `ModelError` for a network there is none of, and for weights without the network they belong to."""
    if arguments.start is not None:
        if arguments.architecture != "auto" or arguments.weights is not None:
            raise ModelError("--from: the version says which network it is; leave out --architecture and --weights.")
        version_of(arguments.start, arguments.store)
    if arguments.architecture != "auto":
        row = table.find(arguments.architecture)
        if arguments.weights is not None and not row.takes_weights:
            raise ModelError(f"--weights: {row.name} takes none; name a network of keras.applications with"
                             " --architecture.")
    elif arguments.weights is not None:
        raise ModelError("--weights: name the network they belong to, such as --architecture mobilenetv2.")
    if arguments.weights is not None and not arguments.weights.is_file():
        raise ModelError(f"--weights {arguments.weights}: there is no such file.")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, description="Train a model on labelled pictures, in a time that is kept.")
    parser.add_argument("source", metavar="SOURCE", help="a folder of class folders, a table, a labelling tool's"
                        " export, an .npz, keras:NAME or sklearn:digits; see docs/training-data.md")
    parser.add_argument("--name", required=True, type=model_name, metavar="NAME",
                        help="what the model is called; its next version is made")
    parser.add_argument("--budget", default="30m", metavar="TIME", help="such as 90s, 30m, 2h (default: 30m)")
    parser.add_argument("--architecture", default="auto", metavar="NAME", help="auto, or a network of"
                        " docs/architectures.md (default: auto)")
    parser.add_argument("--size", type=int, metavar="N", help="side of the pictures in pixels (default: by the data)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of a network of keras.applications to"
                        " start from")
    parser.add_argument("--from", dest="start", metavar="VERSION", help="go on from a version: NAME, NAME@VERSION, or"
                        " its folder; the pictures that judge must be others than it was trained on (--test)")
    parser.add_argument("--test", metavar="SOURCE", help="pictures of their own that judge (default: a tenth of"
                        " SOURCE)")
    parser.add_argument("--labels", metavar="FILE|A,B,C", help="what the classes are called, in the source's order")
    parser.add_argument("--resume", action="store_true", help="go on from the last epoch of a stopped training")
    parser.add_argument("--flip", choices=("auto", "yes", "no"), default="auto", help="whether a mirrored picture is"
                        " of the same class (default: auto)")
    parser.add_argument("--erase", type=_up_to(0.5), default=0.0, metavar="SHARE", help="blank out a square of this"
                        " share of the side, 0 to 0.5, somewhere in each picture (default: auto tries, else 0)")
    parser.add_argument("--distort", type=_up_to(1.0), default=0.0, metavar="STRENGTH", help="turn, zoom and shear each"
                        " picture by chance, 0 to 1: for handwriting 1, up to 12 degrees and 12 %% (default: 0)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed is another split and start")
    parser.add_argument("--image-column", metavar="NAME", help="a table's column of paths")
    parser.add_argument("--label-column", metavar="NAME", help="a table's column of classes")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where pictures that a table names are looked for")
    parser.add_argument("--note", default="", metavar="TEXT", help="what whoever gets the version should know: where"
                        " the pictures are from, their licence")
    parser.add_argument("--report", type=_report, metavar="FILE", help="where the page about the test goes (default:"
                        " evaluation.html in the version's folder)")
    parser.add_argument("--store", type=Path, default=ROOT / "models" / "store", metavar="DIR",
                        help="the folder of model versions (default: models/store)")
    parser.add_argument("--work", type=Path, default=ROOT / "state" / "training", metavar="DIR",
                        help="the folder of unfinished trainings (default: state/training)")
    return parser


def _up_to(most: float) -> Callable[[str], float]:
    """What reads a number from 0 to `most`."""
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {most:g}")
        return value

    return number


def _report(text: str) -> Path:
    """A file that can be written at the end of hours."""
    path = Path(text).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no file in a folder that is there")
    return path


def _shown(words: Sequence[str]) -> str:
    """The command for the card: paths by their last part, since others have them elsewhere, versions by their name."""
    return f"{PROGRAM} " + shlex.join(_last(Path(word)) if _is_path(word) else word for word in words)


def _last(path: Path) -> str:
    return f"{path.parent.name}@{path.name}" if (path / SPEC_FILE).is_file() else path.name


def _is_path(word: str) -> bool:
    """Whether it says where something lies here; a class may be called T-shirt/top."""
    return ("/" in word or "\\" in word) and Path(word).parent.exists()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
