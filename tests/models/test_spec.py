"""`model.json`: what is written is read again, and what cannot be is refused by its key."""

from __future__ import annotations

import json
import math
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import make_spec

from models.errors import SpecError
from models.spec import parse_spec, read_spec, spec_bytes, write_spec

plain_text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(str.strip)
name_text = st.text(st.sampled_from("abcXYZ019_犬ß" + "ا"), min_size=1, max_size=20)
digest = st.text(st.sampled_from(string.digits + "abcdef"), min_size=64, max_size=64)
specs = st.builds(
    make_spec,
    name=name_text,
    version=name_text,
    labels=st.lists(plain_text, min_size=3, max_size=3, unique=True).map(tuple),
    input_size=st.integers(8, 4096),
    channels=st.sampled_from([1, 3]),
    resize=st.sampled_from(["squash-bilinear-v1", "crop-bilinear-v1"]),
    scale=st.floats(1e-6, 1e6),
    offset=st.floats(-1e6, 1e6),
    temperature=st.floats(0.01, 100),
    files=st.fixed_dictionaries({"model.keras": digest, "golden/ä.png": digest}),
    about=st.dictionaries(plain_text, st.none() | st.booleans() | st.floats(-1, 1) | plain_text, max_size=4),
)


@given(spec=specs)
def test_what_is_written_is_read_again(spec: Any) -> None:
    """Every field survives the file, labels in any script included."""
    assert parse_spec(spec_bytes(spec)) == spec


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    """Writer and reader agree on the identity, and a changed byte changes it."""
    path = tmp_path / "model.json"
    written = write_spec(path, make_spec())
    assert read_spec(path).digest == written.digest
    path.write_bytes(path.read_bytes() + b"\n")
    assert read_spec(path).digest != written.digest


def change(key: str, value: Any) -> bytes:
    """The bytes of a fine spec with one dotted key set, or left out when the value is Ellipsis."""
    content = json.loads(spec_bytes(make_spec()))
    *parents, last = key.split(".", 1) if not key.startswith("files.") else ("files", key.removeprefix("files."))
    place = content
    for parent in parents:
        place = place[parent]
    place[last] = value
    if value is ...:
        del place[last]
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("input.channels", 4, "model.json: input.channels is 4; expected 1 or 3."),
        ("input.channels", True, "model.json: input.channels is True; expected 1 or 3."),
        ("input.size", 3, "model.json: input.size is 3; expected a whole number from 8 to 4096."),
        ("input.size", "32", "model.json: input.size is '32'; expected a whole number from 8 to 4096."),
        ("input.decode", "x", "model.json: input.decode is 'x'; expected upright-rgb-v1."),
        ("input.resize", "x",
         "input.resize is 'x'; expected squash-bilinear-v1 or crop-bilinear-v1 or square-bilinear-v1."),
        ("input.scale", 0, "model.json: input.scale is 0; expected a number other than 0."),
        ("input.offset", math.nan, "model.json: input.offset is nan; expected a number."),
        ("temperature", 0, "model.json: temperature is 0; expected a number above 0."),
        ("temperature", ..., "model.json: temperature is missing."),
        ("format", 2, "model.json: format is 2; expected 1: update Pixfield."),
        ("name", "../x", "name is '../x', which begins or ends with a dot"),
        ("name", "a/b", "name is 'a/b', which contains '/'."),
        ("version", 1, "model.json: version is 1; expected text."),
        ("labels", ["a"], "model.json: labels has 1 entries; expected at least 2."),
        ("labels", ["a", "a", "b"], "labels[1] is 'a'; expected another than labels[0]: each label once."),
        ("labels", ["a", " ", "b"], "model.json: labels[1] is ' '; expected text."),
        ("labels", ["a", "\ud800", "b"], "labels[1] is '\\ud800'; expected text."),
        ("labels", ["a", "b\n", "c"], "labels[1] is 'b\\n'; expected text."),
        ("labels", ["a", "b"], "outputs.probabilities is [3]; expected [2], as many as there are labels."),
        ("outputs.probabilities", ..., "model.json: outputs.probabilities is missing."),
        ("outputs.embedding", [0], "outputs.embedding is [0]; expected a list of 1 whole numbers above 0."),
        ("outputs.map", [2, 2], "outputs.map is [2, 2]; expected a list of 3 whole numbers above 0."),
        ("outputs.logits", [3], "outputs.logits is unknown; expected probabilities, embedding, map."),
        ("files.../x", "0" * 64, "files has '../x', which begins or ends with a dot"),
        ("files.golden//x", "0" * 64, "files has 'golden//x', which has 0 characters"),
        ("files.model.json", "0" * 64, "files has 'model.json', which is this file."),
        ("files.model.keras", "0" * 63, "expected 64 hexadecimal digits (SHA-256)."),
        ("files", {}, "files has neither model.keras nor model.onnx."),
        ("about", [], "model.json: about is []; expected an object."),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(key: str, value: Any, message: str) -> None:
    """The error says the key, what it is, and what was expected."""
    with pytest.raises(SpecError) as caught:
        parse_spec(change(key, value))
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    """Broken files give the one error class."""
    with pytest.raises(SpecError, match=r"^model\.json: "):
        parse_spec(data)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """No file is an error of the same class, with the system's reason."""
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(tmp_path / "model.json")


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    """A wrong spec is refused before the file exists."""
    with pytest.raises(SpecError):
        write_spec(tmp_path / "model.json", make_spec(channels=2))
    assert not (tmp_path / "model.json").exists()
