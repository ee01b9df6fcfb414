"""What a run depended on besides its config: code, packages, machine, environment. Plain JSON with a schema version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from idealfit.spec import JSON, StudyError, sha256_of

SCHEMA_VERSION = 1

CodeState = Literal["git", "no_commits", "none"]


@dataclass(frozen=True, kw_only=True)
class Code:
    """The user's own code.

    Attributes:
        state: "git"; "no_commits": a repository before its first commit; "none": no git to ask, `note` says why.
        branch: None when detached or without git.
        remote: Address of `origin`, credentials replaced.
        prefix: The working directory inside the repository, "" at its root.
        dirty: Whether the working tree differs from the commit (ignored files aside); None without git.
        files: Git blob id of each code file, by path from the repository's root, or else the working directory.
        complete: Whether `files` lists them all; a huge tree keeps the changed ones only.
        left_out: Changed or untracked files that the patch does not hold, with the reason.
        patch: The difference to the commit, untracked source files included; kept beside the JSON, not in it.
    """

    state: CodeState
    note: str = ""
    commit: str | None = None
    branch: str | None = None
    remote: str | None = None
    prefix: str = ""
    shallow: bool = False
    dirty: bool | None = None
    files: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    left_out: dict[str, str] = field(default_factory=dict)
    patch_sha256: str | None = None
    patch: bytes = field(default=b"", repr=False)

    @property
    def title(self) -> str:
        """The state of the code in a few characters."""
        if self.state == "none":
            return f"no git, {len(self.files)} code files"
        name = self.commit[:10] if self.commit else "no commit"
        return f"{name} + changes" if self.dirty else name


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where it ran: `num_cores` that this process may use, `cpu_features` that decide how sums are rounded."""

    python: str
    os: str
    architecture: str
    cpu: str
    cpu_features: list[str] = field(default_factory=list)
    num_cores: int = 1
    gpus: list[str] = field(default_factory=list)
    gpu_driver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What one trial adds: its config, and what the worker found. None: not recorded.

    Attributes:
        data_files: The files of the data set, name -> [bytes, time], see `files_of`; empty where it has none.
    """

    config: JSON = field(default_factory=dict)
    device: str | None = None
    precision: str | None = None
    num_threads: int | None = None
    deterministic: bool | None = None
    data_fingerprint: str | None = None
    split_sha256: str | None = None
    data_files: JSON = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any], facts: Mapping[str, Any]) -> Self:
        """Read them from a trial's config and the facts of its result (or of a preflight)."""
        names = {f.name for f in fields(cls)} - {"config"}
        known = {name: facts[name] for name in names & set(facts)}
        known.setdefault("deterministic", dict(config.get("trainer") or {}).get("deterministic"))
        return cls(config=dict(config), **known)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Everything that a study's runs depended on, collected once per session of the study.

    Attributes:
        collected_at: UTC, ISO 8601.
        idealfit_sha256: Hash of the installed package's own source: two states of a checkout share one version.
        packages: Exact version of every installed distribution, by normalised name.
        package_origins: Those that no index can give back: `git+https://...@COMMIT`, "editable", "local".
        environment: The variables that change results: threads, devices, determinism.
        study: Name, sampler, pruner, ...: what the caller adds.
        run: One trial's part; never written into the study's file.
    """

    idealfit: str
    idealfit_sha256: str
    code: Code
    machine: Machine
    packages: dict[str, str]
    package_origins: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    command_line: list[str] = field(default_factory=list)
    study: JSON = field(default_factory=dict)
    collected_at: str = ""
    schema_version: int = SCHEMA_VERSION
    run: Conditions | None = None

    def of_run(self, run: Conditions) -> Provenance:
        """The same, with one trial's part."""
        return replace(self, run=run)

    @property
    def sha256(self) -> str:
        """What trials refer to it by. Does not depend on the time: the same state has the same name."""
        return sha256_of({key: value for key, value in self.to_json().items() if key != "collected_at"})

    def to_json(self) -> JSON:
        """Plain JSON, without the patch and the trial's part; `from_json` reads it back."""
        data = asdict(replace(self, run=None))
        del data["run"], data["code"]["patch"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote, in this version or an older one.

        Raises:
            StudyError: A newer idealfit wrote it, or it is no provenance.
        """
        version = data.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise StudyError(
                f"The provenance has schema version {version!r}, this idealfit reads up to {SCHEMA_VERSION}. "
                "Upgrade idealfit to read it."
            )
        try:
            parts = {"code": Code(**_known(Code, data["code"])), "machine": Machine(**_known(Machine, data["machine"]))}
            return cls(**_known(cls, data) | parts)
        except (KeyError, TypeError, AttributeError) as error:
            raise StudyError(f"This is no provenance: {error!r}.") from error


def files_of(identity: Any) -> JSON:
    """The files that a data source's identity lists, wherever in it: name -> [bytes, time]."""
    if isinstance(identity, Mapping):
        identity = list(identity.values())
    if not isinstance(identity, list | tuple):
        return {}
    match identity:
        case [str(name), int(size), int(time)]:
            return {name: [size, time]}
    return {name: entry for part in identity for name, entry in files_of(part).items()}


def _known(cls: Any, data: Mapping[str, Any]) -> JSON:
    names = {f.name for f in fields(cls)} - {"run", "patch"}
    return {key: value for key, value in data.items() if key in names}
