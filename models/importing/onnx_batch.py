"""ONNX files exported for one picture at a time, made to take any number where that changes no answer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from models.errors import ModelError
from models.importing.onnx_session import open_session


def free_batch(proto: Any, entry: str, picture: tuple[int, ...]) -> Any:
    """`proto` itself where its batch axis cannot be freed, else a graph whose batch axis is free.

    What decides is the answer: two different pictures at once must get what each gets alone.
    """
    for change in (_with_free_input, _with_free_reshapes):
        changed = change(proto, entry)
        if _answers_alike(changed, entry, picture):
            return changed
    return proto


def _with_free_input(proto: Any, entry: str) -> Any:
    changed = copy.deepcopy(proto)
    del changed.graph.value_info[:]
    for value in [*changed.graph.input, *changed.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and (value.name == entry or value in changed.graph.output):
            dims[0].Clear()
            dims[0].dim_param = "N"
    return changed


def _with_free_reshapes(proto: Any, entry: str) -> Any:
    """As above, and every reshape to (1, ...) keeps the number of rows it gets (0 means that)."""
    import onnx

    changed = _with_free_input(proto, entry)
    targets = {node.input[1] for node in changed.graph.node if node.op_type == "Reshape"}
    tensors = [tensor for tensor in changed.graph.initializer if tensor.name in targets]
    tensors += [one.t for node in changed.graph.node if node.op_type == "Constant" and node.output[0] in targets
                for one in node.attribute if one.name == "value"]
    for tensor in tensors:
        shape = onnx.numpy_helper.to_array(tensor)
        if shape.size > 1 and shape.ravel()[0] == 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([0, *shape.ravel()[1:]], np.int64), tensor.name))
    return changed


def _answers_alike(proto: Any, entry: str, picture: tuple[int, ...]) -> bool:
    import onnx

    kind = next(one.type.tensor_type.elem_type for one in proto.graph.input if one.name == entry)
    numpy_kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    highest = 255 if numpy_kind.kind in "iu" else 1
    both = np.random.default_rng(0).uniform(0, highest, (2, *picture)).astype(numpy_kind)
    try:
        session = open_session(proto)
        together = session.run(None, {entry: both})
        apart = [session.run(None, {entry: both[row:row + 1]}) for row in range(2)]
    except ModelError:
        return False
    except Exception:  # noqa: BLE001 - ONNX Runtime's classes have no common parent; then it stays as it is
        return False
    return all(len(one) == 2 and np.allclose(one, np.concatenate(pair), rtol=1e-3, atol=1e-4)
               for one, *pair in zip(together, *apart, strict=True))
