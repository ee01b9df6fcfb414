"""The table of what differs: each change is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idealfit.provenance import Code, Conditions, Difference, Machine, Provenance, changes, collect, files_of

Git = Callable[..., str]

MACHINE = Machine(python="CPython 3.11.7", os="Linux", architecture="x86_64", cpu="Xeon", cpu_features=["avx2"])
THEN = Provenance(
    idealfit="0.1.0",
    idealfit_sha256="a" * 64,
    code=Code(state="git", commit="0" * 40, files={"net.py": "1"}),
    machine=MACHINE,
    packages={"torch": "2.14.0", "numpy": "2.3.1", "idealfit": "0.1.0"},
    run=Conditions(
        config={"seed": 0, "model": {"depth": 3}, "trainer": {}},
        device="cpu",
        precision="32-true",
        num_threads=1,
        deterministic=True,
        data_fingerprint="d" * 64,
        split_sha256="e" * 64,
        data_files={"cat/a.png": [10, 1], "cat/b.png": [20, 1]},
    ),
)


def row(item: str, then: Provenance, now: Provenance) -> Difference:
    found = [difference for difference in changes(then, now) if difference.item == item]
    assert len(found) == 1, item
    return found[0]


def conditions(**changed: Any) -> Provenance:
    assert THEN.run is not None
    return THEN.of_run(replace(THEN.run, **changed))


def test_nothing_changed_means_all_the_same() -> None:
    assert {difference.status for difference in changes(THEN, THEN)} == {"same"}


def test_a_seed_and_a_key_are_named() -> None:
    now = conditions(config={"seed": 1, "model": {"depth": 3, "width": 4}, "trainer": {}})
    assert row("config", THEN, now).details == ("model.width: - -> 4", "seed: 0 -> 1")


def test_a_package_is_named_with_its_versions() -> None:
    now = replace(THEN, packages={"torch": "2.15.0", "numpy": "2.3.1", "idealfit": "0.1.0", "timm": "1.0"})
    found = row("packages", THEN, now)
    assert found.status == "differs"
    assert found.details == ("timm: - -> 1.0", "torch: 2.14.0 -> 2.15.0")


def test_a_package_from_elsewhere_differs_at_the_same_version() -> None:
    now = replace(THEN, package_origins={"torch": "git+https://example.org/torch@abc"})
    assert row("packages", THEN, now).details == ("torch: 2.14.0 -> 2.14.0 git+https://example.org/torch@abc",)


def test_idealfit_at_the_same_version_with_other_source_differs() -> None:
    assert row("idealfit", THEN, replace(THEN, idealfit_sha256="b" * 64)).details == ("its own source",)


@pytest.mark.parametrize(
    ("files", "details"),
    [
        ({"cat/a.png": [10, 1], "cat/b.png": [20, 1], "cat/c.png": [5, 1]}, ("cat/c.png added",)),
        ({"cat/a.png": [10, 1]}, ("cat/b.png removed",)),
        ({"cat/a.png": [10, 1], "cat/b.png": [20, 9]}, ("cat/b.png edited",)),
        ({"cat/a.png": [10, 8], "cat/b.png": [21, 9]}, ("cat/b.png edited",)),  # copied, then one edited
        ({"cat/a.png": [10, 8], "cat/b.png": [20, 9], "cat/c.png": [5, 9]}, ("cat/c.png added",)),
    ],
)
def test_changed_files_of_the_data_are_named(files: dict[str, list[int]], details: tuple[str, ...]) -> None:
    found = row("data", THEN, conditions(data_fingerprint="f" * 64, data_files=files))
    assert (found.status, found.details) == ("differs", details)


def test_copied_data_with_the_same_content_is_the_same() -> None:
    files = {"cat/a.png": [10, 8], "cat/b.png": [20, 9]}
    assert row("data", THEN, conditions(data_files=files)).status == "same"


def test_data_that_nobody_opened_is_unknown_unless_its_files_are_as_they_were() -> None:
    assert row("data", THEN, conditions(data_fingerprint=None)).status == "same"
    assert row("data", THEN, conditions(data_fingerprint=None, data_files={})).status == "unknown"
    assert row("data", THEN, conditions(data_fingerprint=None, data_files={"x": [1, 1]})).status == "unknown"


@pytest.mark.parametrize(
    ("item", "changed"),
    [
        ("threads", {"num_threads": 2}),
        ("determinism", {"deterministic": False}),
        ("device", {"device": "cuda"}),
        ("precision", {"precision": "bf16-mixed"}),
        ("split", {"split_sha256": "9" * 64}),
    ],
)
def test_each_condition_has_its_row(item: str, changed: dict[str, Any]) -> None:
    assert row(item, THEN, conditions(**changed)).status == "differs"
    assert row(item, THEN, conditions(**dict.fromkeys(changed))).status == "unknown"


def test_hardware_and_environment_have_their_rows() -> None:
    machine = replace(
        MACHINE, cpu_features=["avx2", "avx512f"], gpus=["H200"], gpu_driver="570", python="CPython 3.12.1"
    )
    now = replace(THEN, machine=machine, environment={"OMP_NUM_THREADS": "2"})
    assert row("cpu", THEN, now).details == ("avx512f added",)
    assert (row("gpu", THEN, now).then, row("gpu", THEN, now).now) == ("none", "H200 (driver 570)")
    assert row("python", THEN, now).status == "differs"
    assert row("environment", THEN, now).details == ("OMP_NUM_THREADS: - -> 2",)


def test_without_the_trials_part_only_the_rest_is_compared() -> None:
    items = {difference.item for difference in changes(replace(THEN, run=None), THEN)}
    assert "config" not in items
    assert "packages" in items


def test_a_changed_line_of_code_is_named(repo: Path) -> None:
    then = collect(repo)
    (repo / "net.py").write_text("depth = 2\n")
    (repo / "loss.py").write_text("")
    found = row("code", then, collect(repo))
    assert (found.status, found.details) == ("differs", ("loss.py added", "net.py edited"))
    assert found.now.endswith("+ changes")


def test_committing_what_was_already_there_changes_nothing(repo: Path, git: Git) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    then = collect(repo)
    git("commit", "-am", "second")
    found = row("code", then, collect(repo))
    assert (found.status, found.details) == ("same", ())
    assert found.then != found.now


def test_a_changed_text_is_no_changed_code(repo: Path) -> None:
    then = collect(repo)
    (repo / "README.md").write_text("hello\n")
    assert row("code", then, collect(repo)).status == "same"


def test_code_compares_with_and_without_git(repo: Path, git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "nets").mkdir()
    (repo / "nets" / "big.py").write_text("big = 1\n")
    git("add", ".")
    git("commit", "-m", "second")
    then = collect(repo / "nets")
    monkeypatch.setenv("PATH", "")
    assert row("code", then, collect(repo / "nets")).status == "same"
    (repo / "nets" / "big.py").write_text("big = 2\n")
    assert row("code", then, collect(repo / "nets")).details == ("big.py edited",)


def test_a_file_that_was_not_kept_leaves_the_code_unknown(repo: Path) -> None:
    (repo / "huge.json").write_bytes(b" " * 2_000_000)
    found = row("code", collect(repo), collect(repo))
    assert found.status == "unknown"
    assert "huge.json was not kept" in found.details[0]


def test_a_huge_tree_that_was_listed_in_part_is_judged_by_its_commit(repo: Path) -> None:
    state = collect(repo)
    partial = replace(state, code=replace(state.code, complete=False, files={}))
    assert row("code", partial, partial).status == "same"
    other = replace(partial, code=replace(partial.code, commit="1" * 40))
    assert row("code", partial, other).status == "unknown"


def test_files_are_found_wherever_an_identity_lists_them() -> None:
    identity = {"root": "pets", "files": [["cat/a.png", 10, 1], ["cat/b.png", 20, 2]], "size": [8, 8]}
    assert files_of(identity) == {"cat/a.png": [10, 1], "cat/b.png": [20, 2]}
