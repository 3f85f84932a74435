"""The configuration of a Keras file as Keras 3 reads it, whichever Keras wrote it.

Keras 2 wrote what Keras 3 refuses: `groups` in depthwise convolutions ("Unrecognized keyword arguments passed to
DepthwiseConv2D: {'groups': 1}", https://github.com/keras-team/keras/issues/19441 for the transposed kind), the input's
shape inside each first layer of a nested Sequential (Teachable Machine), module names of packages that are gone, and
TensorFlow's operators as layers. Here they become what Keras 3 calls the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from models.errors import ModelError

_WITHOUT_GROUPS = ("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv2DTranspose")
_OF_SEPARABLE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_UNKNOWN = {**dict.fromkeys(_WITHOUT_GROUPS, ("groups",)),
            **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("groups", *_OF_SEPARABLE))}
"""Layer -> arguments that Keras 2 wrote and Keras 3 does not know."""
_MODELS = ("Functional", "Model", "Sequential")
OPERATORS = ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}
_GONE = ("tf_keras", "keras.src.engine", "keras.engine", "tensorflow", "keras.src.layers", "keras.layers.core")


def modern(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a model, rewritten; the one that enters stays as it is."""
    changed = {key: _plain(value) if key == "name" else _modern_value(value) for key, value in config.items()}
    name, inner = changed.get("class_name"), changed.get("config")
    if not isinstance(inner, dict):
        return changed
    if name == "Model":
        changed["class_name"] = name = "Functional"
    for key in _UNKNOWN.get(str(name), ()):
        inner.pop(key, None)
    inner.pop("rng_type", None)
    if name == "Lambda":
        _set_lambda(inner)
    if name == "InputLayer" and "batch_input_shape" in inner:
        inner["batch_shape"] = inner.pop("batch_input_shape")
    elif name not in _MODELS:
        inner.pop("batch_input_shape", None)
    if name == "BatchNormalization" and isinstance(inner.get("axis"), list):
        inner["axis"] = inner["axis"][0]
    if name == "Sequential" and isinstance(inner.get("layers"), list):
        inner["layers"] = _with_one_input(inner["layers"], config)
    if name == "Functional" and isinstance(inner.get("layers"), list):
        _set_calls(inner)
    _set_module(changed)
    return changed


def layer_configs(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every layer's configuration, inner models' included."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            yield layer
            yield from layer_configs(layer)


def refuse_foreign(config: dict[str, Any], *, is_trusted: bool) -> None:
    """Raise `ModelError` where a layer brings code along, or needs code that only its maker has."""
    import keras

    code = next(_code_in(config), None)
    if code is not None and not is_trusted:
        raise ModelError(f"The layer {code!r} is a Lambda, which brings Python code of the file's maker along; add "
                         "--trust where you would run their programs too.")
    for layer in layer_configs(config):
        name = str(layer.get("class_name"))
        called = str((layer.get("config") or {}).get("name", name))
        if name not in (*_MODELS, *OPERATORS) and not hasattr(keras.layers, name) and not _is_operation(layer):
            raise ModelError(f"The layer {called!r} is of the class {name}, which Keras does not have; export the "
                             "network as ONNX or as a SavedModel where it was made, and import that.")


def _code_in(value: Any) -> Iterator[str]:
    """The names of what holds Python code, wherever it stands: also inside wrappers and activations."""
    if isinstance(value, dict) and value.get("class_name") in ("Lambda", "__lambda__"):
        inner = value.get("config")
        yield str(inner.get("name", "without a name")) if isinstance(inner, dict) else "without a name"
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _code_in(one)


def _is_operation(layer: dict[str, Any]) -> bool:
    """Operations of Keras 3 itself, such as a sum of two layers."""
    return str(layer.get("module", "")).startswith(("keras.src.ops", "keras.ops"))


def _plain(name: Any) -> Any:
    """A layer's name; Keras 3 takes none with a slash, as DenseNet and MobileNetV3 had them."""
    return name.replace("/", "__") if isinstance(name, str) else name


def _modern_value(value: Any) -> Any:
    if isinstance(value, dict):
        return modern(value)
    if _is_tensor(value):
        return [_plain(value[0]), *map(_modern_value, value[1:])]
    return [_modern_value(one) for one in value] if isinstance(value, list) else value


def _with_one_input(layers: list[Any], before: dict[str, Any]) -> list[Any]:
    """The layers of a Sequential with an InputLayer at their head where the first one only mentions its shape."""
    first = before["config"]["layers"][0] if before["config"]["layers"] else {}
    inside = first.get("config", {}) if isinstance(first, dict) else {}
    shape = inside.get("batch_input_shape")
    if shape is None or first.get("class_name") in ("InputLayer", *_MODELS):
        return layers
    head = {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": "float32",
                                                  "name": f"{inside.get('name', 'first')}_input"}}
    _set_module(head)
    return [head, *layers]


