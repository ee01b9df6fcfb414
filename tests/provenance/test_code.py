"""The state of the user's code, from real repositories."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from idealfit.provenance.code import code
from idealfit.provenance.sources import MAX_FILE_BYTES

Git = Callable[..., str]


def everything_in(root: Path) -> dict[str, bytes]:
    """All bytes of the repository, git's own included."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_clean_repository_is_its_commit(repo: Path, git: Git) -> None:
    state = code(repo)
    assert state.state == "git"
    assert state.commit == git("rev-parse", "HEAD").strip()
    assert (state.branch, state.dirty, state.shallow, state.prefix) == ("main", False, False, "")
    assert state.patch == b""
    assert state.patch_sha256 is None
    assert state.files == {"net.py": git("rev-parse", "HEAD:net.py").strip()}


def test_the_patch_holds_edits_deletions_and_untracked_sources(repo: Path) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    (repo / "conf" / "train.yaml").unlink()
    (repo / "new file.py").write_text("width = 3\n")
    state = code(repo)
    assert state.dirty
    assert b"+depth = 2" in state.patch
    assert b"deleted file" in state.patch
    assert b"+width = 3" in state.patch
    assert state.patch_sha256 == hashlib.sha256(state.patch).hexdigest()
    assert set(state.files) == {"net.py", "new file.py"}


def test_the_patch_holds_binary_files_and_odd_names(repo: Path) -> None:
    (repo / "weights.bin").write_bytes(bytes(reversed(range(256))))
    (repo / "naïve\nname.py").write_bytes(b"x = '\xe9'\n")
    state = code(repo)
    assert b"GIT binary patch" in state.patch
    assert b"x = '\xe9'" in state.patch
    assert "naïve\nname.py" in state.files


def test_staged_changes_count_as_the_working_tree_has_them(repo: Path, git: Git) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    git("add", "net.py")
    (repo / "net.py").write_text("depth = 3\n")
    assert b"+depth = 3" in code(repo).patch


def test_ignored_files_data_and_environments_stay_out(repo: Path) -> None:
    for name in ("ignored.py", "data/labels.json", "env/lib/tool.py", "env/pyvenv.cfg", "mlruns/0/meta.yaml", "a.png"):
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text("x")
    state = code(repo)
    assert state.patch == b""
    assert not state.dirty


def test_what_idealfit_writes_stays_out(repo: Path) -> None:
    (repo / "runs" / "study").mkdir(parents=True)
    (repo / "runs" / "study" / "config.yaml").write_text("x")
    assert b"config.yaml" in code(repo).patch
    assert code(repo, excluded=[repo / "runs"]).patch == b""


def test_a_large_file_and_a_secret_are_named_and_left_out(repo: Path) -> None:
    (repo / "huge.json").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    (repo / "weights.bin").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    (repo / "secrets.yaml").write_text("token: abc")
    state = code(repo)
    assert state.patch == b""
    assert state.dirty
    assert set(state.left_out) == {"huge.json", "weights.bin", "secrets.yaml"}
    assert "too large" in state.left_out["huge.json"]
    assert "secret" in state.left_out["secrets.yaml"]


def test_the_repository_is_not_touched(repo: Path, git: Git) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    (repo / "new.py").write_text("new\n")
    (repo / "staged.py").write_text("staged\n")
    git("add", "staged.py")
    before = everything_in(repo)
    code(repo)
    assert everything_in(repo) == before


def test_the_index_of_a_hook_is_not_used(repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "foreign"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert code(repo).state == "git"


def test_no_program_of_the_repository_is_started(repo: Path, git: Git) -> None:
    for key in ("diff.external", "core.fsmonitor", "diff.evil.textconv"):
        git("config", key, f"touch '{repo}/executed'; false")
    (repo / ".gitattributes").write_text("*.py diff=evil\n")
    (repo / "net.py").write_text("depth = 2\n")
    assert b"+depth = 2" in code(repo).patch
    assert not (repo / "executed").exists()


def test_a_subfolder_knows_its_place(repo: Path) -> None:
    assert code(repo / "conf").prefix == "conf"


def test_a_detached_head_has_no_branch(repo: Path, git: Git) -> None:
    git("checkout", "--detach")
    assert code(repo).branch is None


def test_credentials_of_the_remote_are_replaced(repo: Path, git: Git) -> None:
    git("remote", "add", "origin", "https://me:hunter2@example.org/x.git")
    remote = code(repo).remote
    assert remote is not None
    assert "hunter2" not in remote
    assert remote.endswith("example.org/x.git")


def test_a_repository_without_a_commit_has_all_its_files_in_the_patch(tmp_path: Path, git: Git) -> None:
    (tmp_path / "my repo").mkdir()
    git("init")
    (tmp_path / "my repo" / "net.py").write_text("depth = 1\n")
    state = code(tmp_path / "my repo")
    assert (state.state, state.commit, state.branch) == ("no_commits", None, "main")
    assert b"+depth = 1" in state.patch
    assert list(state.files) == ["net.py"]


def test_a_shallow_clone_says_so(repo: Path, git: Git, tmp_path: Path) -> None:
    (repo / "net.py").write_text("depth = 2\n")
    git("commit", "-am", "second")
    git("clone", "--depth", "1", repo.as_uri(), str(tmp_path / "shallow"))
    (tmp_path / "shallow" / "net.py").write_text("depth = 3\n")
    state = code(tmp_path / "shallow")
    assert state.shallow
    assert b"+depth = 3" in state.patch


def test_a_submodule_that_changed_is_named(repo: Path, git: Git, tmp_path: Path) -> None:
    git("clone", str(repo), str(tmp_path / "library"))
    git("-c", "protocol.file.allow=always", "submodule", "add", str(tmp_path / "library"), "library")
    git("commit", "-m", "with a submodule")
    (repo / "library" / "net.py").write_text("depth = 9\n")
    assert list(code(repo).left_out) == ["library"]


def test_without_a_repository_the_code_files_are_hashed_as_git_does(repo: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / ".hidden").mkdir(parents=True)
    (plain / ".hidden" / "tool.py").write_text("x")
    (plain / "net.py").write_bytes((repo / "net.py").read_bytes())
    state = code(plain)
    assert (state.state, state.note, state.dirty) == ("none", "not a git repository", None)
    assert state.files == code(repo).files


def test_without_git_the_reason_is_told(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    state = code(repo)
    assert (state.state, state.note) == ("none", "git is not installed")
    assert list(state.files) == ["net.py"]


def test_a_damaged_repository_is_no_repository_with_a_note(repo: Path) -> None:
    (repo / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for path in (repo / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")
    state = code(repo)
    assert state.state == "none"
    assert state.note


def test_a_broken_link_is_kept_as_a_link(repo: Path) -> None:
    (repo / "link.py").symlink_to("nowhere.py")
    assert b"new file mode 120000" in code(repo).patch
