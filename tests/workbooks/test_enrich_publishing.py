"""--publish against a stand-in of Tableau's REST API: by the library, over HTTP, with a real extract."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tableau_stand_in import SITE, TOKEN, Tableau, tableau

from workbooks.enrich import hyper
from workbooks.enrich.__main__ import main
from workbooks.enrich.errors import PublishError
from workbooks.enrich.publishing import TOKEN_NAME, TOKEN_SECRET, Place

pytest.importorskip("tableauserverclient")
pytest.importorskip("pantab")
TOKENS = {TOKEN_NAME: TOKEN["personalAccessTokenName"], TOKEN_SECRET: TOKEN["personalAccessTokenSecret"]}


@pytest.fixture
def site() -> Iterator[Tableau]:
    """A running stand-in."""
    with tableau() as running:
        yield running


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extract, larger than one megabyte."""
    path = tmp_path_factory.mktemp("抽出 結果") / "写真 一覧.hyper"
    names = [hashlib.blake2b(bytes(number)).hexdigest() for number in range(15_000)]  # Hyper compresses what is alike
    table = pa.table({"path": [f"写真 {name}.png" for name in names], "n": list(range(len(names)))})
    hyper.write(path, table.schema, iter(table.to_batches(max_chunksize=1000)))
    assert path.stat().st_size > 1_100_000
    return path


def place_of(running: Tableau, **more: str) -> Place:
    """The stand-in's site with the right token."""
    words = {"site": SITE, "project": "写真", "name": "写真 一覧"} | more
    return Place.of(url=words.pop("url", running.url), environment=TOKENS, **words)


@pytest.mark.parametrize(("project", "id_"), [("写真", "p2"), ("Archive/写真", "p4"), ("Default", "p1")])
def test_an_extract_is_published(site: Tableau, extract: Path, project: str, id_: str) -> None:
    """Byte for byte, in the project named, twice in the place of itself; signed out at the end."""
    place = place_of(site, project=project)
    place.check()
    assert site.published == {}
    assert [place.publish(extract), place.publish(extract)] == ["d1", "d1"]
    assert site.published == {(id_, "写真 一覧"): extract.read_bytes()}
    assert (site.sessions, site.requests.count("POST auth/signout")) == (set(), 3)


def test_a_large_extract_goes_in_chunks(site: Tableau, extract: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own limits, lowered by its own variables."""
    monkeypatch.setenv("TSC_FILESIZE_LIMIT_MB", "1")
    monkeypatch.setenv("TSC_CHUNK_SIZE_MB", "1")
    place_of(site).publish(extract)
    assert site.published == {("p2", "写真 一覧"): extract.read_bytes()}
    assert sum(request.startswith("PUT sites/5c1d/fileUploads/upload-1") for request in site.requests) == \
        math.ceil(extract.stat().st_size / 1024 ** 2) > 1


@pytest.mark.parametrize(("more", "said"), [
    ({"site": "sales"}, "does not take the token 'pixfield' for the site 'sales': make a new one"),
    ({"project": "Pictures"}, "The site has no project 'Pictures': name one of Archive, default, 写真 with --project"),
    ({"project": "写真/Archive"}, "The site has no project '写真/Archive'"),
    ({"url": "http://127.0.0.1:9"}, "http://127.0.0.1:9 cannot be reached or gives no answer of Tableau's"),
])
def test_what_tableau_refuses_is_one_sentence(site: Tableau, more: dict[str, str], said: str) -> None:
    """Before anything is asked of the model; the secret is not in it."""
    with pytest.raises(PublishError) as caught:
        place_of(site, **more).check()
    assert said in str(caught.value)
    assert TOKENS[TOKEN_SECRET] not in str(caught.value) + repr(place_of(site))


def test_a_refused_publication_says_why(site: Tableau, extract: Path) -> None:
    """In Tableau's own words."""
    site.refuses_publishing = True
    with pytest.raises(PublishError, match=r"refuses \(403007\): Forbidden. You do not have permission to publish"):
        place_of(site).publish(extract)


@pytest.mark.parametrize(("words", "environment", "said"), [
    ([], TOKENS, "--publish needs --tableau-url with Tableau's address"),
    (["--tableau-url", "https://tableau.corp:99999"], TOKENS, "--publish needs --tableau-url with Tableau's address"),
    (["--tableau-url", "http://127.0.0.1:9"], {TOKEN_NAME: "x", TOKEN_SECRET: ""},
     "set TABLEAU_TOKEN_NAME and TABLEAU_TOKEN_SECRET (missing: TABLEAU_TOKEN_SECRET)"),
])
def test_what_is_missing_is_said_first(words: list[str], environment: dict[str, str], said: str, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No server is looked for, nothing is written."""
    (tmp_path / "table.csv").write_text("path\na.png\n", encoding="utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([str(tmp_path / "table.csv"), "--image-column", "path", "--out", str(tmp_path / "out.hyper"),
                 "--publish", *words]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
