"""Command lines without the secrets in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from idealfit.spec import redacted

_SECRET = re.compile(r"(?i)(pass(word|wd|phrase)?|pwd|secret|token|api[_-]?key|credentials?|auth)$")


def redacted_command(command_line: Sequence[str]) -> list[str]:
    """`command_line` with the values of secret options and the credentials in addresses replaced by `***`."""
    safe: list[str] = []
    hide_next = False
    for word in command_line:
        key, equals, _ = word.partition("=")
        if hide_next and not word.startswith("-"):
            safe.append("***")
        elif equals and _SECRET.search(key):
            safe.append(f"{key}=***")
        else:
            safe.append(redacted(word))
        hide_next = not equals and word.startswith("-") and _SECRET.search(word) is not None
    return safe
