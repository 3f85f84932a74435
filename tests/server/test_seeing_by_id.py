"""What a model sees in a picture, by the picture's id: addresses, pictures and numbers, and what is refused."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flask import Flask
from model_versions import write_version
from PIL import Image
from werkzeug.test import TestResponse

from models import digits
from models.picture import Picture, read_picture
from models.registry import ModelVersion
from server.app import create_app
from server.errors import BusyError
from server.picture_cache import prune_drawn
from server.picture_kinds import KINDS, Material, PictureKind
from server.ranking import Rankings
from server.seeing import explanation_png
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedSight

pytest_plugins = ("server_fixtures",)

TOKEN = {"Authorization": "Bearer token-0123456789"}
LAYER = "re_lu"


@dataclass(frozen=True)
class Site:
    """A server with a token and the versions 1 and 2 of the digit model, which 2 answers as "2-7"."""

    service: Service
    app: Flask
    store: Path

    def urls(self, *paths: str, model: str | None = None) -> list[Any]:
        """The column of explanations, without what stands in front of the addresses."""
        answer = self.app.test_client().post("/query/image_explanation_url", headers=TOKEN, json={
            "data": {"paths": list(paths)} | ({"model": model} if model else {})})
        assert answer.status_code == 200, answer.text
        base = self.service.settings.base_url
        return [url and url.removeprefix(base) for url in answer.get_json()["response"]]

    def get(self, url: str, *, method: str = "GET", **headers: str) -> TestResponse:
        """An answer without a token, as a browser asks."""
        return self.app.test_client().open(url, method=method, headers=headers)

    def numbers(self, url: str) -> Any:
        """What stands under an unsigned address, as a program asks."""
        answer = self.get(url, **TOKEN)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def column(self, field: str, *paths: str) -> list[Any]:
        """A field of the default model."""
        answer = self.app.test_client().post("/v1/classify", headers=TOKEN,
                                             json={"paths": list(paths), "fields": [field]})
        values: list[Any] = answer.get_json()["columns"][field]
        return values


@pytest.fixture
def site(settings: Settings, version: ModelVersion, pictures: Pictures, tmp_path: Path) -> Iterator[Site]:
    """The server, with two digits that training never saw, each under its number."""
    for number, (_, data, _) in enumerate(digits.held_out()[:2]):
        pictures.write(f"{number} 数字.png", data)
    (tmp_path / "token").write_text(TOKEN["Authorization"].removeprefix("Bearer "))
    store = tmp_path / "models"
    shutil.copytree(version.folder, store / "digits" / "1")
    write_version(store, "2", source=version.folder)
    wanted = replace(settings, token_file=tmp_path / "token", store=store, model="digits@1", engine="onnx")
    with closing(Service(wanted)) as service:
        yield Site(service, create_app(service), store)


def refused(answer: TestResponse) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.get_json()["error"]["code"]


def pixels_of(answer: TestResponse) -> Any:
    """The pixels of the PNG, RGB."""
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), int)


def parts_of(url: str) -> tuple[str, str, str]:
    """Id, version and signature of a signed address."""
    public_id, version, signature = url.split("/")[3].split(".")
    return public_id, version, signature


FIRST, SECOND = "0 数字.png", "1 数字.png"


# ---- addresses ---------------------------------------------------------------------------------------------------


def test_a_browser_sees_the_explanation_without_a_token(site: Site) -> None:
    """Lit somewhere, and with what an <img> of another site needs; another digit has another."""
    first, second = (site.get(url) for url in site.urls(FIRST, SECOND))
    pixels = pixels_of(first)
    assert pixels.shape == (256, 256, 3)
    assert (pixels.max(axis=2) - pixels.min(axis=2)).max() > 60
    assert not np.array_equal(pixels, pixels_of(second))
    assert (first.headers["Cache-Control"], first.headers["Cross-Origin-Resource-Policy"]) == (
        "private, max-age=86400", "cross-origin")


def test_the_address_names_the_version(site: Site) -> None:
    """By the first 16 digits of its digest; another version's address is another, of the same picture."""
    (one,), (two,) = site.urls(FIRST), site.urls(FIRST, model="digits@2")
    digests = [site.numbers(f"/v1/models/digits@{number}")["digest"] for number in (1, 2)]
    assert [parts_of(url)[1] for url in (one, two)] == [f"v{digest[:16]}" for digest in digests]
    assert parts_of(one)[0] == parts_of(two)[0] == site.column("id", FIRST)[0]
    assert site.column("explanation_url", FIRST) == [site.service.settings.base_url + one]


