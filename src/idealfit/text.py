"""Text for people's eyes: hints, and what must be done to a text before it is shown. Standard library only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str], *, limit: int = 3) -> str:
    """A hint to append to an error: the nearest valid names, or all of them when few."""
    names = sorted(set(map(str, valid)))
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    if 0 < len(names) <= 16:
        return f"Valid: {', '.join(names)}."
    return ""


def counted(number: int, noun: str) -> str:
    """`1 trial`, `2 trials`; nouns with a plural in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def redacted(text: str) -> str:
    """`text` with the user names, passwords and tokens of every URL in it replaced by `***`."""
    text = re.sub(r"(?<=://)\S*@", "***@", text)
    return re.sub(r"(?i)\b(\w*(?:password|passwd|pwd|token|secret|api_?key)=)[^&\s'\"]+", r"\1***", text)


def printable(text: str) -> str:
    """`text` with every character that could command a terminal, or that no encoding has, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(line: str, *, length: int = 900) -> str:
    """Both ends of a long line: a message begins with what is wrong, and ends with what to do."""
    return line if len(line) <= length else f"{line[: length * 2 // 3]} ... {line[-length // 3 :]}"
