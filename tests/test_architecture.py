"""The floors of the design, read from the imports themselves: a module knows only what lies below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# A part is a module or a package right under idealfit; packages import freely inside themselves.
FLOORS: dict[str, float] = {
    "text": -1,
    "collector": -1,
    "objective": -1,
    "_version": 0,
    "spec": 0,
    "disk": 0.5,
    "protocol": 0.5,
    "tasks": 0.5,
    "config": 1,
    "space": 1,
    "data": 1,
    "models": 1,
    "overfit": 1,
    "record": 1,
    "tracking": 1,
    "pruning": 1,
    "engines": 1,
    "pictures": 1,
    "predictions": 0.5,
    "selection": 0.5,
    "provenance": 1,
    "train": 2,
    "rounds": 2.5,
    "trial": 3,
    "range_test": 3.5,
    "group": 4,
    "study": 4,
    "report": 5,
    "promotion": 5,
    "reproduce": 5,
    "results": 5.5,
    "api": 6,
    "cli": 7,
    "__init__": 7,  # re-exports the Python API, late
    "__main__": 8,
    "hydra_plugins": 8,
}

HEAVY = {"torch", "torchvision", "lightning", "mlflow", "optuna", "sklearn", "pandas", "matplotlib", "plotly", "rich"}
# Parts that a controller, `--help` or a reader of records imports: nothing heavy while they load.
LIGHT = {
    "__init__",
    "__main__",
    "_version",
    "text",
    "collector",
    "objective",
    "spec",
    "disk",
    "protocol",
    "tasks",
    "range_test",
    "record",
    "space",
    "config",
    "cli",
    "api",
    "results",
    "engines",
    "provenance",
    "hydra_plugins",
}


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to."""
    relative = path.relative_to(SOURCE)
    return "hydra_plugins" if relative.parts[0] == "hydra_plugins" else relative.parts[1].removesuffix(".py")


def imports_of(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and dotted name of every import, late ones inside functions too; those for type checkers alone left out."""
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide which floor is meant"
            module = node.module or ""
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


FILES = sorted(SOURCE.rglob("*.py"))


def test_every_part_has_a_floor() -> None:
    assert {part_of(path) for path in FILES} <= set(FLOORS), "name the floor of a new part in FLOORS, and in the design"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    part = part_of(path)
    wrong = []
    for line, name in imports_of(ast.parse(path.read_text())):
        if name.split(".")[0] != "idealfit":
            continue
        other = name.split(".")[1]
        other = other if other in FLOORS else "__init__"
        if other == "__init__" and name == "idealfit.__version__":
            other = "_version"
        if other != part and FLOORS[other] >= FLOORS[part]:
            wrong.append(f"line {line}: {part} (floor {FLOORS[part]}) imports {name} (floor {FLOORS[other]})")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path", [p for p in FILES if part_of(p) in LIGHT], ids=lambda path: str(path.relative_to(SOURCE))
)
def test_light_parts_import_nothing_heavy_while_they_load(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):  # drop function bodies: what they import, they import late
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    heavy = [f"line {line}: {name}" for line, name in imports_of(tree) if name.split(".")[0] in HEAVY]
    assert not heavy, "\n".join(heavy)


def test_instantiate_is_called_behind_the_gate_only() -> None:
    callers = {
        part_of(path) for path in FILES for _, name in imports_of(ast.parse(path.read_text())) if "instantiate" in name
    }
    assert callers <= {"config"}


def test_hydra_plugins_stays_a_namespace_package() -> None:
    assert not (SOURCE / "hydra_plugins" / "__init__.py").exists()
    assert (SOURCE / "hydra_plugins" / "idealfit" / "__init__.py").exists()


def test_files_hold_one_idea() -> None:
    long = {str(p.relative_to(SOURCE)): n for p in FILES if (n := len(p.read_text().splitlines())) > 320}
    assert not long, f"over 320 lines: {long}"


def num_code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body; a long docstring is no fault."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_stay_short() -> None:
    long = [
        f"{path.relative_to(SOURCE)}:{node.name} has {num_code_lines(node)} lines"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and num_code_lines(node) > 45
    ]
    assert not long, "\n".join(long)
