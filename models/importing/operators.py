"""TensorFlow operators that Keras 2 wrote as layers (`x / 127.5 - 1` in a functional model), as those of Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.errors import ModelError


def operator_layers() -> dict[str, Any]:
    """Class name in the file -> layer class, for `custom_objects` of Keras's loader."""
    import keras

    class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]  # Keras publishes no types
        """Applies one named operator; it lives only until the network is made flat."""

        def __init__(self, function: str = "__operators__.getitem", node_def: Any = None, **kwargs: Any) -> None:
            kwargs.pop("constants", None)
            super().__init__(**kwargs)
            self.function = function if node_def is None else "TensorFlow 1"

        def call(self, inputs: Any, **arguments: Any) -> Any:
            """As TensorFlow does it; also where the second operand is a tensor."""
            return apply_operator(self.function, inputs, arguments, name=self.name)

        def compute_output_spec(self, inputs: Any, **arguments: Any) -> Any:
            """Keras asks without calling."""
            result = apply_operator(self.function, inputs, arguments, name=self.name)
            return keras.KerasTensor(result.shape, dtype=self.compute_dtype)

    return {"TFOpLambda": TFOpLambda, "SlicingOpLambda": TFOpLambda, "TensorFlowOpLayer": TFOpLambda}


def apply_operator(function: str, inputs: Any, arguments: dict[str, Any], *, name: str) -> Any:
    """The result of `function`, a name below `tf`, on a tensor or on two; raises `ModelError` for unknown ones.

    `name` belongs to the layer in the file; what is made here is called after it.
    """
    operations = _operations(f"pixfield_{name}".replace(".", "_").replace("/", "_"))
    if function not in operations:
        raise ModelError(f"The network calls tf.{function} between its layers, which is unknown here; export it as "
                         "ONNX or as a SavedModel where it was made, and import that.")
    first, *rest = inputs if isinstance(inputs, list) else [inputs]
    return operations[function](first, *rest, **{key: value for key, value in arguments.items() if key != "name"})


def _operations(name: str) -> dict[str, Callable[..., Any]]:
    import keras

    def bias_add(x: Any, bias: Any = None, value: Any = None, **_: Any) -> Any:
        return keras.layers.Rescaling(1.0, bias if bias is not None else value, name=name)(x)

    ops = keras.ops

    def of_two(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def apply(x: Any, y: Any = None, value: Any = None) -> Any:
            return operation(x, y if y is not None else value)
        return apply

    def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return ops.mean(x, axis=axis, keepdims=keepdims)

    def softmax(x: Any, axis: int = -1) -> Any:
        return ops.softmax(x, axis=axis)

    def cast(x: Any, dtype: str = "float32") -> Any:
        return ops.cast(x, dtype)

    add, divide = of_two(ops.add), of_two(ops.divide)
    return {
        "math.truediv": divide, "math.divide": divide, "__operators__.truediv": divide, "math.subtract":
        of_two(ops.subtract), "math.multiply": of_two(ops.multiply), "math.add": add, "__operators__.add": add,
        "nn.bias_add": bias_add,
        "math.maximum": of_two(ops.maximum), "math.minimum": of_two(ops.minimum), "math.reduce_mean": mean,
        "nn.relu": ops.relu, "nn.relu6": ops.relu6, "math.sigmoid": ops.sigmoid, "nn.softmax": softmax,
        "math.tanh": ops.tanh, "cast": cast, "__operators__.getitem": _reversed_channels,
    }


def _reversed_channels(x: Any, slice_spec: Any = None) -> Any:
    """`x[..., ::-1]`, from RGB to BGR; other slices are not known here."""
    import keras

    steps = slice_spec if isinstance(slice_spec, list) else []
    last = steps[-1] if steps and isinstance(steps[-1], dict) else {}
    if last != {"start": None, "stop": None, "step": -1}:
        raise ModelError("The network slices its tensors between its layers, which is unknown here; export it as "
                         "ONNX or as a SavedModel where it was made, and import that.")
    return keras.ops.take(x, [2, 1, 0], axis=-1)
