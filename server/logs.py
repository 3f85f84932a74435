"""The log: one line an event, as text or as JSON objects, on standard error or in a file that is put aside when full.

The supervisor alone writes the file: its children's standard error comes to it line by line through `relay`, so no two
processes rotate one file. What is logged are counts, times and ids: never tokens, picture paths or columns.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import time
import warnings
from collections.abc import Callable

from server.errors import SettingsError
from server.settings import Settings

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_TALKATIVE = ("PIL", "aiobotocore", "aiohttp", "asyncio", "azure", "adlfs", "boto3", "botocore", "fsspec", "gcsfs",
              "google", "s3fs", "urllib3")
"""Libraries that would log, from INFO or DEBUG on, what is in pictures or the names and heads of what is asked for."""


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time (UTC), level, process, logger, message, and a traceback where there is one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in the message."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event = {"time": f"{at}.{int(record.msecs):03d}Z", "level": record.levelname, "process": self._process,
                 "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)


def set_up(settings: Settings, *, process: str) -> None:
    """Make the root logger write as `settings` say; waitress's queue warnings say nothing that /metrics does not.

    Raises:
        SettingsError: the log file cannot be written.
    """
    handler = _handler(settings)
    logging._srcfile = None  # noqa: SLF001 - as the guide of logging has it: no format names the line that logs
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no format names them
    handler.setFormatter(JsonFormatter(process) if settings.log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.DEBUG if settings.verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    warnings.simplefilter("ignore", ResourceWarning)  # after a refused start they would follow its one sentence


def relay(settings: Settings) -> Callable[[str, str], None] | None:
    """Takes (child's name, line of its standard error) to our log; None where both write to one place anyway."""
    if settings.log_file is None and settings.log_format == "text":
        return None
    handler = logging.getLogger().handlers[0]
    handler.setFormatter(_RawOr(handler.formatter or logging.Formatter(_TEXT)))

    def take(name: str, line: str) -> None:
        record = logging.makeLogRecord({"msg": line, "name": name, "levelname": "INFO", "levelno": logging.INFO})
        if settings.log_format == "json" and not _is_json_object(line):
            record.msg = JsonFormatter(name).format(record)
        record.is_formatted = True
        handler.handle(record)

    return take


class _RawOr(logging.Formatter):
    """Lines that a child has formatted stay as they are."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return str(record.msg) if hasattr(record, "is_formatted") else self._formatter.format(record)


def _handler(settings: Settings) -> logging.Handler:
    if settings.log_file is None:
        return logging.StreamHandler(sys.stderr)
    try:
        return logging.handlers.RotatingFileHandler(settings.log_file, maxBytes=int(settings.log_max_mb * 1_000_000),
                                                    backupCount=settings.log_files, encoding="utf-8")
    except OSError as exc:
        raise SettingsError(f"--log-file {settings.log_file} cannot be written ({exc.strerror}): name a file in a"
                            " folder you may write to.") from exc


def _is_json_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
