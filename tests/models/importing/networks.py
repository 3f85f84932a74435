"""Networks and pictures for the tests of importing: tiny, made by hand, with answers that are known."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEGACY = Path(__file__).parent / "legacy"
COLOURS = ("dark", "grey", "bright", "red", "blue")
SIDE = 32

_SHADES = {"dark": (30, 30, 30), "grey": (128, 128, 128), "bright": (225, 225, 225), "red": (220, 60, 60),
           "blue": (60, 60, 220)}


def answers_of_keras_2(name: str) -> NDArray[np.float32]:
    """What Keras 2 answered to `make_legacy.probe_pixels`."""
    with np.load(LEGACY / "answers.npz") as arrays:
        found: NDArray[np.float32] = arrays[name]
    return found


def write_colours(folder: Path, *, each: int = 8, names: dict[str, str] | None = None) -> Path:
    """A folder for each colour with pictures around it, the same on every machine."""
    random = np.random.default_rng(5)
    for colour, shade in _SHADES.items():
        place = folder / (names or {}).get(colour, colour)
        place.mkdir(parents=True)
        for number in range(each):
            centre = np.clip(np.array(shade) + random.integers(-18, 19), 0, 255)
            pixels = np.clip(centre + random.integers(-8, 9, (48, 40, 3)), 0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            (place / f"写真 {number}.png").write_bytes(file.getvalue())
    return folder


def colour_kernel() -> NDArray[np.float32]:
    """(3, 5): the scores of `COLOURS` from red, green and blue of -1..1, with the bias of `colour_bias`."""
    rows = [(-1.4, -1.4, -1.4), (0, 0, 0), (1.4, 1.4, 1.4), (3, 0, -3), (-3, 0, 3)]
    return np.array(rows, np.float32).T


def colour_bias() -> NDArray[np.float32]:
    """(5,): what belongs to `colour_kernel`."""
    return np.array([-1, 0, -1, -1, -1], np.float32)


def colour_network(*, activation: str = "softmax", scaling: str = "signed") -> Any:
    """Keras: the average colour of 32 x 32 pixels, then a dense layer; expects the scaling named."""
    import keras

    pixels = keras.Input((SIDE, SIDE, 3))
    x = pixels
    if scaling == "raw":
        x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.DepthwiseConv2D(1, depthwise_initializer="ones")(x))
    dense = keras.layers.Dense(5, activation=activation)
    network = keras.Model(pixels, dense(x))
    dense.set_weights([colour_kernel(), colour_bias()])
    return network


def colour_onnx(path: Path, *, channels_first: bool = True, batch: int | str = "N", kind: str = "FLOAT",
                side: int | str = SIDE, end: str | None = "Softmax", shape: tuple[int, ...] = (), extra: bool = False,
                opset: int = 17) -> Path:
    """The same as ONNX: (x / 127.5 - 1) inside where the input is UINT8; `shape` flattens by a Reshape to it."""
    import onnx
    from onnx import helper

    nodes: list[Any] = []
    constants: dict[str, Any] = {"kernel": colour_kernel(), "bias": colour_bias(),
                                 "one": np.ones((3, 1, 1, 1), np.float32)}
    name = "image"

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        out = f"t{len(nodes)}"
        nodes.append(helper.make_node(operator, [*inputs], [out], **attributes))
        return out

    if kind == "UINT8":
        constants |= {"scale": np.float32(1 / 127.5), "minus": np.float32(-1)}
        name = add("Add", add("Mul", add("Cast", name, to=1), "scale"), "minus")
    name = name if channels_first else add("Transpose", name, perm=[0, 3, 1, 2])
    features = add("Conv", name, "one", group=3)
    average = add("GlobalAveragePool", features)
    if shape:
        constants["shape"] = np.array(shape, np.int64)
    row = add("Reshape", average, "shape") if shape else add("Flatten", average)
    last = add("Gemm", row, "kernel", "bias")
    last = add(end, last) if end else last
    sides = [side, side]
    entry = [batch, 3, *sides] if channels_first else [batch, *sides, 3]
    outputs = [helper.make_tensor_value_info(last, 1, [batch, 5])]
    if extra:
        outputs.insert(0, helper.make_tensor_value_info(features, 1, [batch, 3, *sides]))
    graph = helper.make_graph(
        nodes, "colours", [helper.make_tensor_value_info("image", getattr(onnx.TensorProto, kind), entry)], outputs,
        [onnx.numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    onnx.save(model, path)
    return path


def as_older_keras(source: Path, target: Path) -> Path:
    """The legacy file as Keras 2.2 to 2.12 would have written it: no module names, `Model` for functional models."""
    import h5py

    def older(value: Any) -> Any:
        if isinstance(value, list):
            return [older(one) for one in value]
        if not isinstance(value, dict):
            return value
        kept = {key: older(one) for key, one in value.items()
                if key not in ("module", "registered_name", "build_config", "optional")}
        return {**kept, "class_name": "Model"} if kept.get("class_name") == "Functional" else kept

    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        file.attrs["model_config"] = json.dumps(older(json.loads(file.attrs["model_config"])))
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = "2.2.4-tf"
    return target
