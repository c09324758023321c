"""The report of a defect of ours: what is needed to find it, and nothing that is secret."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import traceback
from pathlib import Path

from gluerun import assets, settings
from gluerun.core import secrets
from gluerun.errors import GluerunError
from gluerun.settings_table import KNOBS

_MASK = "(masked)"
_CREDENTIALS = re.compile(r"(://[^/\s:@]+:)[^@/\s]+@")


def write_report(argv: list[str], error: BaseException) -> str:
    """Write a report on *error* to the folder for temporary files and return its path."""
    text = "\n\n".join(
        [
            "# gluerun: report of a defect",
            _fenced("Versions", _versions()),
            _fenced("Command", masked(" ".join(["gluerun", *argv]))),
            _fenced("Settings", _settings()),
            _fenced("Traceback", masked("".join(traceback.format_exception(error)))),
        ]
    )
    handle, path = tempfile.mkstemp(prefix="gluerun-report-", suffix=".md")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text + "\n")
    return path


def masked(text: str) -> str:
    """Return *text* without the lines' parts that look like a secret."""
    return secrets.redacted(_CREDENTIALS.sub(rf"\1{_MASK}@", text))


def _fenced(title: str, text: str) -> str:
    return f"## {title}\n\n~~~~text\n{text.rstrip()}\n~~~~"


def _versions() -> str:
    return "\n".join(
        [
            f"gluerun {assets.engine_version()}, schema {assets.schema_version()}",
            f"Python {sys.version}",
            f"{platform.platform()}",
        ]
    )


def _settings() -> str:
    try:
        found = settings.load(Path.cwd(), os.environ)
    except (GluerunError, OSError) as error:
        return masked(str(error))
    lines = [
        f"{knob.field} = {masked(repr(getattr(found.config, knob.field, '')))} ({found.sources[knob.field]})"
        for knob in KNOBS
    ]
    lines += [f"env.{name} = {_MASK}" for name in found.config.env]
    return "\n".join(lines)
