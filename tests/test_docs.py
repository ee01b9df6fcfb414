"""The documents cannot rot: links lead somewhere, commands exist and compose, promised make targets are there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def links(document: Path) -> list[str]:
    """Relative targets of Markdown links and pictures."""
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    return [target for target in targets if "://" not in target and not target.startswith("mailto:")]


def commands(document: Path, word: str) -> list[list[str]]:
    """The command lines in bash blocks that start with `word`, comments dropped, continued lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(), flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if re.match(rf"(\$ )?{word}\b", line)]


def anchor(heading: str) -> str:
    """The anchor that a Markdown heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in links(document):
        path, _, fragment = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), f"{document.name}: {target}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), flags=re.MULTILINE)
            assert fragment in map(anchor, headings), f"{document.name}: {target}"


def test_the_make_targets_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE))
    named = {arguments[1] for document in DOCUMENTS for arguments in commands(document, "make") if len(arguments) > 1}
    assert named
    assert named <= targets


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for target in ("venv", "demo", "test", "check", "ui", "bench", "faults", "help"):
        assert f"make {target}" in listed


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert ["make", "test"] in commands(REPOSITORY / "README.md", "make")
    assert "\nmake test || second_try\n" in (REPOSITORY / ".ci" / "run").read_text()