def test_rows_without_a_picture_have_no_address(site: Site) -> None:
    """Nor have those that cannot be read, nor any row of a model that cannot tell."""
    assert [url is None for url in site.urls("absent.png", FIRST)] == [True, False]


def test_a_model_that_cannot_tell_gives_out_no_address(settings: Settings, blind: WatchedSight, pictures: Pictures
                                                       ) -> None:
    """The note says why, and so does the picture."""
    pictures.write("a.png", 1)
    with closing(Service(settings, open_engine=lambda *_: blind)) as service:
        client = create_app(service).test_client()
        columns = client.post("/v1/classify", json={
            "paths": ["a.png"], "fields": ["explanation_url", "thumbnail_url", "note", "id"]}).get_json()["columns"]
        answer = client.get(f"/v1/images/{columns['id'][0]}/explanation.png")
    assert columns["explanation_url"] == [None]
    assert "global average pooling" in columns["note"][0]
    assert refused(answer) == (404, "no_map")


def test_forged_addresses_do_not_open(site: Site) -> None:
    """A signature is of one version, one picture and one kind; nothing is told without a token."""
    (one, other), (two,) = site.urls(FIRST, SECOND), site.urls(FIRST, model="digits@2")
    public_id, version, signature = parts_of(one)
    wrong = [f"/v1/images/{public_id}.{parts_of(two)[1]}.{signature}/explanation.png",
             f"/v1/images/{public_id}.v{'0' * 16}.{signature}/explanation.png",
             f"/v1/images/{public_id}.{signature}/explanation.png",
             f"/v1/images/{public_id}.{version}.{parts_of(other)[2]}/explanation.png",
             f"/v1/images/{public_id}.{version}.{parts_of(two)[2]}/explanation.png",
             f"/v1/images/{public_id}.{version}.{signature}/feature-maps/{LAYER}.png",
             f"/v1/images/{public_id}.{version}.{signature}/explanation.json",
             f"/v1/images/{public_id}.{version}.{signature}/thumbnail.png",
             f"/v1/images/{public_id}.{version}/explanation.png", f"/v1/images/{public_id}/explanation.json",
             f"/v1/images/{public_id}/feature-maps/{LAYER}.png", f"/v1/images/{public_id}/feature-maps/{LAYER}.json"]
    assert [refused(site.get(url)) for url in wrong] == [(401, "no_token")] * len(wrong)
    assert [refused(site.get(url, **TOKEN)) for url in wrong[:8]] == [(404, "no_picture")] * 8


def test_a_version_that_was_removed_is_said(site: Site) -> None:
    """Its addresses answer 404 with the reason, drawn before or not; those of the others go on."""
    (kept,), (gone, never_drawn) = site.urls(FIRST), site.urls(FIRST, SECOND, model="digits@2")
    assert site.get(gone).status_code == 200
    shutil.rmtree(site.store / "digits" / "2")
    assert [refused(site.get(url)) for url in (gone, never_drawn)] == [(404, "version_gone")] * 2
    assert "not there any more" in site.get(gone).get_json()["error"]["message"]
    assert site.get(kept).status_code == 200


