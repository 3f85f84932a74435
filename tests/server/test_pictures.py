"""Addresses given out and the pictures behind them: what is sent, what is refused, and what happens to the files."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from web_server import Page, Web
from werkzeug.test import TestResponse

from models.registry import ModelVersion
from server import picture_page
from server.app import PICTURE_PLACES, create_app
from server.engine import OnnxEngine
from server.errors import SettingsError
from server.picture_kinds import KINDS
from server.png import png_of
from server.service import Service
from server.settings import Settings
from server.store_cli import main as store

if TYPE_CHECKING:
    from server_fixtures import Pictures

pytest_plugins = ("server_fixtures",)

TOKEN = {"Authorization": "Bearer token-0123456789"}
WaitUntil = Callable[[Callable[[], object]], None]


@dataclass(frozen=True)
class Site:
    """A server, and its token where it has one."""

    service: Service
    app: Flask
    token: dict[str, str]

    def urls(self, *paths: str | None) -> list[Any]:
        """The column of addresses, without what stands in front of them."""
        answer = self.app.test_client().post("/query/image_thumbnail_url", json={"data": {"paths": list(paths)}},
                                             headers=self.token)
        assert answer.status_code == 200, answer.text
        base = self.service.settings.base_url
        return [url and url.removeprefix(base) for url in answer.get_json()["response"]]

    def get(self, url: str, *, method: str = "GET", **headers: str) -> TestResponse:
        """An answer without a token, as a browser asks."""
        return self.app.test_client().open(url, method=method, headers=headers)


Open = Callable[..., Site]


@pytest.fixture
def site(settings: Settings, engine: OnnxEngine, tmp_path: Path) -> Iterator[Open]:
    """Starts servers on one state folder, each closing the one before: `site(recheck_s=0)`."""
    (tmp_path / "token").write_text(TOKEN["Authorization"].removeprefix("Bearer "))
    with ExitStack() as stack:

        def start(*, token: bool = True, **changes: Any) -> Site:
            stack.pop_all().close()
            wanted = replace(settings, token_file=tmp_path / "token" if token else None, **changes)
            service = stack.enter_context(closing(Service(wanted, open_engine=lambda *_: engine)))
            return Site(service, create_app(service), TOKEN if token else {})

        yield start


def refused(answer: TestResponse) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.get_json()["error"]["code"]


def size_of(answer: TestResponse) -> tuple[int, int]:
    """Width and height of the PNG."""
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.data))
    assert image.format == "PNG"
    return image.size


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Its bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# ---- giving out --------------------------------------------------------------------------------------------------


def test_each_readable_row_has_an_address(site: Open, pictures: Pictures) -> None:
    """Equal contents the same one; null where there is no picture. Later columns give out the same."""
    pictures.write("日本 語.png", 1)
    pictures.write("a.png", 2)
    pictures.write("copy of a.png", 2)
    pictures.write("broken.png", b"no picture")
    one = site()
    column = ["a.png", None, "日本 語.png", "broken.png", "copy of a.png", "absent.png", "a.png"]
    urls = one.urls(*column)
    assert [url is None for url in urls] == [False, True, False, True, False, True, False]
    assert (urls[0], urls[0]) == (urls[4], urls[6])
    assert urls[0] != urls[2]
    assert one.urls(*column) == urls == site().urls(*column)
    assert urls[0].endswith("/thumbnail.png")


def test_the_address_has_the_public_id(site: Open, pictures: Pictures) -> None:
    """As the field `id` has it; both are fields of /v1/classify."""
    pictures.write("a.png", 1)
    one = site(public_url="https://pixfield.example/px/")
    columns = one.app.test_client().post("/v1/classify", headers=TOKEN, json={
        "paths": ["a.png"], "fields": ["id", "thumbnail_url"]}).get_json()["columns"]
    (public_id,), (url,) = columns["id"], columns["thumbnail_url"]
    assert url.startswith(f"https://pixfield.example/px/v1/images/{public_id}.")


def test_an_upload_has_no_address(site: Open, pictures: Pictures) -> None:
    """Its bytes are not kept."""
    answer = site().app.test_client().post("/v1/classify", headers=TOKEN, data={
        "files": (io.BytesIO(pictures.draw(1)), "a.png"), "fields": "thumbnail_url"})
    assert answer.get_json()["columns"] == {"thumbnail_url": [None], "status": ["ok"]}


def test_any_model_gives_addresses(site: Open, pictures: Pictures, version: ModelVersion, tmp_path: Path) -> None:
    """The function takes no model, so it needs no default one."""
    pictures.write("a.png", 1)
    for name in ("one", "two"):
        target = tmp_path / "models" / name / "1"
        shutil.copytree(version.folder, target)
        spec = target / "model.json"
        spec.write_text(spec.read_text(encoding="utf-8").replace('"digits"', f'"{name}"'), encoding="utf-8")
    one = site(model=None, store=tmp_path / "models")
    assert one.urls("a.png")[0].endswith("/thumbnail.png")


# ---- the picture -------------------------------------------------------------------------------------------------


def test_a_browser_gets_the_picture_without_a_token(site: Open, pictures: Pictures) -> None:
    """With what an <img> of another site needs, and what every answer has."""
    pictures.write("a.png", file_of(Image.new("RGB", (300, 150), "red")))
    one = site()
    answer = one.get(*one.urls("a.png"))
    assert size_of(answer) == (128, 64)
    names = ("Content-Type", "Cache-Control", "Cross-Origin-Resource-Policy", "X-Content-Type-Options", "Vary",
             "Content-Security-Policy", "Access-Control-Allow-Origin")
    assert {name: answer.headers.get(name) for name in names} == {
        "Content-Type": "image/png", "Cache-Control": "private, max-age=86400", "Vary": "Origin",
        "Cross-Origin-Resource-Policy": "cross-origin", "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": None}


def test_it_is_sent_once(site: Open, pictures: Pictures) -> None:
    """If-None-Match with its ETag: 304 without a body; with another: the picture."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    etag = one.get(url).headers["ETag"]
    same, other = one.get(url, **{"If-None-Match": f'"x", {etag}'}), one.get(url, **{"If-None-Match": '"x"'})
    assert (same.status_code, same.data, same.headers["ETag"], same.headers["Cache-Control"]) == (
        304, b"", etag, "private, max-age=86400")
    assert same.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert (other.status_code, one.get(url, **{"If-None-Match": "\xff,,*,W/"}).status_code) == (200, 200)


