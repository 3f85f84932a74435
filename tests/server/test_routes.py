"""The doors of the server: what comes in, what goes out, and every way to be refused."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models.registry import ModelVersion
from server.admission import Admission
from server.app import PLACES, create_app
from server.doors import is_tableaus
from server.engine import Engine, OnnxEngine
from server.functions import FUNCTIONS, TABLE_FIELDS
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine

pytest_plugins = ("server_fixtures",)

CLASSIFY = "/v1/classify"
NAMES = ["0.png", "1.png", None, "日本/写真.png", "broken.png", "0.png"]
BROKEN = "not an image, or of a kind that is not supported"
MAX_ROWS = 40

WaitUntil = Callable[[Callable[[], object]], None]


@dataclass(frozen=True)
class Site:
    """A server and a way to ask it."""

    service: Service
    client: FlaskClient

    def query(self, function: str, **data: Any) -> Any:
        """The response of a function that is answered."""
        answer = self.client.post(f"/query/{function}", json={"data": data})
        assert answer.status_code == 200, answer.text
        return answer.get_json()["response"]

    def classify(self, **body: Any) -> Any:
        """The answer of a request that is answered."""
        answer = self.client.post(CLASSIFY, json=body)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


Open = Callable[..., Site]


@contextmanager
def opened(settings: Settings, engine: Engine) -> Iterator[Site]:
    """A server with that engine, the model opened on first use."""
    with closing(Service(settings, open_engine=lambda *_: engine)) as service:
        yield Site(service, create_app(service).test_client())


@pytest.fixture
def open_site(settings: Settings, watched: WatchedEngine) -> Iterator[Open]:
    """Starts a server of its own: `open_site(queue_rows=1)`; its engine is the watched one."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(opened(replace(settings, **changes), watched))
        watched.gate.set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, version: ModelVersion, engine: OnnxEngine) -> Iterator[Site]:
    """One server for all tests that leave it as it was, with golden pictures under the names of `NAMES`."""
    folder = tmp_path_factory.mktemp("site")
    golden = version.folder / "golden"
    for name, source in (("0.png", "picture-00.png"), ("1.png", "picture-01.png"), ("日本/写真.png", "picture-02.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((golden / source).read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "state").mkdir()
    settings = Settings(images=(folder,), state=folder / "state", store=version.folder.parents[1], model="digits",
                        engine="onnx", cache_mb=1, max_rows=MAX_ROWS, max_body_mb=1, max_image_mb=0.5,
                        engine_threads=2, decode_threads=1)
    with opened(settings, engine) as one:
        yield one


def refusal(answer: TestResponse) -> tuple[int, str, str]:
    """Status, code and message of a refused request, whose body has exactly the form of the contract."""
    body = answer.get_json()
    error = body.pop("error")
    for_tableau = {"message": error["message"], "info": error["hint"]} if is_tableaus(answer.request.path) else {}
    assert (sorted(error), body) == (["code", "hint", "message"], for_tableau)
    assert all(isinstance(text, str) for text in error.values())
    return answer.status_code, error["code"], error["message"]


# ---- functions ---------------------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "image_label": ({}, ["0", "1", None, "2", None, "0"]),
    "image_label_at": ({"rank": 1}, ["0", "1", None, "2", None, "0"]),
    "image_needs_review": ({"threshold": 0.5}, [False, False, True, False, True, False]),
    "image_status": ({}, ["ok", "ok", "no path given", "ok", BROKEN, "ok"]),
    "image_note": ({}, [None] * 6),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_functions_answer_the_column(site: Site, name: str) -> None:
    """Row by row, null where there is no answer."""
    arguments, expected = ANSWERS[name]
    assert site.query(name, paths=NAMES, **arguments) == expected


ARGUMENTS = {"rank": 1, "label": "0", "threshold": 0.5, "to": "0.png"}
TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "number": (float, int), "boolean": (bool,)}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "image_table"])
def test_every_function_has_the_column_s_length_and_its_type(site: Site, name: str) -> None:
    """Built-in types or null, and the same through any other function."""
    function = FUNCTIONS[name]
    arguments = {key: ARGUMENTS[key] for key in function.required if key != "paths"}
    column = site.query(name, paths=NAMES, **arguments)
    kinds = [value is None or isinstance(value, TYPES[function.returns]) for value in column]
    assert (len(column), all(kinds)) == (len(NAMES), True)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "image_table"])
