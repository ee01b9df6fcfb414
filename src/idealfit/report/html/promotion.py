"""The report's section on fresh seeds and the test set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from idealfit.spec import JSON
from idealfit.study.promotion import DEFAULT, Look, Promotion
from idealfit.study.promotion_words import HEADER, METRIC_HEADER, cells, finding_lines, look_lines, metric_rows

CLASS_HEADER = ("class", "images", "precision", "recall", "F1", "ROC AUC", "PR AUC")
MAX_CLASSES = 100
MAX_MATRIX_CLASSES = 20  # a larger one is no table to read


def promotion_title(promotion: Promotion) -> str:
    """The section's finding in a few words."""
    verdict, choice = promotion.verdict, promotion.choice
    if choice.name == DEFAULT and verdict.best.name == DEFAULT:
        return "On fresh seeds, nothing that was searched beats the default"
    return f"On fresh seeds: take {choice.name}"


def promotion_payload(promotion: Promotion | None) -> JSON | None:
    """What the page's script shows; None where the study was never promoted."""
    if promotion is None:
        return None
    return {
        "said": finding_lines(promotion),
        "header": list(HEADER),
        "rows": cells(promotion),
        "looks": [_look(look) for look in promotion.looks],
    }


def promotion_markdown(promotion: Promotion, escape: Callable[[str], str]) -> str:
    """The section in Markdown; `escape` makes any text one that stands as it is."""
    parts = ["## Fresh seeds and the test set\n", *(f"{escape(text)}\n" for text in finding_lines(promotion))]
    parts.append(_table(HEADER, cells(promotion), escape))
    for look in promotion.looks:
        parts += [f"{escape(text)}\n" for text in look_lines(look)]
        if metrics := metric_rows(look):
            parts.append(_table(METRIC_HEADER, metrics, escape))
        if classes := _class_rows(look):
            parts.append(_table(CLASS_HEADER, classes, escape))
    return "\n".join(parts)


def _table(header: tuple[str, ...], rows: list[list[str]], escape: Callable[[str], str]) -> str:
    lines = [list(header), ["---"] * len(header), *([escape(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _look(look: Look) -> dict[str, Any]:
    classes = look.measures.get("classes", [])
    matrix = look.measures.get("confusion", [])
    return {
        "number": look.number,
        "said": look_lines(look),
        "metrics": {"header": list(METRIC_HEADER), "rows": metric_rows(look)},
        "header": list(CLASS_HEADER),
        "rows": _class_rows(look),
        "left": max(0, len(classes) - MAX_CLASSES),
        "names": [str(each["name"]) for each in classes],
        "confusion": matrix if len(matrix) <= MAX_MATRIX_CLASSES else [],
    }


def _class_rows(look: Look) -> list[list[str]]:
    """The least recognised classes first."""
    classes = sorted(look.measures.get("classes", []), key=lambda each: each["recall"])
    return [
        [
            str(each["name"]),
            f"{each['num_images']:,}",
            *(_number(each[name]) for name in ("precision", "recall", "f1", "roc_auc", "pr_auc")),
        ]
        for each in classes[:MAX_CLASSES]
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
