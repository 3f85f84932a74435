"""Pictures as a dashboard has them: addresses by the real TabPy, pictures by the real server, five hundred at once."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from stack import Running, started

from server.store_cli import main as store

TOKEN = "token-of-these-tests-0123456789"  # noqa: S105 - of the tests
COUNT = 100
NAME = "写真 {}.jpg"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Both, with photos of a megapixel and a token."""
    target = tmp_path_factory.mktemp("pictures http")
    for part in ("pictures", "state"):
        (target / part).mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        small.resize((1200, 900), Image.Resampling.BICUBIC).save(target / "pictures" / NAME.format(number), "JPEG")
    (target / "token").write_text(TOKEN)
    with started(target / "state", images=(target / "pictures",), token_file=target / "token", verbose=True) as stack:
        yield stack


def column(running: Running) -> list[str]:
    """A SCRIPT_STR field of addresses."""
    script = "return tabpy.query('image_thumbnail_url', _arg1)['response']"
    answer = requests.post(f"{running.tabpy}/evaluate", timeout=60, json={
        "data": {"_arg1": [NAME.format(number) for number in range(COUNT)]}, "script": script})
    urls: list[str] = answer.json()
    return urls


def shown(url: str) -> tuple[int, str | None]:
    """Status and Retry-After as a browser gets them; a picture must be one."""
    answer = requests.get(url, timeout=60)
    if answer.status_code == 200:
        assert Image.open(io.BytesIO(answer.content)).size == (128, 96)
    return answer.status_code, answer.headers.get("Retry-After")


def test_a_dashboard_shows_its_pictures(running: Running) -> None:
    """Five hundred at once: each is shown or told to come back; health and columns are answered meanwhile."""
    urls = column(running)
    assert (len(set(urls)), {url.startswith(f"{running.server}/v1/images/") for url in urls}) == (COUNT, {True})
    with ThreadPoolExecutor(200) as pool:
        answers = [pool.submit(shown, url) for url in urls * 5]
        waits = []
        while not all(answer.done() for answer in answers[::50]):
            began = time.monotonic()
            assert requests.get(f"{running.server}/healthz", timeout=30).status_code == 200
            waits.append(time.monotonic() - began)
        assert column(running) == urls
        seen = Counter(answer.result(60) for answer in answers)
    assert set(seen) <= {(200, None), (503, "1"), (503, "2")}
    assert seen[200, None] >= COUNT
    assert (max(waits, default=0) < 5, [shown(url) for url in urls]) == (True, [(200, None)] * COUNT)


def test_no_log_has_an_address(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """At --verbose, with wrong and right ones, and after the key was exchanged, which ends them all."""
    urls = column(running)
    wrong = urls[0].replace("/thumbnail", "0/thumbnail")
    assert [shown(url)[0] for url in (urls[0], wrong, urls[0] + "x")] == [200, 401, 401]
    assert store(["rotate-image-key", f"--state={running.settings.state}"]) == 0
    capsys.readouterr()
    assert (shown(urls[0])[0], shown(column(running)[0])[0]) == (401, 200)
    logs = "".join(path.read_text(errors="replace") for path in Path(running.settings.state).glob("*.log"))
    assert "image-url.key was read again" in logs
    found = [part for url in urls for part in url.split("/")[5].split(".") if part in logs]
    assert (found, TOKEN in logs, "写真" in logs) == ([], False, False)