@pytest.mark.parametrize("path", ["0.png", None, "broken.png"])
def test_every_function_answers_a_scalar_with_a_scalar(site: Site, name: str, path: str | None) -> None:
    """The value that the column of one has."""
    arguments = {key: ARGUMENTS[key] for key in FUNCTIONS[name].required if key != "paths"}
    assert [site.query(name, paths=path, **arguments)] == site.query(name, paths=[path], **arguments)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_tableau_s_lists(site: Site, name: str) -> None:
    """Arguments in order, parameters repeated by row, a refresh at the end."""
    function = FUNCTIONS[name]
    data = [["0.png", "1.png"], *([ARGUMENTS[key]] * 2 for key in function.required if key != "paths"),
            *([["digits@1"] * 2] if function.has_model else []), [7, 7]]
    answer = site.client.post(f"/query/{name}", json={"data": data}).get_json()
    named = site.query(name, paths=["0.png", "1.png"], **{key: ARGUMENTS[key] for key in function.required[1:]})
    model = "fingerprint" if name == "image_duplicate_group" else "digits"
    assert (answer["response"], answer["model"], answer["version"]) == (named, model, "1")


def test_the_table_has_every_column_at_once(site: Site) -> None:
    """With the paths as they came."""
    table = site.query("image_table", paths=NAMES)
    columns = {name: site.query(f"image_{name}", paths=NAMES) for name in TABLE_FIELDS if name != "model"}
    model = ["digits@1" if status == "ok" else None for status in columns["status"]]
    assert table == {"path": NAMES, **columns, "model": model}


@pytest.mark.parametrize("paths", [[], [None], ["", "*", None]])
def test_columns_without_pictures_are_answered(site: Site, paths: list[str | None]) -> None:
    """With nulls."""
    assert site.query("image_label", paths=paths) == [None] * len(paths)


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", None])
def test_json_is_taken_under_any_content_type(site: Site, content_type: str | None) -> None:
    """Tableau 2020.1 sends it as a form."""
    data = json.dumps({"data": {"paths": ["0.png"]}}).encode()
    answer = site.client.post("/query/image_label", data=data, content_type=content_type)
    assert answer.get_json()["response"] == ["0"]


def test_a_long_column_sent_as_a_form_is_taken(site: Site) -> None:
    """Flask's limit for forms is not one for columns."""
    data = json.dumps({"data": {"paths": ["x" * 20_000] * 39 + ["0.png"]}}).encode()
    answer = site.client.post("/query/image_label", data=data, content_type="application/x-www-form-urlencoded")
    assert (len(data) > 500_000, answer.get_json()["response"]) == (True, [None] * 39 + ["0"])


def test_half_of_a_surrogate_pair_is_its_row_s_error(site: Site) -> None:
    """JavaScript and Tableau cut texts wherever they like; the other rows are answered."""
    data = b'{"data": {"paths": ["0.png", "\\ud83d", "\\ude00/a.png", "1.png"]}}'
    answer = site.client.post("/query/image_table", data=data).get_json()["response"]
    assert (answer["label"], answer["path"][1], answer["status"][1:3]) == (
        ["0", None, None, "1"], "\ud83d", ["file not found"] * 2)


# ---- classify ----------------------------------------------------------------------------------------------------


def test_fields_come_as_columns_with_the_status(site: Site) -> None:
    """In request order, counted."""
    assert site.classify(paths=NAMES, fields=["label"]) == {
        "model": "digits", "version": "1", "count": 6, "pending": 0,
        "columns": {"label": ["0", "1", None, "2", None, "0"],
                    "status": ["ok", "ok", "no path given", "ok", BROKEN, "ok"]}}


def test_without_fields_label_and_confidence_come(site: Site) -> None:
    """What most callers want."""
    assert list(site.classify(paths=["0.png"])["columns"]) == ["label", "confidence", "status"]


def test_fields_may_be_one_text(site: Site) -> None:
    """As a form has it; named twice they come once."""
    assert list(site.classify(paths=["0.png"], fields="id, cached,status,id")["columns"]) == ["id", "cached", "status"]


@pytest.mark.parametrize(("body", "count"), [({"fields": "top"}, 3), ({"top_k": 2}, 2), ({"top_k": "4"}, 4),
                                             ({"fields": ["top"], "top_k": 99}, 10)])
