"""Any network of `keras.applications` as a Pixfield model: raw pixels in, probabilities, embedding and map out.

What a network expects of its pixels ("tf", "torch" or "caffe" scaling) becomes its first layers, so that every model
here takes raw RGB 0..255 and nobody has to remember which scaling belongs to which weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ModelError

_IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of 0..1; torchvision's figures, which keras.applications uses
_IMAGENET_STD = (0.229, 0.224, 0.225)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)  # of 0..255; Simonyan and Zisserman 2014

_TABLE = {
    "tf": "MobileNet 224, MobileNetV2 224, NASNetMobile 224, NASNetLarge 331, InceptionV3 299, InceptionResNetV2 299, "
    "Xception 299, ResNet50V2 224, ResNet101V2 224, ResNet152V2 224",
    "torch": "DenseNet121 224, DenseNet169 224, DenseNet201 224",
    "caffe": "ResNet50 224, ResNet101 224, ResNet152 224, VGG16 224, VGG19 224",
    "inside": "MobileNetV3Small 224, MobileNetV3Large 224, EfficientNetB0 224, EfficientNetB1 240, EfficientNetB2 260, "
    "EfficientNetB3 300, EfficientNetB4 380, EfficientNetB5 456, EfficientNetB6 528, EfficientNetB7 600, "
    "EfficientNetV2B0 224, EfficientNetV2B1 240, EfficientNetV2B2 260, EfficientNetV2B3 300, EfficientNetV2S 384, "
    "EfficientNetV2M 480, EfficientNetV2L 480, ConvNeXtTiny 224, ConvNeXtSmall 224, ConvNeXtBase 224, "
    "ConvNeXtLarge 224, ConvNeXtXLarge 224",
}
"""Scaling -> networks and the sizes of their weights; "inside": the network scales by itself."""


class WeightsError(ModelError):
    """Weights that cannot be had or do not fit; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Application:
    """A network of `keras.applications`: its name there, its scaling, and the input size of its weights."""

    name: str
    scaling: str
    size: int


def applications() -> dict[str, Application]:
    """Every application by its lower-case name; loads no Keras."""
    rows = ((scaling, row.split()) for scaling, line in _TABLE.items() for row in line.split(", "))
    return {name.lower(): Application(name, scaling, int(size)) for scaling, (name, size) in rows}


def find_application(name: str) -> Application:
    """The application of that name in any case; raises `ModelError` with the choices."""
    known = applications()
    if name.lower() not in known:
        choices = ", ".join(application.name for application in known.values())
        raise ModelError(f"There is no application {name!r}; choose from {choices}.")
    return known[name.lower()]


def build(application: Application, *, weights: str, classes: int, size: int) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and, where the network's end allows it, "map".

    Args:
        application: which network.
        weights: "imagenet" (downloaded once, then kept by Keras), "none" (random), or a file of weights.
        classes: the number of labels.
        size: side of the input in pixels.

    Input shape: float32 (N, size, size, 3), raw RGB 0..255.

    Raises:
        WeightsError: no network, no such file, or weights of another network.
    """
    import keras

    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = scale(pixels, application.scaling)
    network = load_network(application, weights=weights, input_tensor=scaled, classes=classes)
    return keras.Model(pixels, _named_outputs(network), name=application.name.lower())


def load_network(application: Application, *, weights: str, **arguments: Any) -> Any:
    """The network itself with its weights; `arguments` as `keras.applications` takes them.

    Raises:
        WeightsError: no network, no such file, or weights of another network.
    """
    import keras

    wanted = None if weights == "none" else weights
    if weights not in ("none", "imagenet") and not Path(weights).is_file():
        raise WeightsError(f"--weights {weights}: there is no such file; expected imagenet, none or a file of weights.")
    try:
        return getattr(keras.applications, application.name)(weights=wanted, **arguments)
    except Exception as exc:  # Keras raises whatever its download and its weight readers raise
        explained = _explain(exc, application, weights=weights, classes=arguments.get("classes"))
        if explained is None:
            raise
        raise explained from exc


def scale(pixels: Any, scaling: str) -> Any:
    """Raw RGB 0..255 as the weights expect it; the same numbers as `keras.applications.*.preprocess_input`."""
    import keras

    if scaling == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    if scaling == "torch":
        factors = [1 / (255 * std) for std in _IMAGENET_STD]
        offsets = [-mean / std for mean, std in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)]
        return keras.layers.Rescaling(factors, offset=offsets)(pixels)
    if scaling == "caffe":
        bgr = keras.ops.take(pixels, [2, 1, 0], axis=-1)
        return keras.layers.Rescaling(1.0, offset=[-mean for mean in _CAFFE_MEAN_BGR])(bgr)
    return pixels


def imagenet_labels() -> tuple[str, ...]:
    """The 1,000 class names that Keras brings, each once; raises `WeightsError` without a network.

    Two names occur twice among them (crane the bird and the machine, maillot): those get their WordNet number.
    """
    import keras
    import numpy as np

    try:
        rows = keras.applications.imagenet_utils.decode_predictions(np.eye(1000, dtype=np.float32), top=1)
    except Exception as exc:  # as in `build`
        if not _is_failed_download(exc):
            raise
        raise WeightsError(_NO_DOWNLOAD) from exc
    names = [name.replace("_", " ") for ((_, name, _),) in rows]
    numbers = [number for ((number, _, _),) in rows]
    return tuple(
        f"{name} ({number})" if names.count(name) > 1 else name for name, number in zip(names, numbers, strict=True)
    )


def classifier_of(network: Any) -> Any:
    """The last layer with weights that mixes features into classes: a dense layer or a 1x1 convolution."""
    import keras

    mixing = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense | keras.layers.Conv2D)]
    return mixing[-1]


def _named_outputs(network: Any) -> dict[str, Any]:
    """Probabilities, the classifier's input, and its map where only an average stands between the map and it."""
    import keras

    features = _undropped(classifier_of(network).input)
    embedding = features if len(features.shape) == 2 else keras.layers.Flatten(name="embedding")(features)
    outputs = {"probabilities": network.output, "embedding": embedding}
    source = features._keras_history.operation  # noqa: SLF001 - Keras has no public way from a tensor to its layer
    if isinstance(source, keras.layers.GlobalAveragePooling2D):
        outputs["map"] = source.input
    return outputs


def _undropped(tensor: Any) -> Any:
    """What comes before dropout and reshaping, which change nothing when a network answers."""
    import keras

    source = tensor._keras_history.operation  # noqa: SLF001 - as above
    if isinstance(source, keras.layers.Dropout | keras.layers.Reshape):
        return _undropped(source.input)
    return tensor


def _explain(exc: Exception, application: Application, *, weights: str, classes: int | None) -> WeightsError | None:
    """The one sentence for what Keras raises about weights; None for anything else."""
    if weights == "none":
        return None
    if weights == "imagenet":
        return WeightsError(_NO_DOWNLOAD) if _is_failed_download(exc) else None
    reason = next(iter(str(exc).splitlines()), type(exc).__name__)
    if classes is None:
        return WeightsError(f"{Path(weights).name} holds no weights of {application.name} without its head ({reason}).")
    return WeightsError(
        f"{Path(weights).name} holds no weights of {application.name} for {classes:,} classes ({reason}); "
        "--labels says how many classes there are."
    )


def _is_failed_download(exc: Exception) -> bool:
    return "URL fetch failure" in str(exc)  # Keras raises a bare Exception with this text


_NO_DOWNLOAD = (
    "The ImageNet weights and labels cannot be downloaded from storage.googleapis.com: connect this machine to the "
    "internet, or use --weights FILE or --weights none."
)
