"""Reading an ONNX file without the `onnx` package, against what that package reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from models.errors import DamagedModelError
from models.onnx_graph import read_graph, with_outputs

DATA = (Path(__file__).resolve().parents[2] / "models" / "store" / "digits" / "1" / "model.onnx").read_bytes()


def test_nodes_and_weights_are_those_of_the_onnx_package() -> None:
    """All of them, to the last bit."""
    onnx = pytest.importorskip("onnx", reason="only the serving requirements are installed")
    expected = onnx.load_model_from_string(DATA).graph
    graph = read_graph(DATA)
    assert [(node.op, node.name, list(node.inputs), list(node.outputs)) for node in graph.nodes] \
        == [(node.op_type, node.name, list(node.input), list(node.output)) for node in expected.node]
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in expected.initializer if one.data_type == 1}
    assert graph.weights.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(graph.weights[name], values)


def test_any_tensor_becomes_an_output_beside_the_others() -> None:
    """The answers stay as they are."""
    tensor = next(node.outputs[0] for node in read_graph(DATA).nodes if node.op == "Conv")
    session = onnxruntime.InferenceSession(with_outputs(DATA, [tensor]), providers=["CPUExecutionProvider"])
    assert {output.name for output in session.get_outputs()} == {"probabilities", "embedding", "map", tensor}
    (maps,) = session.run([tensor], {"pixels": np.zeros((2, 32, 32, 1), np.float32)})
    assert maps.shape == (2, 24, 8, 8)


@pytest.mark.parametrize("data", [DATA[:-1000], b"\xff" * 100, b"toy 1"])
def test_what_is_no_onnx_file_is_refused(data: bytes) -> None:
    """Cut off, noise and text: one kind of error."""
    with pytest.raises(DamagedModelError, match="copy the version again"):
        read_graph(data)