def test_head_is_get_without_a_body(site: Open, pictures: Pictures) -> None:
    """The same headers."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    got, head = one.get(url), one.get(url, method="HEAD")
    names = ("Content-Length", "ETag", "Content-Type", "Cache-Control")
    assert (head.status_code, head.data, [head.headers[name] for name in names]) == (
        200, b"", [got.headers[name] for name in names])
    assert one.get(url, method="POST").status_code == 405


def test_pages_of_other_sites_may_show_it_and_only_ours_may_read_it(site: Open, pictures: Pictures) -> None:
    """An <img> sends no Origin; with `crossorigin` it does, and then the site's host must be one of ours."""
    pictures.write("a.png", 1)
    one = site(public_host=("tableau.example",))
    (url,) = one.urls("a.png")
    ours = one.get(url, Origin="https://tableau.example")
    assert (ours.status_code, ours.headers["Access-Control-Allow-Origin"]) == (200, "https://tableau.example")
    assert refused(one.get(url, Origin="https://evil.example")) == (403, "foreign_origin")
    assert refused(one.get(url, Host="evil.example")) == (421, "unknown_host")


def test_a_token_opens_the_unsigned_address(site: Open, pictures: Pictures) -> None:
    """As everything else; so nothing where there is no token file, as everything on loopback."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    unsigned = url[:43] + url[76:]
    assert unsigned.endswith("/thumbnail.png")
    assert refused(one.get(unsigned)) == (401, "no_token")
    assert one.get(unsigned, **TOKEN).data == one.get(url).data
    assert site(token=False).get(unsigned).status_code == 200


# ---- attacks -----------------------------------------------------------------------------------------------------


def test_what_is_not_signed_is_refused_before_anything_is_looked_up(site: Open, pictures: Pictures) -> None:
    """Forged, truncated, of another content or kind; the answer is the same whether the content is known or not."""
    for number in (1, 2):
        pictures.write(f"{number}.png", number)
    one = site()
    first, second = one.urls("1.png", "2.png")
    start, known, other = first[:11], first[11:43], second[11:43]
    right = first[44:76]
    wrong = {
        "forged": f"{start}{known}.{'0' * 32}/thumbnail.png", "unknown": f"{start}{'0' * 32}.{'0' * 32}/thumbnail.png",
        "another content's": f"{start}{other}.{right}/thumbnail.png", "another kind": f"{start}{known}.{right}/x.png",
        "a model's": f"{start}{known}.v{'0' * 16}.{right}/thumbnail.png",
        "truncated": f"{start}{known}.{right[:-1]}/thumbnail.png", "longer": f"{start}{known}.{right}0/thumbnail.png",
        "upper case": f"{start}{known}.{right.upper()}/thumbnail.png", "twice": f"{start}{known}.{right}.{right}/x.png",
        "dots": f"{start}../images/{known}.{right}/thumbnail.png", "dots behind": f"{first}/../../healthz",
        "null": f"{first}%00",
        "other page": f"{start}{known}.{right}/../../models", "line": f"{first}%0a", "queried": f"/v1/models?{first}",
        "slash": f"{first}/", "folder": f"{start}{known}.{right}/thumbnail.png/thumbnail.png"}
    answers = {name: one.get(url).status_code for name, url in wrong.items()}
    assert answers == dict.fromkeys(wrong, 401)
    with_token = {name: refused(one.get(wrong[name], **TOKEN)) for name in ("forged", "unknown", "another kind")}
    assert with_token == dict.fromkeys(with_token, (404, "no_picture"))
    without_tokens = site(token=False)
    assert refused(without_tokens.get(wrong["forged"])) == refused(without_tokens.get(wrong["unknown"])) == (
        404, "no_picture")


def test_a_signed_address_opens_nothing_but_its_picture(site: Open, pictures: Pictures) -> None:
    """Not even with a query, a fragment or another way to write it, which all mean the same picture."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    assert [one.get(url + more).status_code for more in ("", "?x=1", "?/healthz")] == [200] * 3
    assert [one.get(url.replace("/thumb", text)).status_code for text in ("/%74humb", "%2fthumb")] == [200] * 2
    assert one.get("/v1/models", **{"X-Original-URL": url, "Referer": url}).status_code == 401