def test_the_top_classes_come_when_asked_for(site: Site, body: dict[str, Any], count: int) -> None:
    """By name or by number."""
    (top,) = site.classify(paths=["0.png"], **body)["columns"]["top"]
    assert (len(top), top[0]["label"]) == (count, "0")


def test_arguments_go_to_their_fields(site: Site) -> None:
    """One value, or one a row."""
    answer = site.classify(paths=["0.png", "1.png"], fields=["label_at", "probability", "needs_review"],
                           arguments={"rank": [1, 11], "label": "0", "threshold": [1.1, 0]})
    columns = answer["columns"]
    assert (columns["label_at"], [round(value) for value in columns["probability"]], columns["needs_review"]) == (
        ["0", None], [1, 0], [True, False])


def test_functions_and_fields_mean_the_same(site: Site) -> None:
    """Equal by construction."""
    columns = site.classify(paths=NAMES, fields=["confidence", "margin", "entropy", "embedding"])["columns"]
    assert {name: site.query(f"image_{name}", paths=NAMES) for name in columns} == columns


# ---- uploads -----------------------------------------------------------------------------------------------------


def files(version: ModelVersion, *names: str) -> list[tuple[io.BytesIO, str]]:
    """Golden pictures under other names, as a test client sends them."""
    return [(io.BytesIO((version.folder / "golden" / f"picture-{number:02d}.png").read_bytes()), name)
            for number, name in enumerate(names)]


@pytest.mark.parametrize("names", [("a.png",), ("写真 ①.png", "が.png"), ("a.png", "a.png", "a.png"), ('"x".png', "é")])
def test_uploaded_files_are_answered_in_their_order(site: Site, version: ModelVersion, names: tuple[str, ...]) -> None:
    """Whatever their names."""
    body = {"files": files(version, *names), "fields": "label,status", "model": "digits"}
    answer = site.client.post(CLASSIFY, data=body).get_json()
    labels = [f"{number}" for number in range(len(names))]
    assert (answer["columns"], answer["count"]) == ({"label": labels, "status": ["ok"] * len(names)}, len(names))


def test_a_broken_upload_is_a_row_s_error(site: Site) -> None:
    """Empty ones too."""
    body = {"files": [(io.BytesIO(b"no picture"), "a.png"), (io.BytesIO(b""), "b.png")]}
    answer = site.client.post(CLASSIFY, data=body).get_json()
    assert answer["columns"]["status"] == [BROKEN, "the file is empty"]


def test_an_upload_takes_top_k_and_a_deadline_as_text(site: Site, version: ModelVersion) -> None:
    """A form has nothing else."""
    body = {"files": files(version, "a.png"), "top_k": "2", "deadline_s": "5"}
    assert len(site.client.post(CLASSIFY, data=body).get_json()["columns"]["top"][0]) == 2


@pytest.mark.parametrize("body", [{"fields": "label"}, {"files": "not a file"},
                                  {"pictures": (io.BytesIO(b"x"), "a.png")}])
def test_an_upload_without_files_is_refused(site: Site, body: dict[str, Any]) -> None:
    """With the form of one that has them."""
    answer = site.client.post(CLASSIFY, data=body, content_type="multipart/form-data")
    assert refusal(answer) == (400, "no_files", "expected at least one file named files")


def test_an_uploaded_file_above_the_limit_is_refused(site: Site) -> None:
    """By its place."""
    body = {"files": [(io.BytesIO(b"x"), "a.png"), (io.BytesIO(bytes(500_001)), "b.png")]}
    answer = site.client.post(CLASSIFY, data=body)
    assert refusal(answer) == (413, "too_many_bytes", "file 1 has 500,001 bytes; the limit is 500,000")


def test_more_uploaded_files_than_rows_are_refused(site: Site) -> None:
    """One limit for both."""
    body = {"files": [(io.BytesIO(b"x"), "a.png")] * (MAX_ROWS + 1)}
    assert refusal(site.client.post(CLASSIFY, data=body))[:2] == (413, "too_many_rows")


# ---- refusals ----------------------------------------------------------------------------------------------------

NO_JSON: dict[str, bytes] = {
    "nothing": b"", "a word": b"paths", "a cut": b'{"data": {"paths": ["a"', "NaN": b'{"data": {"paths": [NaN]}}',
    "infinity": b'{"data": {"paths": [-Infinity]}}', "Latin-1": '{"data": {"paths": ["é"]}}'.encode("latin-1"),
    "depth": b"[" * 100_000, "a giant": b'{"data": ["\\ud800", ' + b"1" * 5000 + b"]}"}


