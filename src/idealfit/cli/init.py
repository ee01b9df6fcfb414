"""`idealfit init DIR`: a small project that runs at once."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from idealfit.cli.app import DONE, Parser, UsageError

SUFFIX = ".tmpl"  # so that no tool takes a template for a part of the package


def parser() -> ArgumentParser:
    """The arguments of `init`."""
    made = Parser(prog="idealfit init", description="Write a small project: a net, its config, a sweep, a test.")
    made.add_argument("dir", metavar="DIR", help="a new or empty folder")
    return made


def run(args: Namespace) -> int:
    """Write the files, never over others."""
    target = Path(args.dir).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{args.dir} exists and is not an empty folder: nothing was written")
    try:
        for path, source in sorted(_templates(files("idealfit.cli") / "project")):
            written = target / path
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{args.dir}: can't write there: {error}") from error
    print(f"A project is in {args.dir}. Go on with:\n\n  cd {args.dir}\n  idealfit sweep mynet\n")
    print("Its README.md tells the rest.")
    return DONE


def _templates(folder: Traversable, prefix: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            name = entry.name.removesuffix(SUFFIX)
            found.append((prefix + (".gitignore" if name == "gitignore" else name), entry))
    return found