def test_another_state_folder_s_addresses_lead_nowhere(site: Open, pictures: Pictures, tmp_path: Path) -> None:
    """Neither its signatures nor its ids."""
    pictures.write("a.png", 1)
    (url,) = site().urls("a.png")
    (tmp_path / "other").mkdir()
    other = site(state=tmp_path / "other")
    other.urls("a.png")
    assert refused(other.get(url)) == (401, "no_token")
    assert refused(other.get(url[:43] + url[76:], **TOKEN)) == (404, "no_picture")


def test_rotating_the_key_ends_every_address_while_the_server_runs(site: Open, pictures: Pictures, settings: Settings,
                                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """The ids stay; the column gives out new addresses."""
    pictures.write("a.png", 1)
    one = site()
    (old,) = one.urls("a.png")
    assert store(["rotate-image-key", f"--state={settings.state}"]) == 0
    assert "has ended; columns give out new ones" in capsys.readouterr().out
    (new,) = one.urls("a.png")
    assert (one.get(old).status_code, one.get(new).status_code, old[:43]) == (401, 200, new[:43])
    assert site().get(new).status_code == 200


def test_a_request_s_path_is_never_a_file_s(site: Open, pictures: Pictures, tmp_path: Path) -> None:
    """Not by way of the store either: what stands there is resolved under the roots."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    one.service.store.flush()
    secret = tmp_path / "secret.png"
    secret.write_bytes(pictures.draw(1))
    with closing(sqlite3.connect(one.service.settings.state / "answers.sqlite")) as connection, connection:
        connection.execute("UPDATE images SET text = ?", (str(secret),))
    assert refused(one.get(url)) == (404, "picture_gone")
    assert str(tmp_path) not in one.get(url).text


# ---- what happens to the files afterwards ------------------------------------------------------------------------


def replace_it(path: Path, _: Path) -> None:
    """Another picture under the same name."""
    path.write_bytes(file_of(Image.new("RGB", (9, 9), "blue")))


def swap_for_a_link_outside(path: Path, outside: Path) -> None:
    """The very same content, but outside the roots."""
    path.replace(outside)
    path.symlink_to(outside)


def swap_the_folder(path: Path, outside: Path) -> None:
    """The same by a link above it."""
    outside.mkdir()
    path.parent.replace(outside / "moved")
    path.parent.symlink_to(outside / "moved")


def remove(path: Path, _: Path) -> None:
    """Nothing is there any more."""
    path.unlink()


def empty(path: Path, _: Path) -> None:
    """A file without bytes."""
    path.write_bytes(b"")


def put_a_folder_there(path: Path, _: Path) -> None:
    """Of the same name."""
    path.unlink()
    path.mkdir()


def put_a_pipe_there(path: Path, _: Path) -> None:
    """Whoever opens it might wait for ever."""
    path.unlink()
    os.mkfifo(path)


CHANGES: list[Callable[[Path, Path], None]] = [replace_it, remove, empty, put_a_folder_there]
if os.name == "posix":
    CHANGES += [swap_for_a_link_outside, swap_the_folder, put_a_pipe_there]


@pytest.mark.parametrize("is_drawn_before", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_that_is_not_what_it_was_is_gone(site: Open, pictures: Pictures, tmp_path: Path,
                                                   change: Callable[[Path, Path], None], is_drawn_before: bool
                                                   ) -> None:
    """Whether it was drawn before or not, after a start, too, and whatever the browser has of it."""
    path = pictures.write("sub/a.png", 1)
    one = site(recheck_s=0)
    (url,) = one.urls("sub/a.png")
    etag = one.get(url).headers["ETag"] if is_drawn_before else "*"
    change(path, tmp_path / "outside")
    answers = [one.get(url), one.get(url, **{"If-None-Match": etag})]
    answers.append(site().get(url))
    assert [refused(answer) for answer in answers] == [(404, "picture_gone")] * 3
    assert "sub" not in answers[0].text


def test_a_picture_that_comes_back_is_there_again(site: Open, pictures: Pictures) -> None:
    """The address is of the content, not of what lies there meanwhile."""
    pictures.write("a.png", 1)
    one = site(recheck_s=0)
    (url,) = one.urls("a.png")
    pictures.write("a.png", 2, age_s=100)
    assert one.get(url).status_code == 404
    pictures.write("a.png", 1, age_s=50)
    assert one.get(url).status_code == 200


def test_another_copy_takes_over_when_a_column_meets_it(site: Open, pictures: Pictures) -> None:
    """With the same address."""
    path = pictures.write("a.png", 1)
    one = site(recheck_s=0)
    (url,) = one.urls("a.png")
    path.unlink()
    pictures.write("b.png", 1)
    assert one.get(url).status_code == 404
    assert one.urls("b.png") == [url]
    assert one.get(url).status_code == 200


def test_within_the_window_a_replaced_picture_is_as_it_was(site: Open, pictures: Pictures) -> None:
    """As a column's answer: it is noticed after --recheck-s; one that was removed at once."""
    path = pictures.write("a.png", 1)
    one = site(recheck_s=3600)
    (url,) = one.urls("a.png")
    before = one.get(url).data
    pictures.write("a.png", 2)
    assert one.get(url).data == before
    path.unlink()
    assert refused(one.get(url)) == (404, "picture_gone")


def test_an_address_outlives_the_server_and_narrower_roots(site: Open, pictures: Pictures) -> None:
    """After a start it is read under the roots that hold then."""
    pictures.write("in/a.png", 1)
    pictures.write("out/b.png", 2)
    texts = [str(pictures.folder / "in" / "a.png"), str(pictures.folder / "out" / "b.png")]
    urls = site().urls(*texts)
    narrow = site(images=(pictures.folder / "in",))
    assert [narrow.get(url).status_code for url in urls] == [200, 404]


def test_a_picture_behind_a_url_is_asked_for_again(site: Open, web: Web) -> None:
    """By its rules: not while it is fresh; afterwards it is compared, and only sent if it has changed."""
    first, second = (file_of(Image.new("RGB", (40, 20), name)) for name in ("red", "blue"))
    web.pages["/a.png"] = Page(first, headers={"Content-Type": "image/png", "ETag": '"1"'})
    one = site(allow_url=(web.url,), recheck_s=0)
    (url,) = one.urls(f"{web.url}/a.png")
    assert size_of(one.get(url)) == (40, 20)
    asked = len(web.asked)
    one.get(url)
    assert len(web.asked) == asked
    later = site(allow_url=(web.url,), recheck_s=0)
    _expire(later)
    assert (later.get(url).status_code, len(web.asked)) == (200, asked + 1)
    web.pages["/a.png"] = Page(second, headers={"Content-Type": "image/png", "ETag": '"2"'})
    _expire(later)
    assert refused(later.get(url)) == (404, "picture_gone")
    assert site().get(url).status_code == 404  # without --allow-url it is not read any more


def test_a_url_that_fails_is_not_asked_for_by_every_request(site: Open, web: Web) -> None:
    """Who has an address cannot make the server ask again and again."""
    web.pages["/a.png"] = Page(file_of(Image.new("RGB", (40, 20))), headers={"Content-Type": "image/png"})
    (url,) = site(allow_url=(web.url,)).urls(f"{web.url}/a.png")
    del web.pages["/a.png"]
    one = site(allow_url=(web.url,))
    _expire(one)
    asked = len(web.asked)
    assert [refused(one.get(url)) for _ in range(5)] == [(404, "picture_gone")] * 5
    assert len(web.asked) == asked + 1


def test_a_slow_web_server_holds_up_no_file(site: Open, web: Web, pictures: Pictures) -> None:
    """Pictures behind URLs are drawn by threads of their own."""
    pictures.write("a.png", 1)
    page = web.pages["/a.png"] = Page(file_of(Image.new("RGB", (40, 20))), headers={"Content-Type": "image/png"})
    behind, here = site(allow_url=(web.url,)).urls(f"{web.url}/a.png", "a.png")
    one = site(allow_url=(web.url,), fetch_threads=1)
    _expire(one)
    page.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(one.get, behind)
        try:
            assert (one.get(here).status_code, slow.done()) == (200, False)
        finally:
            page.gate.set()
        assert slow.result(20).status_code == 200


def _expire(one: Site) -> None:
    """Let a day and more pass for the fetcher's clock."""
    urls = one.service.sources._urls
    now = urls.now()
    urls.now = lambda: now + 90_000


# ---- much at once ------------------------------------------------------------------------------------------------


def test_five_hundred_at_once_are_answered(site: Open, pictures: Pictures) -> None:
    """Each with its picture or with 503 and when to come back; columns and health go on meanwhile."""
    names = [pictures.write(f"{number}.png", number).name for number in range(40)]
    one = site()
    urls = one.urls(*names) * 13
    with ThreadPoolExecutor(160) as pool:
        answers = [pool.submit(one.get, url) for url in urls[:500]]
        assert one.get("/healthz").status_code == 200
        assert None not in one.urls(*names)
        done = [answer.result(60) for answer in answers]
    kinds = {(answer.status_code, answer.headers.get("Retry-After")) for answer in done}
    assert (200, None) in kinds
    assert kinds <= {(200, None), (503, "1"), (503, "2")}
    assert [one.get(url).status_code for url in urls[:40]] == [200] * 40


def test_when_all_places_are_taken_it_says_so(site: Open, pictures: Pictures) -> None:
    """503 and Retry-After; columns have places of their own."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    places = one.app.extensions[picture_page.PLACES]
    assert isinstance(places, threading.Semaphore)
    for _ in range(PICTURE_PLACES):
        assert places.acquire(blocking=False)
    answer = one.get(url)
    assert (refused(answer), answer.headers["Retry-After"]) == ((503, "too_many_requests"), "1")
    assert (one.urls("a.png"), one.get("/healthz").status_code) == ([url], 200)
    places.release()
    assert one.get(url).status_code == 200


def test_a_stopping_server_draws_nothing(site: Open, pictures: Pictures) -> None:
    """As it answers no column."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    one.service.refuse_new()
    assert refused(one.get(url)) == (503, "stopping")


# ---- the store ---------------------------------------------------------------------------------------------------


def test_a_lost_store_is_told_again(site: Open, pictures: Pictures, settings: Settings) -> None:
    """A known address whose content nobody knows any more works again once its column was asked."""
    pictures.write("a.png", 1)
    one = site()
    (url,) = one.urls("a.png")
    one.service.store.flush()
    with closing(sqlite3.connect(settings.state / "answers.sqlite")) as connection, connection:
        connection.execute("DELETE FROM images")
    assert refused(one.get(url)) == (404, "no_picture")
    assert (one.urls("a.png"), one.get(url).status_code) == ([url], 200)


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes, as Linux has them")
def test_a_name_that_cannot_be_stored_has_no_address(site: Open, pictures: Pictures) -> None:
    """It would lead nowhere after a start."""
    (pictures.folder / "f\udcfcr.png").write_bytes(pictures.draw(1))
    assert site().urls("f\udcfcr.png") == [None]


def test_the_store_s_verbs_know_the_addresses(site: Open, pictures: Pictures, settings: Settings,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    """`stats` counts them, `check` looks at them, `prune` leaves them, and with a size takes what has no answer."""
    for number in range(3):
        pictures.write(f"{number}.png", number)
    one = site()
    urls = one.urls("0.png", "1.png", "2.png")
    for url in urls:
        one.get(url)
    one.service.close()
    state = f"--state={settings.state}"
    assert [store([verb, state]) for verb in ("stats", "check", "prune")] == [0, 0, 0]
    assert "picture addresses: 3 contents, 0.0 MB; drawn pictures: 0.0 MB" in capsys.readouterr().out
    with closing(sqlite3.connect(settings.state / "answers.sqlite")) as connection, connection:
        assert connection.execute("SELECT count(*) FROM images").fetchone() == (3,)
        connection.execute("UPDATE images SET digest = 'x' WHERE text = '0.png'")
    assert store(["check", state]) == 1
    assert "1 picture addresses mean no content" in capsys.readouterr().out
    assert store(["prune", state, "--max-mb=0.00001"]) == 0
    with closing(sqlite3.connect(settings.state / "answers.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM images").fetchone() == (0,)
    with closing(sqlite3.connect(settings.state / "pictures.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM pictures").fetchone() == (0,)


def test_a_file_of_the_second_schema_is_brought_up_to_date(site: Open, pictures: Pictures, settings: Settings) -> None:
    """Its answers stay; addresses are given out and noted."""
    pictures.write("a.png", 1)
    one = site()
    before = one.urls("a.png")
    one.service.close()
    with closing(sqlite3.connect(settings.state / "answers.sqlite")) as connection, connection:
        connection.execute("DROP TABLE images")
        connection.execute("PRAGMA user_version = 2")
    later = site()
    answers = later.app.test_client().post("/v1/classify", headers=TOKEN,
                                           json={"paths": ["a.png"], "fields": ["cached"]}).get_json()
    assert answers["columns"]["cached"] == [True]
    assert (later.urls("a.png"), later.get(before[0]).status_code) == (before, 200)


# ---- thumbnails --------------------------------------------------------------------------------------------------

NOISE = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)


def exif_turned() -> bytes:
    """Red above blue as a viewer shows it, stored lying on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((100, 200, 3), np.uint8)
    stored[:, :100], stored[:, 100:] = (255, 0, 0), (0, 0, 255)
    return file_of(Image.fromarray(stored), "PNG", exif=exif)


def animated() -> bytes:
    """Green, then red."""
    return file_of(Image.new("RGB", (60, 40), (0, 255, 0)), "GIF", save_all=True,
                   append_images=[Image.new("RGB", (60, 40), (255, 0, 0))])


KINDS_OF_FILES: dict[str, tuple[bytes, tuple[int, int], dict[tuple[int, int], tuple[int, int, int]]]] = {
    "turned": (exif_turned(), (64, 128), {(30, 10): (255, 0, 0), (30, 120): (0, 0, 255)}),
    "transparent": (file_of(Image.new("RGBA", (200, 100), (255, 0, 0, 0))), (128, 64), {(5, 5): (255, 255, 255)}),
    "half transparent": (file_of(Image.new("LA", (20, 10), (0, 128))), (20, 10), {(5, 5): (127, 127, 127)}),
    "grey": (file_of(Image.new("L", (256, 256), 77)), (128, 128), {(5, 5): (77, 77, 77)}),
    "16 bit": (file_of(Image.fromarray(np.full((10, 30), 32896, np.uint16))), (30, 10), {(5, 5): (128, 128, 128)}),
    "palette": (file_of(Image.new("RGB", (20, 20), (1, 200, 3)).quantize(4)), (20, 20), {(5, 5): (1, 200, 3)}),
    "cmyk": (file_of(Image.new("CMYK", (200, 200), (0, 0, 0, 0)), "JPEG"), (128, 128), {(5, 5): (255, 255, 255)}),
    "animated": (animated(), (60, 40), {(5, 5): (0, 255, 0)}),
    "very wide": (file_of(Image.new("RGB", (5000, 3), "red")), (128, 1), {(5, 0): (255, 0, 0)}),
    "one pixel": (file_of(Image.new("RGB", (1, 1), "red")), (1, 1), {(0, 0): (255, 0, 0)}),
    "tiff": (file_of(Image.new("RGB", (256, 128), "red"), "TIFF"), (128, 64), {(5, 5): (255, 0, 0)}),
    "noise": (file_of(Image.fromarray(NOISE)), (128, 128), {}),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, engine: OnnxEngine, version: ModelVersion
          ) -> dict[str, TestResponse]:
    """The thumbnails of all of them, by one server."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "state").mkdir()
    for name, (data, _, _) in KINDS_OF_FILES.items():
        (folder / name).write_bytes(data)
    settings = Settings(images=(folder,), state=folder / "state", store=version.folder.parents[1], model="digits")
    with closing(Service(settings, open_engine=lambda *_: engine)) as service:
        one = Site(service, create_app(service), {})
        return {name: one.get(url) for name, url in zip(KINDS_OF_FILES, one.urls(*KINDS_OF_FILES), strict=True)}


@pytest.mark.parametrize("name", KINDS_OF_FILES)
def test_every_kind_of_picture_has_the_right_thumbnail(shown: dict[str, TestResponse], name: str) -> None:
    """Upright, its aspect kept, at most 128 a side and 64 KB, in 8 bits without alpha."""
    _, size, pixels = KINDS_OF_FILES[name]
    assert (size_of(shown[name]), len(shown[name].data) <= 64_000) == (size, True)
    image = Image.open(io.BytesIO(shown[name].data))
    assert image.mode in ("RGB", "L")
    seen = np.asarray(image.convert("RGB"), int)
    assert {(x, y) for (x, y), wanted in pixels.items() if np.abs(seen[y, x] - wanted).max() > 2} == set()


def test_the_largest_thumbnail_has_room_to_spare() -> None:
    """128 x 128 x 3 bytes that nothing compresses."""
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    assert len(png_of(noise)) < 50_000


def test_the_kinds_stand_under_their_paths() -> None:
    """Only what works is there; each path is one that an address may have."""
    assert {path: (kind.path, kind.is_png) for path, kind in KINDS.items()} == {
        path: (path, path.endswith(".png")) for path in (
            "thumbnail.png", "explanation.png", "explanation.json", "feature-maps/<layer>.png",
            "feature-maps/<layer>.json")}


def test_a_damaged_address_key_stops_the_start(site: Open, settings: Settings) -> None:
    """In one sentence."""
    (settings.state / "image-url.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match=r"image-url\.key is damaged: delete it, a new key is made \(every picture"):
        site()
