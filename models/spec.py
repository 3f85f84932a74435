"""`model.json`: everything serving must know about a model version, checked when it is read.

The bytes of a file enter, a checked value leaves. The SHA-256 of those bytes is the version's identity everywhere.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import SpecError
from models.names import name_fault
from models.picture import DECODE_POLICY, RESIZE_POLICIES
from models.spec_fields import Fields

__all__ = ["FORMAT", "SPEC_FILE", "ModelSpec", "SpecError", "read_spec", "spec_bytes", "write_spec"]

SPEC_FILE = "model.json"
FORMAT = 1
"""The layout of `model.json`; a later one is refused by this reader, not guessed at."""

_OUTPUT_RANKS = {"probabilities": 1, "embedding": 1, "map": 3}
"""Output -> its dimensions without the batch axis: (C,), (D,), (h, w, K)."""

_MAX_INPUT_SIZE = 4096  # above this a "size" is a mistake: 8 pictures would fill 400 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model version as `model.json` states it.

    The network's input is float32 (N, input_size, input_size, channels) = uint8 pixels * scale + offset, in RGB order.
    What else a network needs is inside it, so that scale and offset are 1 and 0 for every model made here.
    `temperature` calibrates the network's probabilities (`models.calibration.calibrate`); the golden outputs are
    without it. `outputs` are shapes without the batch axis, `files` SHA-256 by name relative to the folder, `about`
    whatever the maker wants to say: accuracy, data, command, machine. `digest` is the SHA-256 of the bytes of
    `model.json`, empty before it is written.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    input_size: int
    channels: int
    decode: str = DECODE_POLICY
    resize: str
    scale: float = 1.0
    offset: float = 0.0
    temperature: float = 1.0
    outputs: Mapping[str, tuple[int, ...]] = field(hash=False)
    files: Mapping[str, str] = field(hash=False)
    about: Mapping[str, Any] = field(default_factory=dict, hash=False)
    digest: str = field(default="", compare=False)


def read_spec(path: Path) -> ModelSpec:
    """The checked content of a `model.json`.

    Raises:
        SpecError: the file is missing, unreadable, or says something that cannot be; the text names the key.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise SpecError(f"{SPEC_FILE}: cannot be read ({exc.strerror or exc}).") from exc
    return parse_spec(data)


@functools.lru_cache(maxsize=32)  # a server looks every second, and checking 1,000 labels takes milliseconds
def parse_spec(data: bytes) -> ModelSpec:
    """The checked value in the bytes of a `model.json`; raises `SpecError`."""
    try:
        content = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
        raise SpecError(f"{SPEC_FILE}: is not JSON in UTF-8 ({exc}).") from exc
    fields = Fields(content)
    if fields.whole("format") != FORMAT:
        raise SpecError(f"{SPEC_FILE}: format is {content['format']}; expected {FORMAT}: update Pixfield.")
    spec = ModelSpec(
        name=_name(fields, "name"),
        version=_name(fields, "version"),
        labels=_labels(fields),
        input_size=fields.whole("input.size", low=8, high=_MAX_INPUT_SIZE),
        channels=fields.one_of("input.channels", (1, 3)),
        decode=fields.one_of("input.decode", (DECODE_POLICY,)),
        resize=fields.one_of("input.resize", tuple(RESIZE_POLICIES)),
        scale=fields.number("input.scale", nonzero=True),
        offset=fields.number("input.offset"),
        temperature=fields.number("temperature", positive=True),
        outputs=_outputs(fields),
        files=_files(fields),
        about=fields.mapping("about"),
        digest=hashlib.sha256(data).hexdigest(),
    )
    if spec.outputs["probabilities"] != (len(spec.labels),):
        raise SpecError(
            f"{SPEC_FILE}: outputs.probabilities is {list(spec.outputs['probabilities'])}; "
            f"expected [{len(spec.labels)}], as many as there are labels."
        )
    return spec


def write_spec(path: Path, spec: ModelSpec) -> ModelSpec:
    """Write `spec` and return it with its digest; raises `SpecError` for what `read_spec` would refuse."""
    data = spec_bytes(spec)
    checked = parse_spec(data)
    path.write_bytes(data)
    return replace(spec, digest=checked.digest)


def spec_bytes(spec: ModelSpec) -> bytes:
    """The bytes of the `model.json` of `spec`: UTF-8, keys in a fixed order, one newline at the end."""
    content = {
        "format": FORMAT,
        "name": spec.name,
        "version": spec.version,
        "input": {
            "size": spec.input_size,
            "channels": spec.channels,
            "decode": spec.decode,
            "resize": spec.resize,
            "scale": spec.scale,
            "offset": spec.offset,
        },
        "temperature": spec.temperature,
        "outputs": {name: list(shape) for name, shape in spec.outputs.items()},
        "labels": list(spec.labels),
        "about": dict(spec.about),
        "files": dict(sorted(spec.files.items())),
    }
    try:
        return (json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8")
    except (TypeError, ValueError) as exc:  # UnicodeEncodeError is a ValueError
        raise SpecError(f"{SPEC_FILE}: cannot be written ({exc}).") from exc


def _name(fields: Fields, key: str) -> str:
    text = fields.text(key)
    fault = name_fault(text)
    if fault:
        raise SpecError(f"{SPEC_FILE}: {key} is {text!r}, which {fault}.")
    return text


def _labels(fields: Fields) -> tuple[str, ...]:
    labels = fields.texts("labels")
    if len(labels) < 2:
        raise SpecError(f"{SPEC_FILE}: labels has {len(labels)} entries; expected at least 2.")
    seen: dict[str, int] = {}
    for index, label in enumerate(labels):
        if label in seen:
            raise fields.refusal(f"labels[{index}]", label, f"another than labels[{seen[label]}]: each label once")
        seen[label] = index
    return labels


def _outputs(fields: Fields) -> dict[str, tuple[int, ...]]:
    outputs = {}
    for name, shape in fields.mapping("outputs").items():
        if name not in _OUTPUT_RANKS:
            raise SpecError(f"{SPEC_FILE}: outputs.{name} is unknown; expected {', '.join(_OUTPUT_RANKS)}.")
        rank = _OUTPUT_RANKS[name]
        if not isinstance(shape, list) or len(shape) != rank or not all(type(n) is int and n > 0 for n in shape):
            raise fields.refusal(f"outputs.{name}", shape, f"a list of {rank} whole numbers above 0")
        outputs[name] = tuple(shape)
    for name in ("probabilities", "embedding"):
        if name not in outputs:
            raise SpecError(f"{SPEC_FILE}: outputs.{name} is missing.")
    return outputs


def _files(fields: Fields) -> dict[str, str]:
    files = fields.mapping("files")
    for name, digest in files.items():
        fault = next((fault for part in name.split("/") if (fault := name_fault(part))), None)
        if fault or name == SPEC_FILE:
            raise SpecError(f"{SPEC_FILE}: files has {name!r}, which {fault or 'is this file'}.")
        if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise fields.refusal(f"files.{name}", digest, "64 hexadecimal digits (SHA-256)")
    if "model.keras" not in files and "model.onnx" not in files:
        raise SpecError(f"{SPEC_FILE}: files has neither model.keras nor model.onnx.")
    return files
