"""The evaluation of the test part, as files that the version carries, or the page where the order wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import ModelError
from models.evaluation.evaluation import Evaluation, Subject, evaluate
from models.evaluation.files import PAGE_FILE, contents
from models.training.card import last

if TYPE_CHECKING:
    from models.spec import ModelSpec
    from models.training.material import Material
    from models.training.order import Order
    from models.training.train import Trained


def report(order: Order, material: Material, trained: Trained, spec: ModelSpec) -> dict[str, bytes]:
    """The version's files, name -> bytes; the page is written now where `--report` names a file for it.

    Raises:
        ModelError: that file cannot be written.
    """
    files = contents(evaluation(order, material, trained, spec), spec.about)
    if order.report is None:
        return files
    try:
        order.report.write_bytes(files.pop(PAGE_FILE))
    except OSError as exc:
        raise ModelError(f"--report {order.report} cannot be written ({exc.strerror or exc}): the same command with"
                         " --resume and another --report goes on from the last epoch.") from exc
    return files


def evaluation(order: Order, material: Material, trained: Trained, spec: ModelSpec) -> Evaluation:
    """What the network, as it came from training, says of the pictures that judge."""
    import keras

    part = "its test part, kept from training" if order.test is None else "pictures of their own, none trained on"
    subject = Subject(model=f"{spec.name}@{spec.version}", source=last(material.judge.source), part=part,
                      engine=f"keras-{keras.backend.backend()}")
    judging = material.judging
    names = [material.judge.names[row] for row in material.test]
    return evaluate(trained.test, judging.classes, spec.labels, spec.temperature, subject=subject, names=names,
                    pixels=judging.pixels)
