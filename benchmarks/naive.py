"""What people do today: the Keras model inside the TabPy function. Written as the tutorials write it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def naive_classifier(model_file: str, size: int) -> Callable[[list[str]], list[str]]:
    """A function to deploy that loads the model on its first call and keeps it."""

    def classify(paths: list[str]) -> list[str]:
        import sys

        import keras
        import numpy as np

        cache: Any = sys.modules
        if "naive_model" not in cache:
            cache["naive_model"] = keras.models.load_model(model_file)
        pictures = [keras.utils.img_to_array(keras.utils.load_img(path, target_size=(size, size))) for path in paths]
        outputs = cache["naive_model"].predict(np.stack(pictures), verbose=0)
        probabilities = outputs["probabilities"] if isinstance(outputs, dict) else outputs
        return [f"class {number:04d}" for number in probabilities.argmax(axis=1)]

    return classify
