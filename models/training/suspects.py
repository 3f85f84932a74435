"""Pictures that are probably labelled wrongly, among those that the network was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.calibration import calibrate
from models.data.suspicion import as_problems, suspicious

if TYPE_CHECKING:
    from models.data.entries import Problem
    from models.training.material import Material
    from models.training.train import Trained


def suspects(material: Material, trained: Trained) -> list[Problem]:
    """Of the validation part and of the test, the surest first: what was trained on agrees with its labels, wrong or
    right, so nothing is said of it; another --seed deals other pictures."""
    probabilities = calibrate(np.concatenate([trained.validation, trained.test]), trained.temperature)
    classes = np.concatenate([material.validating.classes, material.judging.classes])
    names = [material.data.names[row] for row in material.validation]
    names += [material.judge.names[row] for row in material.test]
    return as_problems(suspicious(probabilities, classes), names, material.data.labels)