@pytest.mark.parametrize("url", ["/query/image_label", CLASSIFY])
@pytest.mark.parametrize("kind", NO_JSON)
def test_what_is_no_json_is_refused(site: Site, url: str, kind: str) -> None:
    """400, whatever it is."""
    assert refusal(site.client.post(url, data=NO_JSON[kind]))[:2] == (400, "not_json")


REFUSED: dict[str, tuple[str, Any, tuple[int, str]]] = {
    "a list": ("/query/image_label", ["a"], (400, "no_data")),
    "no data": ("/query/image_label", {"paths": ["a"]}, (400, "no_data")),
    "data that is text": ("/query/image_label", {"data": "a"}, (400, "no_data")),
    "an unknown function": ("/query/image_colour", {"data": {"paths": []}}, (404, "unknown_function")),
    "an unknown argument": ("/query/image_label", {"data": {"paths": [], "rank": 1}}, (422, "unknown_argument")),
    "a missing argument": ("/query/image_label_at", {"data": {"paths": []}}, (422, "missing_argument")),
    "too many arguments": ("/query/image_label", {"data": [[], None, None, None]}, (422, "too_many_arguments")),
    "another length": ("/query/image_label_at", {"data": [["a", "b"], [1, 2, 3]]}, (422, "lengths_differ")),
    "a nested path": ("/query/image_label", {"data": [[["a"]]]}, (422, "bad_path")),
    "a path that is an object": ("/query/image_label", {"data": {"paths": {"a": 1}}}, (422, "bad_path")),
    "an unknown model": ("/query/image_label", {"data": [["a"], "cats"]}, (404, "unknown_model")),
    "two models": ("/query/image_label", {"data": [["a", "b"], ["cats", "dogs"]]}, (422, "several_values")),
    "a model that is a number": ("/query/image_label", {"data": [["a"], 1]}, (422, "bad_value")),
    "a model that is an object": ("/query/image_label", {"data": [["a"], {"name": "a"}]}, (422, "bad_value")),
    "too many rows": ("/query/image_label", {"data": [["a"] * (MAX_ROWS + 1)]}, (413, "too_many_rows")),
    "a bare list": (CLASSIFY, ["a"], (400, "no_object")),
    "a bare text": (CLASSIFY, "a", (400, "no_object")),
    "no paths": (CLASSIFY, {}, (400, "no_paths")),
    "paths that are text": (CLASSIFY, {"paths": "a.png"}, (400, "no_paths")),
    "a nested path in classify": (CLASSIFY, {"paths": [{}]}, (422, "bad_path")),
    "an unknown field": (CLASSIFY, {"paths": [], "fields": ["colour"]}, (404, "unknown_field")),
    "a field that is a number": (CLASSIFY, {"paths": [], "fields": [1]}, (400, "bad_fields")),
    "fields that are an object": (CLASSIFY, {"paths": [], "fields": {"a": 1}}, (400, "bad_fields")),
    "fields that are null": (CLASSIFY, {"paths": [], "fields": None}, (400, "bad_fields")),
    "arguments that are a list": (CLASSIFY, {"paths": [], "arguments": [1]}, (400, "bad_arguments")),
    "arguments of another length": (CLASSIFY, {"paths": ["a"] * 3, "fields": ["label_at"],
                                               "arguments": {"rank": [1, 2]}}, (422, "lengths_differ")),
    "a top_k of zero": (CLASSIFY, {"paths": [], "top_k": 0}, (422, "bad_top_k")),
    "a top_k that is a text": (CLASSIFY, {"paths": [], "top_k": "many"}, (422, "bad_top_k")),
    "a top_k that is true": (CLASSIFY, {"paths": [], "top_k": True}, (422, "bad_top_k")),
    "a top_k that is half": (CLASSIFY, {"paths": [], "top_k": 1.5}, (422, "bad_top_k")),
    "an unknown model in classify": (CLASSIFY, {"paths": [], "model": "cats"}, (404, "unknown_model")),
    "a model that is a list of objects": (CLASSIFY, {"paths": [], "model": [{}]}, (422, "bad_value")),
    "a negative deadline": (CLASSIFY, {"paths": [], "deadline_s": -1}, (422, "bad_deadline")),
    "a huge deadline": (CLASSIFY, {"paths": [], "deadline_s": 1e9}, (422, "bad_deadline")),
    "a deadline that is no number": (CLASSIFY, {"paths": [], "deadline_s": "soon"}, (422, "bad_deadline")),
    "a deadline that is nan": (CLASSIFY, {"paths": [], "deadline_s": "nan"}, (422, "bad_deadline")),
    "a deadline that is a list": (CLASSIFY, {"paths": [], "deadline_s": [1]}, (422, "bad_deadline")),
    "a deadline with 400 digits": (CLASSIFY, {"paths": ["\ud800"], "deadline_s": 10**400}, (422, "bad_deadline")),
    "too many rows in classify": (CLASSIFY, {"paths": ["a"] * (MAX_ROWS + 1)}, (413, "too_many_rows")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_code(site: Site, kind: str) -> None:
    """Programs read the code, people the message."""
    url, body, expected = REFUSED[kind]
    assert refusal(site.client.post(url, data=json.dumps(body)))[:2] == expected


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e9", "soon", "", "1e400"])
def test_a_senseless_deadline_header_is_refused(site: Site, value: str) -> None:
    """The forwarder's way to say it."""
    answer = site.client.post("/query/image_label", json={"data": [[]]}, headers={"X-Pixfield-Deadline": value})
    assert refusal(answer)[:2] == (422, "bad_deadline")


def test_a_body_above_the_limit_is_refused(site: Site) -> None:
    """413, in the form of all errors."""
    answer = site.client.post("/query/image_label", data=b" " * 1_000_001)
    assert refusal(answer)[:2] == (413, "request_entity_too_large")


@pytest.mark.parametrize(("method", "url", "expected"), [
    ("GET", "/query/image_label", (405, "method_not_allowed")), ("PUT", CLASSIFY, (405, "method_not_allowed")),
    ("POST", "/healthz", (405, "method_not_allowed")), ("GET", "/", (404, "not_found")),
    ("GET", "/v1/nothing", (404, "not_found")), ("GET", "/v1/models/cats", (404, "unknown_model")),
    ("GET", "/../etc/passwd", (404, "not_found"))])
def test_wrong_methods_and_pages_are_refused(site: Site, method: str, url: str, expected: tuple[int, str]) -> None:
    """In the same form."""
    assert refusal(site.client.open(url, method=method))[:2] == expected


def test_a_wrong_method_is_told_the_right_ones(site: Site) -> None:
    """As HTTP asks."""
    assert set(site.client.get(CLASSIFY).headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_too_many_rows_say_the_limit_and_what_to_do(site: Site) -> None:
    """The flag is named."""
    error = site.client.post(CLASSIFY, json={"paths": [None] * 41}).get_json()["error"]
    assert (error["message"], error["hint"]) == ("41 rows in one request; the limit is 40 (--max-rows)",
                                                 "ask for the column in parts")


# ---- being busy --------------------------------------------------------------------------------------------------


def test_without_time_rows_are_pending_and_answered_later(open_site: Open, pictures: Pictures, watched: WatchedEngine,
                                                          wait_until: WaitUntil) -> None:
    """The deadline comes in the body or in the header."""
    names = [pictures.write(f"{number}.png", number).name for number in range(6)]
    site = open_site()
    watched.gate.clear()
    first = site.classify(paths=names, deadline_s=0)
    header = {"X-Pixfield-Deadline": "0"}
    second = site.client.post("/query/image_status", json={"data": [names]}, headers=header).get_json()["response"]
    watched.gate.set()
    wait_until(lambda: len(site.service.model(None).in_flight) == 0)
    third = site.query("image_status", paths=names)
    assert (first["pending"], first["columns"]["status"], second, third) == (
        6, ["pending"] * 6, ["pending"] * 6, ["ok"] * 6)


def test_a_full_queue_is_busy(open_site: Open, pictures: Pictures, watched: WatchedEngine) -> None:
    """503 and when to come back; what is known is answered all the same."""
    names = [pictures.write(f"{number}.png", number).name for number in range(4)]
    site = open_site(queue_rows=1)
    site.classify(paths=names[:1])
    watched.gate.clear()
    site.classify(paths=names[1:2], deadline_s=0)
    answer = site.client.post(CLASSIFY, json={"paths": names[2:], "deadline_s": 0})
    known = site.classify(paths=names, deadline_s=0)["columns"]["status"]
    assert (refusal(answer)[:2], answer.headers["Retry-After"], known) == (
        (503, "queue_full"), "5", ["ok", *["pending"] * 3])


def test_who_would_wait_in_vain_is_told_when_to_come_back(open_site: Open, pictures: Pictures) -> None:
    """By the measured rate; what is known is answered all the same, and what may be later is taken."""
    names = [pictures.write(f"{number}.png", number).name for number in range(3)]
    site = open_site()
    site.classify(paths=names[:1])
    moments = iter((*map(float, range(0, 80, 8)), *[72.0] * 99))
    model = site.service.model(None)
    model.admission = Admission(pressed_at=0, clock=lambda: next(moments))
    model.admission.begun(10)
    for _ in range(10):
        model.admission.finished(1)
    refused = site.client.post(CLASSIFY, json={"paths": names[1:], "deadline_s": 10})
    known = site.classify(paths=names[:2], deadline_s=10)["columns"]["status"]
    later = site.classify(paths=names[1:], deadline_s=0)["pending"]
    patient = site.classify(paths=names[1:], deadline_s=20)["columns"]["status"]
    assert (refusal(refused)[:2], refused.headers["Retry-After"], known, later, patient) == (
        (503, "too_much_waiting"), "8", ["ok", "pending"], 2, ["ok", "ok"])


def test_more_requests_than_places_are_busy_and_health_is_not(open_site: Open, pictures: Pictures,
                                                              watched: WatchedEngine, wait_until: WaitUntil) -> None:
    """One more than may wait is told to come back; the others are answered in the end."""
    names = [pictures.write(f"{number}.png", number).name for number in range(PLACES + 1)]
    site = open_site()
    model = site.service.model(None)
    watched.gate.clear()
    statuses: list[int] = []

    def ask(name: str) -> None:
        client = site.client.application.test_client()
        statuses.append(client.post(CLASSIFY, json={"paths": [name]}).status_code)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names[:PLACES]]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(model.in_flight) == PLACES)
    answer = site.client.post(CLASSIFY, json={"paths": names[PLACES:]})
    health = site.client.get("/healthz")
    watched.gate.set()
    for thread in threads:
        thread.join()
    assert (refusal(answer), answer.headers["Retry-After"], health.get_json(), statuses) == (
        (503, "too_many_requests", "too many requests are waiting"), "1", {"status": "ok"}, [200] * PLACES)


def test_a_refused_request_gives_its_place_back(site: Site) -> None:
    """However many there are."""
    for _ in range(PLACES + 5):
        site.client.post(CLASSIFY, json={"paths": [[]]})
    assert site.query("image_label", paths=["0.png"]) == ["0"]


def test_a_model_that_cannot_be_used_is_busy(settings: Settings) -> None:
    """503: it may be mended."""

    def open_engine(*_: object) -> Engine:
        from server.errors import SettingsError

        raise SettingsError("it does not fit")

    with closing(Service(settings, open_engine=open_engine)) as service:
        answer = create_app(service).test_client().post(CLASSIFY, json={"paths": []})
    assert (refusal(answer), answer.headers["Retry-After"]) == ((503, "model_unusable", "it does not fit"), "30")


def test_a_fault_of_ours_is_told_without_its_insides(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """500 with a reference; the traceback is in the log."""

    def open_engine(*_: object) -> Engine:
        raise ZeroDivisionError("the secret reason")

    with closing(Service(settings, open_engine=open_engine)) as service:
        answer = create_app(service).test_client().post(CLASSIFY, json={"paths": []})
    status, code, message = refusal(answer)
    identity = answer.headers["X-Request-Id"]
    assert (status, code, message, "the secret reason" in caplog.text) == (
        500, "internal", f"the server failed on this request (id {identity})", True)


# ---- tokens ------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(open_site: Open, tmp_path: Path) -> Site:
    """A server with two tokens."""
    (tmp_path / "token").write_text("first-token\nsecond-token\n", encoding="ascii")
    return open_site(token_file=tmp_path / "token")


DOORS = [("POST", "/query/image_label"), ("POST", "/evaluate"), ("GET", "/info"), ("GET", "/endpoints"),
         ("GET", "/endpoints/image_label"), ("GET", "/fields"), ("POST", CLASSIFY), ("GET", "/v1/functions"),
         ("GET", "/v1/models"),
         ("GET", "/v1/models/digits"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/openapi.json"),
         ("GET", f"/v1/images/{'0' * 32}/thumbnail.png"), ("GET", "/v1/models/digits/layers.json"),
         ("GET", f"/v1/images/{'0' * 32}/explanation.png"), ("GET", f"/v1/images/{'0' * 32}/explanation.json"),
         ("GET", f"/v1/images/{'0' * 32}/feature-maps/a.png"), ("GET", f"/v1/images/{'0' * 32}/feature-maps/a.json"),
         ("GET", "/v1/models/digits/filters.json"), ("GET", "/v1/models/digits/filters.png"), ("OPTIONS", CLASSIFY)]


@pytest.mark.parametrize(("method", "url"), DOORS)
def test_every_door_needs_a_token(guarded: Site, method: str, url: str) -> None:
    """And says how to bring it."""
    answer = guarded.client.open(url, method=method, json=None if method != "POST" else {})
    assert (refusal(answer), answer.get_json()["error"]["hint"]) == (
        (401, "no_token", "this server needs a token"), "send Authorization: Bearer <token>" + (
            "; in Tableau enter any user name, and the token as the password" if is_tableaus(url) else ""))
    assert answer.headers["WWW-Authenticate"].startswith("Basic ") == is_tableaus(url)


def test_every_door_is_in_the_list_above(guarded: Site) -> None:
    """Except health, which is open."""
    rules = {str(rule).replace("<name>", "image_label").replace("<reference>", "digits").replace("<id>", "0" * 32)
             .replace("<layer>", "a")
             for rule in guarded.client.application.url_map.iter_rules()}
    assert rules == {url for _, url in DOORS} | {"/healthz"}


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer first-tokenx", "first-toke",
                                   "Bearer first-token\tsecond-token", "Basic Zmlyc3QtdG9rZW4=", "Bearer ｆirst-token",
                                   "Bearer first-token, Bearer second-token"])
def test_a_wrong_token_is_refused(guarded: Site, given: str | None) -> None:
    """401."""
    headers = {} if given is None else {"Authorization": given.encode().decode("latin-1")}
    assert guarded.client.get("/v1/functions", headers=headers).status_code == 401


@pytest.mark.parametrize("token", ["first-token", "second-token"])
def test_both_tokens_open(guarded: Site, token: str) -> None:
    """While one is exchanged for the other."""
    headers = {"Authorization": f"Bearer {token}"}
    assert guarded.client.get("/v1/functions", headers=headers).status_code == 200


def test_health_needs_no_token(guarded: Site) -> None:
    """For load balancers."""
    assert guarded.client.get("/healthz").get_json() == {"status": "ok"}


# ---- about the server --------------------------------------------------------------------------------------------


def test_readiness_follows_the_model(open_site: Open, wait_until: WaitUntil) -> None:
    """503 before, 200 after."""
    site = open_site()
    before = site.client.get("/readyz")
    site.service.start()
    wait_until(lambda: site.service.is_filled)
    after = site.client.get("/readyz")
    assert [(answer.status_code, answer.get_json()) for answer in (before, after)] == [
        (503, {"ready": False, "filled": False, "fault": None}), (200, {"ready": True, "filled": True, "fault": None})]


def test_the_function_table_is_given_out(site: Site) -> None:
    """What TabPy's forwarders are made from."""
    table = site.client.get("/v1/functions").get_json()["functions"]
    assert table == [function.describe() for function in FUNCTIONS.values()]


def test_models_are_listed_and_described(site: Site, version: ModelVersion) -> None:
    """With labels, input and identity."""
    listed = {model["name"]: model for model in site.client.get("/v1/models").get_json()["models"]}
    card = site.client.get("/v1/models/digits").get_json()
    assert (listed["digits"], card["labels"], card["input"]["size"], card["digest"]) == (
        {"name": "digits", "versions": ["1"], "aliases": {}, "states": {"1": {"state": "serving", "aliases": []}}},
        list("0123456789"), 32, version.spec.digest)


def test_a_broken_alias_file_hides_no_model(open_site: Open, tmp_path: Path, version: ModelVersion) -> None:
    """The problem stands beside the model."""
    (tmp_path / "models" / "digits").mkdir(parents=True)
    (tmp_path / "models" / "digits" / "1").symlink_to(version.folder)
    (tmp_path / "models" / "digits" / "aliases.json").write_text("{", encoding="ascii")
    (model,) = open_site(store=tmp_path / "models").client.get("/v1/models").get_json()["models"]
    assert (model["versions"], model["aliases"], "aliases.json" in model["problem"]) == (["1"], {}, True)


def test_unusable_versions_are_listed_with_their_reason(open_site: Open, tmp_path: Path) -> None:
    """Also of a model that has no other; a folder that holds none is no model."""
    (tmp_path / "models" / "新しい" / "1").mkdir(parents=True)
    (tmp_path / "models" / "empty").mkdir()
    (model,) = open_site(store=tmp_path / "models").client.get("/v1/models").get_json()["models"]
    assert model == {"name": "新しい", "versions": [], "aliases": {}, "states": {"1": {
        "state": "unusable", "aliases": [],
        "reason": "新しい@1: there is no model.json: the folder is half copied or no model."}}}


def metrics(site: Site) -> dict[str, float]:
    """Every number of `/metrics`."""
    text = site.client.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(pixfield_\S+) (\S+)$", text, re.MULTILINE)}


def test_metrics_count_rows_requests_and_inferences(open_site: Open, pictures: Pictures) -> None:
    """A cold column, then the same warm."""
    for number in range(3):
        pictures.write(f"{number}.png", number)
    site = open_site()
    names = ["0.png", "1.png", "2.png", None, "absent.png"]
    for _ in range(2):
        site.query("image_label", paths=names)
    counted = metrics(site)
    assert {name: counted[name] for name in (
        'pixfield_rows_total{status="ok"}', 'pixfield_rows_total{status="failed"}', "pixfield_hits_total",
        "pixfield_misses_total", 'pixfield_inferences_total{model="digits@1"}',
        'pixfield_requests_total{endpoint="query",status="200"}', 'pixfield_queue_rows{model="digits@1"}')} == {
            'pixfield_rows_total{status="ok"}': 6, 'pixfield_rows_total{status="failed"}': 4, "pixfield_hits_total": 3,
            "pixfield_misses_total": 3, 'pixfield_inferences_total{model="digits@1"}': 3,
            'pixfield_requests_total{endpoint="query",status="200"}': 2, 'pixfield_queue_rows{model="digits@1"}': 0}


def test_metrics_count_refusals(open_site: Open) -> None:
    """By status."""
    site = open_site()
    site.client.post("/query/image_label", data=b"{")
    assert metrics(site)['pixfield_requests_total{endpoint="query",status="400"}'] == 1


def test_a_request_is_one_line_of_the_log_without_paths(open_site: Open, pictures: Pictures, tmp_path: Path,
                                                        caplog: pytest.LogCaptureFixture) -> None:
    """Rows, misses, failures, pending, milliseconds; no path, no token."""
    pictures.write("private name.png", 0)
    (tmp_path / "token").write_text("secret-token", encoding="ascii")
    site = open_site(token_file=tmp_path / "token")
    caplog.set_level(logging.DEBUG)
    site.client.post("/query/image_label", json={"data": [["private name.png", "other private name.png"]]},
                     headers={"Authorization": "Bearer secret-token"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "server.envelope"]
    form = r"[0-9a-f]{8} /query/image_label 200 model=digits@1 rows=2 misses=1 failures=1 pending=0 ms=\d+"
    assert (re.fullmatch(form, line) is not None, "private" in caplog.text, "secret" in caplog.text) == (
        True, False, False)


def test_a_line_break_in_a_function_s_name_forges_no_line_of_the_log(site: Site,
                                                                     caplog: pytest.LogCaptureFixture) -> None:
    """It is escaped."""
    caplog.set_level(logging.INFO)
    site.client.post("/query/x%0Aforged%0D", json={})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "server.envelope"]
    assert ("\n" in line, "\r" in line) == (False, False)


def test_every_answer_has_its_id(site: Site) -> None:
    """Another for each request."""
    ids = {site.client.get("/healthz").headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


def test_the_description_names_every_door(site: Site) -> None:
    """`/openapi.json` is made from the same tables."""
    document = site.client.get("/openapi.json").get_json()
    rules = {str(rule).replace("<", "{").replace(">", "}") for rule in site.client.application.url_map.iter_rules()}
    expected = rules - {"/query/{name}"} | {f"/query/{name}" for name in FUNCTIONS}
    assert set(document["paths"]) == expected