def test_another_version_under_the_same_name_is_not_taken_for_it(site: Site, version: ModelVersion) -> None:
    """The digest counts, not the name and number."""
    (old,) = site.urls(FIRST, model="digits@2")
    shutil.rmtree(site.store / "digits" / "2")
    folder = write_version(site.store, "2", source=version.folder)
    (folder / "model.json").write_text((folder / "model.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert refused(site.get(old)) == (404, "version_gone")


def test_a_picture_that_changed_is_gone(site: Site, pictures: Pictures) -> None:
    """As its thumbnail is, though the explanation is kept."""
    (url,) = site.urls(FIRST)
    assert site.get(url).status_code == 200
    (pictures.folder / FIRST).unlink()
    assert refused(site.get(url)) == (404, "picture_gone")


# ---- sent and kept -----------------------------------------------------------------------------------------------


def test_it_is_drawn_and_sent_once(site: Site) -> None:
    """A kept picture opens no model; its ETag, which the other version does not share, gets 304."""
    (one,), (two,) = site.urls(FIRST), site.urls(FIRST, model="digits@2")
    first = site.get(one)
    drawn = site.service.metrics.pictures.labels("drawn")
    before = drawn._value.get()
    same, other = (site.get(url, **{"If-None-Match": first.headers["ETag"]}) for url in (one, two))
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (other.status_code, drawn._value.get() - before) == (200, 1)


def test_a_kept_picture_opens_no_model(site: Site) -> None:
    """After a start it is sent though the version is idle."""
    (url,) = site.urls(FIRST, model="digits@2")
    png = site.get(url).data
    site.service.close()
    with closing(Service(site.service.settings)) as again:
        later = replace(site, service=again, app=create_app(again))
        assert later.get(url).data == png
        states = {version: state["state"] for version, state in again.models.states("digits").items()}
    assert states == {"1": "idle", "2": "idle"}


def test_head_is_get_without_a_body(site: Site) -> None:
    """The same headers."""
    (url,) = site.urls(FIRST)
    got, head = site.get(url), site.get(url, method="HEAD")
    names = ("Content-Length", "ETag", "Content-Type", "Cache-Control")
    assert (head.status_code, head.data) == (200, b"")
    assert [head.headers[name] for name in names] == [got.headers[name] for name in names]


def test_without_a_version_it_is_the_default_model(site: Site) -> None:
    """With the token; a browser asks each time, since the default changes."""
    (url,) = site.urls(FIRST)
    answer = site.get(f"/v1/images/{parts_of(url)[0]}/explanation.png", **TOKEN)
    assert (answer.data, answer.headers["Cache-Control"]) == (site.get(url).data, "private, no-cache")
    assert answer.headers["ETag"] == site.get(url).headers["ETag"]


def test_what_versions_no_longer_there_saw_is_pruned(site: Site) -> None:
    """Thumbnails and the others' explanations stay."""
    for model in ("digits@1", "digits@2"):
        assert site.get(site.urls(FIRST, model=model)[0]).status_code == 200
    (thumbnail,) = site.column("thumbnail_url", FIRST)
    assert site.get(thumbnail.removeprefix(site.service.settings.base_url)).status_code == 200
    cache = site.service.settings.state / "pictures.sqlite"
    digest = site.numbers("/v1/models/digits@1")["digest"]
    content = site.service.sources.resolve([FIRST]).digests[0] or ""
    kept = site.service.pictures._cache
    names = [f"explanation.png heat-v2 {parts_of(site.urls(FIRST, model=f'digits@{number}')[0])[1]} {content}"
             for number in (1, 2)]
    assert None not in map(kept.get, names)
    prune_drawn(cache, frozenset({content}), frozenset({digest}))
    assert [kept.get(name) is None for name in names] == [False, True]


# ---- what is seen ------------------------------------------------------------------------------------------------


def test_it_explains_the_class_that_was_answered(site: Site) -> None:
    """The stored answer, though the model might say something else today."""
    (url,) = site.urls(FIRST)
    public_id = parts_of(url)[0]
    before = site.numbers(f"/v1/images/{public_id}/explanation.json")
    assert before["label"] == site.column("label", FIRST)[0]
    focus = [site.column(name, FIRST)[0] for name in ("focus_x", "focus_y")]
    np.testing.assert_allclose([before["focus_x"], before["focus_y"]], focus, atol=2e-4)
    digest = site.service.sources.resolve([FIRST]).digests[0] or ""
    with site.service.using("digits@1") as model:
        order = np.roll(np.arange(10), 1)[None].astype(np.int64)
        answered = Rankings.of(np.linspace(0.01, 0.19, 10, dtype=np.float32)[order])
        model.answers.put([digest], answered, np.zeros((1, 24), np.float32), [None])
        wanted = model.labels[int(answered.order[0, 0])]
    after = site.numbers(f"/v1/images/{public_id}/explanation.json")
    assert wanted != before["label"]
    assert (after["label"], after["activation"] == before["activation"]) == (wanted, False)
    assert not np.array_equal(pixels_of(site.get(url)), _drawn_for(site, before["label"]))


def _drawn_for(site: Site, label: str) -> Any:
    """The explanation of a label, drawn without the pages."""
    with site.service.using("digits@1") as model:
        spec = model.spec
        data = (site.service.settings.images[0] / FIRST).read_bytes()
        pixels = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize).pixels
        with Image.open(io.BytesIO(explanation_png(model, pixels, label))) as image:
            return np.asarray(image.convert("RGB"), int)


def test_the_numbers_are_of_the_version_asked(site: Site) -> None:
    """Its labels, and which it is."""
    (url,) = site.urls(FIRST, model="digits@2")
    public_id, version, _ = parts_of(url)
    numbers = site.numbers(f"/v1/images/{public_id}.{version}/explanation.json")
    assert (numbers["model"], numbers["version"], numbers["label"][:2]) == ("digits", "2", "2-")
    assert np.shape(numbers["activation"]) == (8, 8)


def test_maps_are_a_picture_and_numbers(site: Site) -> None:
    """Of every layer that is listed."""
    public_id = parts_of(site.urls(FIRST)[0])[0]
    layers = site.numbers("/v1/models/digits/layers.json")["layers"]
    assert LAYER in layers
    for layer in [*layers[:2], LAYER]:
        assert pixels_of(site.get(f"/v1/images/{public_id}/feature-maps/{layer}.png", **TOKEN)).shape[2] == 3
    numbers = site.numbers(f"/v1/images/{public_id}/feature-maps/{LAYER}.json")
    assert np.shape(numbers["maps"]) == tuple(numbers["shape"]) == (8, 8, 24)
    assert (numbers["layer"], numbers["version"]) == (LAYER, "1")


@pytest.mark.parametrize("layer", ["Re_LU_14", "畳み込み", "a b", "..", "%2e%2e", "a%00b", "x.json", "a" * 300, "'--",
                                   "<b>"])
@pytest.mark.parametrize("ending", [".png", ".json"])
def test_odd_layers_are_unknown(site: Site, layer: str, ending: str) -> None:
    """Said in one form, whatever they are written like."""
    public_id = parts_of(site.urls(FIRST)[0])[0]
    assert refused(site.get(f"/v1/images/{public_id}/feature-maps/{layer}{ending}", **TOKEN)) == (404, "unknown_layer")


def test_an_id_that_is_not_known_is_refused(site: Site) -> None:
    """As for thumbnails."""
    for path in ("explanation.png", "explanation.json", f"feature-maps/{LAYER}.png", f"feature-maps/{LAYER}.json"):
        assert refused(site.get(f"/v1/images/{'0' * 32}/{path}", **TOKEN)) == (404, "no_picture")


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.needs_model], ids=lambda kind: kind.name)
def test_a_kept_picture_that_was_lost_is_asked_for_again(kind: PictureKind) -> None:
    """For a kept one no model is opened; where it went meanwhile, that is no fault of the server's."""
    def decode(data: bytes, side: int, resize: str, channels: int = 3) -> Picture:
        raise AssertionError((data, side, resize, channels))

    with pytest.raises(BusyError, match="was lost"):
        kind.make(Material(b"", "digest", decode))


def test_many_at_once_are_answered(settings: Settings, sight: WatchedSight, pictures: Pictures) -> None:
    """One drawing for all who ask for the same; a model that is busy holds no thumbnail's request for ever."""
    pictures.write("a.png", 1)
    with ExitStack() as stack:
        service = stack.enter_context(closing(Service(settings, open_engine=lambda *_: sight)))
        one = Site(service, create_app(service), settings.store)
        (url,) = one.urls("a.png")
        asked = sight.inferences
        sight.gate.clear()
        stack.callback(sight.gate.set)
        pool = stack.enter_context(ThreadPoolExecutor(20))
        answers = [pool.submit(one.get, url) for _ in range(20)]
        threading.Timer(0.3, sight.gate.set).start()
        assert {answer.result(30).status_code for answer in answers} == {200}
        assert sight.inferences == asked + 1
