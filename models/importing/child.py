"""`python -m models.importing.child`: one order from stdin, one report or one sentence to stdout."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import warnings

from models.errors import ModelError
from models.importing.keras_file import shown
from models.importing.order import Order
from models.importing.sandbox import private_stdout


def main() -> None:
    """Import as told and answer with one line of JSON."""
    answers = private_stdout()
    order = Order.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from models.importing.importing import import_file

    try:
        content: dict[str, object] = dict(import_file(order).to_content())
    except (ModelError, ValueError) as exc:  # PictureError is a ValueError
        content = {"error": str(exc)}
    except MemoryError:
        content = {"error": f"{order.file.name} needs more memory than there is; nothing was imported."}
    except Exception as exc:  # noqa: BLE001 - the edge: a full disk, and whatever four foreign readers raise
        content = {"error": f"{order.file.name} cannot be imported: {shown(exc)}"}
    answers.write(json.dumps(content).encode())
    answers.flush()
    answers.close()
    os._exit(0)  # TensorFlow's threads may take seconds to end, and nothing is left to do


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
