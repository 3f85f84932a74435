"""Addresses of pictures and the key that signs them: what opens, what does not, and how all of them are revoked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.key_file import KeyFile, replace_key
from server.picture_address import AddressKey, PictureAddress

ID, OTHER = "0123456789abcdef" * 2, "f" * 32


def key_in(folder: Path) -> AddressKey:
    """The key of a state folder."""
    return AddressKey(KeyFile(folder / "image-url.key", loss="lost"))


def signed(key: AddressKey, public_id: str = ID, picture: str = "thumbnail.png") -> PictureAddress:
    """An address that the key has signed."""
    address = PictureAddress.of(key.paths([public_id], picture)[0])
    assert address is not None
    return address


def test_what_is_signed_opens(tmp_path: Path) -> None:
    """Today and after a start; the path ends in .png and has no query."""
    address = signed(key_in(tmp_path))
    assert (address.id, address.picture, address.version) == (ID, "thumbnail.png", "")
    assert key_in(tmp_path).is_signed(address)


@pytest.mark.parametrize("change", [
    lambda a: PictureAddress(OTHER, a.picture, a.version, a.signature),
    lambda a: PictureAddress(a.id, "explanation.png", a.version, a.signature),
    lambda a: PictureAddress(a.id, "feature-maps/thumbnail.png", a.version, a.signature),
    lambda a: PictureAddress(a.id, a.picture, "0" * 16, a.signature),
    lambda a: PictureAddress(a.id, a.picture, a.version, ""),
    lambda a: PictureAddress(a.id, a.picture, a.version, a.signature[:-1]),
    lambda a: PictureAddress(a.id, a.picture, a.version, a.signature.upper()),
    lambda a: PictureAddress(a.id, a.picture, a.version, "0" * 32),
    lambda a: PictureAddress(a.id, a.picture, a.version, a.id)])
def test_a_signature_is_of_one_picture_of_one_content(tmp_path: Path, change: object) -> None:
    """Another content, kind, layer or model, and a truncated or forged signature, do not open."""
    key = key_in(tmp_path)
    assert callable(change)
    assert not key.is_signed(change(signed(key)))


def test_another_state_folder_s_signature_does_not_open(tmp_path: Path) -> None:
    """Each has a key of its own."""
    for name in "ab":
        (tmp_path / name).mkdir()
    assert not key_in(tmp_path / "a").is_signed(signed(key_in(tmp_path / "b")))


@pytest.mark.parametrize("path", [
    "/v1/images/", f"/v1/images/{ID}", f"/v1/images/{ID}/", f"/v1/images/{ID}/thumbnail",
    f"/v1/images/{ID}/thumbnail.jpg",
    f"/v1/images/{ID.upper()}/thumbnail.png", f"/v1/images/{ID[1:]}/thumbnail.png", f"/v1/images/{ID}./thumbnail.png",
    f"/v1/images/{ID}.{ID[1:]}/thumbnail.png", f"/v1/images/{ID}.{ID}.{ID}/thumbnail.png", f"//v1/images/{ID}/a.png",
    f"/v1/images/{ID}/thumbnail.png\n", f"/v1/images/{ID}/thumbnail.png/", f"/v1/images/{ID}/thumbnail.png?a=.png",
    f"/px/v1/images/{ID}/thumbnail.png", f"/v1/images/{ID}/{'a' * 300}.png", f"/v1/images/{ID}/写真.png",
    f"/v1/images/{ID}.v{'0' * 15}/a.png", f"/v1/images/{ID}\0/a.png"])
def test_other_paths_are_no_addresses(path: str) -> None:
    """They are pages as any other, behind the token."""
    assert PictureAddress.of(path) is None


@given(public_id=st.text("0123456789abcdef", min_size=32, max_size=32), version=st.sampled_from(["", "0" * 16]),
       signature=st.sampled_from(["", ID]),
       picture=st.from_regex(r"[a-z0-9_-]{1,20}(/[a-z0-9_-]{1,20})?\.png", fullmatch=True))
def test_an_address_is_read_as_it_was_written(public_id: str, version: str, signature: str, picture: str) -> None:
    """With and without a model's version and a signature; the unsigned path is the same but for the signature."""
    subject = public_id + (f".v{version}" if version else "")
    path = f"/v1/images/{subject}{f'.{signature}' if signature else ''}/{picture}"
    address = PictureAddress.of(path)
    assert address == PictureAddress(public_id, picture, version, signature)
    assert address is not None
    assert address.unsigned == f"/v1/images/{subject}/{picture}"


# ---- the key -----------------------------------------------------------------------------------------------------


def test_the_key_is_for_its_owner(tmp_path: Path) -> None:
    """Also after it was replaced."""
    key_in(tmp_path)
    replace_key(tmp_path / "image-url.key")
    assert [path.name for path in tmp_path.iterdir()] == ["image-url.key"]
    assert os.name == "nt" or (tmp_path / "image-url.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("revoke", [replace_key, Path.unlink])
def test_another_key_revokes_while_the_server_runs(tmp_path: Path, revoke: object) -> None:
    """Replaced or deleted: every address of before has ended, and new ones open, here and after a start."""
    key = key_in(tmp_path)
    before = signed(key)
    assert callable(revoke)
    revoke(tmp_path / "image-url.key")
    assert not key.is_signed(before)
    assert (key.is_signed(signed(key)), key_in(tmp_path).is_signed(signed(key))) == (True, True)


def test_a_damaged_key_changes_nothing_while_the_server_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; at the start it is refused."""
    key = key_in(tmp_path)
    before = signed(key)
    (tmp_path / "image-url.key").write_bytes(b"short")
    assert (key.is_signed(before), key.is_signed(before)) == (True, True)
    assert caplog.text.count("the key of before goes on holding") == 1
    with pytest.raises(SettingsError, match=r"image-url\.key is damaged: delete it, a new key is made \(lost\)\.$"):
        key_in(tmp_path)