def _set_lambda(inner: dict[str, Any]) -> None:
    """What Keras 3 runs with --trust: Keras 2 wrote the code as a list of three."""
    for key in ("module", "function_type", "output_shape_type", "output_shape_module"):
        inner.pop(key, None)
    function = inner.get("function")
    if isinstance(function, list) and len(function) == 3:
        parts = dict(zip(("code", "defaults", "closure"), function, strict=True))
        inner["function"] = {"class_name": "__lambda__", "config": parts}


def _set_calls(inner: dict[str, Any]) -> None:
    """The calls between the layers of a functional model as Keras 3 numbers and nests them.

    Keras 2 counts a model's own making as its call number 0 where it stands inside another, and lists a single output
    in a list, which Keras 3 then hands on as such.
    """
    for layer in inner["layers"]:
        layer["inbound_nodes"] = [_node(node) for node in layer.get("inbound_nodes", [])]
    for key in ("input_layers", "output_layers"):
        if isinstance(inner.get(key), list) and len(inner[key]) == 1 and _is_tensor(inner[key][0]):
            inner[key] = inner[key][0]
    outputs = inner.get("output_layers", [])
    entries = [entry for layer in inner["layers"] for node in layer["inbound_nodes"] if isinstance(node, list)
               for entry in node] + ([outputs] if _is_tensor(outputs) else list(outputs))
    for layer in inner["layers"]:
        name = layer.get("name", layer["config"].get("name"))
        uses = [entry for entry in entries if _is_tensor(entry) and entry[0] == name]
        if layer.get("class_name") in _MODELS and any(use[1] >= len(layer["inbound_nodes"]) for use in uses):
            for use in uses:
                use[1] -= 1


def _node(node: Any) -> Any:
    """A call as a list of [layer, node, tensor, arguments]; Keras 2 left the outer list out where arguments follow.

    A second tensor among the arguments (`x + y`) becomes a second input.
    """
    if not isinstance(node, list) or not node:
        return node
    called: list[Any] = []
    for entry in [node] if isinstance(node[0], str) else node:
        if not _is_tensor(entry):
            called.append(entry)
            continue
        arguments = entry[3] if len(entry) > 3 else {}
        called.append([*entry[:3], {key: value for key, value in arguments.items() if not _is_tensor(value)}])
        called += [[*value[:3], {}] for value in arguments.values() if _is_tensor(value)]
    return called


def _is_tensor(value: Any) -> bool:
    """A reference such as ["conv1", 0, 0]."""
    return (isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str)
            and all(isinstance(one, int) for one in value[1:3]))


def _set_module(layer: dict[str, Any]) -> None:
    """Where Keras 3 finds the class; other modules than Keras's stay, to be refused by name."""
    name, module = layer.get("class_name"), layer.get("module")
    if not isinstance(layer.get("config"), dict) or ">" in str(layer.get("registered_name")):
        return
    if name in _MODELS and (module is None or str(module).startswith(("keras", "tf_keras"))):
        layer.update(module=_MODULES[name], registered_name=None if name == "Sequential" else name)
    elif name in OPERATORS:
        layer.update(module=None, registered_name=name)
    elif module is None or str(module).startswith(_GONE):
        import keras

        if isinstance(name, str) and hasattr(keras.layers, name):
            layer.update(module="keras.layers", registered_name=None)
