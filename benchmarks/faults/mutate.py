"""What can be wrong with a text, a file or a JSON value: from a seeded random generator, so that a case can be had again."""

from __future__ import annotations

import copy
import random
from typing import Any

from benchmarks.faults.cases import SECRET

NUMBERS = (
    *("0", "-1", "-0.0", "1e400", "-1e400", "nan", ".nan", "inf", "-.inf", "1e-400", "1_000", "0x10", "0o17", "1e3"),
    *("9" * 30, "1" * 5000, "2147483648", "9223372036854775808", "4294967296", "٣", "１２", "1.", ".5", "1,5", "1;2"),
)
WORDS = (
    *(
        "",
        " ",
        "\t",
        "null",
        "~",
        "None",
        "true",
        "yes",
        "on",
        "???",
        "a\nb",
        "a\rb",
        "\x1b[31mred",
        "\u202eecil",
        "𝒳",
        "é",
    ),
    *(
        "'",
        '"',
        "\\",
        "{",
        "}",
        "[",
        "]",
        "[]",
        "{}",
        "()",
        "(",
        ",",
        ":",
        "=",
        "@",
        "+",
        "-",
        "--",
        "#",
        "%s",
        "%(x)s",
    ),
    *("${model.depth}", "${nowhere}", "${oc.env:IDEALFIT_NOT_SET}", "${oc.env:", "${${x}}", "${now:%Y}", "${hydra:x}"),
    *(
        "a" * 5000,
        "../..",
        "/",
        "/dev/null",
        "/proc/self/mem",
        "~nobody-at-all/x",
        "CON",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a:b",
    ),
    *("<script>alert(1)</script>", "{{7*7}}", "'; DROP TABLE runs;--", "!!python/object:os.system", "&a *a", "<<"),
    "\ufeff",
    *("interval(0,1)", "choice()", "range(5,1)", "tag(log,interval(0,1))", "glob(*)", "shuffle(1,2)", "1,2,3", "a,"),
)
ADDRESSES = (f"postgresql://user:{SECRET}@host/db", f"http://user:{SECRET}@127.0.0.1:9", f"x?password={SECRET}")
UNTYPABLE = ("\0", "a\0b", "\udcff", "\ud800")  # no command line can hold the first, a file can hold them all
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**30, -(10**400), 0.5, 1e308, float("nan"), float("inf"), float("-inf")),
    *("", "x", "1", "nan", [], [1], [[[]]], {}, {"": 1}, {"a": None}, {"_target_": "os.system"}, ["a"] * 1000),
)


def number(rng: random.Random) -> str:
    """A number, as one might type it."""
    return rng.choice(NUMBERS)


def word(rng: random.Random) -> str:
    """A text that many a program does not expect."""
    if rng.random() < 0.1:
        return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(160, 0xD800)))) for _ in range(8))
    return rng.choice(WORDS)


def text(rng: random.Random, good: str) -> str:
    """`good` with one to three mistakes in it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        start = rng.randrange(len(good) + 1)
        end = min(len(good), start + rng.choice((0, 1, 1, 2, 5)))
        middle = rng.choice(
            ("", good[start:end] * 2, rng.choice("=.,:()[]{}'\"\\$@+-~ \t\n0Aé"), word(rng), number(rng))
        )
        good = good[:start] + middle + good[end:]
    return good


def content(rng: random.Random, good: bytes) -> bytes:
    """The content of a file, damaged."""
    start = rng.randrange(len(good) + 1)
    end = min(len(good), start + rng.choice((1, 1, 4, 16, 256)))
    noise = rng.randbytes(rng.choice((1, 4, 64)))
    damaged = (
        good[:start],
        good[:start] + noise + good[end:],
        good[:start] + bytes(end - start) + good[end:],
        good[:start] + bytes(byte ^ (1 << rng.randrange(8)) for byte in good[start:end]) + good[end:],
        good[:start] + good[end:],
        good + noise,
        good + good,
        noise,
        b"",
        good[: len(good) // 2] + bytes(len(good) - len(good) // 2),
    )
    return rng.choice(damaged)


def head(rng: random.Random, good: bytes, size: int = 128) -> bytes:
    """The content of a file, damaged where it says what it holds."""
    return content(rng, good[:size]) + good[size:]


def value(rng: random.Random) -> Any:
    """Any JSON value."""
    return rng.choice((*VALUES, word(rng), rng.choice(UNTYPABLE), number(rng)))


def tree(rng: random.Random, good: Any) -> Any:
    """JSON data with one to three values replaced, removed or added."""
    good = copy.deepcopy(good)
    for _ in range(rng.choice((1, 1, 2, 3))):
        parents = [node for node in _containers(good) if node]
        if not parents or rng.random() < 0.05:
            return value(rng)
        parent = rng.choice(parents)
        key = rng.choice(list(parent)) if isinstance(parent, dict) else rng.randrange(len(parent))
        what = rng.random()
        if what < 0.2:
            del parent[key]
        elif what < 0.3 and isinstance(parent, dict):
            parent[word(rng)] = value(rng)
        else:
            parent[key] = value(rng)
    return good


def _containers(node: Any) -> list[Any]:
    if not isinstance(node, dict | list):
        return []
    inner = node.values() if isinstance(node, dict) else node
    return [node, *(found for child in inner for found in _containers(child))]
