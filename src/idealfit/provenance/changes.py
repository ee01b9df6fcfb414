"""What differs between then and now: the table that `reproduce` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from idealfit.provenance.document import Code, Conditions, Provenance

Status = Literal["same", "differs", "unknown"]
ABSENT = "-"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One row: a thing that a result depends on. `details` name what differs inside it."""

    item: str
    then: str
    now: str
    status: Status
    details: tuple[str, ...] = ()


def changes(then: Provenance, now: Provenance) -> list[Difference]:
    """Compare two states, most telling first. Trials' parts are compared where both have one."""
    rows = _run(then.run, now.run) if then.run and now.run else []
    return [
        *rows,
        _code(then, now),
        _idealfit(then, now),
        _packages(then, now),
        _plain("python", then.machine.python, now.machine.python),
        _plain("os", then.machine.os, now.machine.os),
        _cpu(then, now),
        _plain("gpu", _gpus(then), _gpus(now)),
        _environment(then, now),
    ]


def changes_of_run(then: Conditions, now: Conditions) -> list[Difference]:
    """The same for a run whose provenance was not kept: the rest is unknown."""
    rest = ("code", "idealfit", "packages", "python", "os", "cpu", "gpu", "environment")
    return [*_run(then, now), *(Difference(item=item, then=ABSENT, now=ABSENT, status="unknown") for item in rest)]


def _run(then: Conditions, now: Conditions) -> list[Difference]:
    return [
        _config(then, now),
        _data(then, now),
        _plain("split", _short(then.split_sha256), _short(now.split_sha256)),
        _plain("device", then.device, now.device),
        _plain("precision", then.precision, now.precision),
        _plain("threads", then.num_threads, now.num_threads),
        _plain("determinism", _switch(then.deterministic), _switch(now.deterministic)),
    ]


def _plain(item: str, then: object, now: object) -> Difference:
    status: Status = "unknown" if then is None or now is None else "same" if then == now else "differs"
    return Difference(item=item, then=_show(then), now=_show(now), status=status)


def _config(then: Conditions, now: Conditions) -> Difference:
    details = _entries(flattened(then.config), flattened(now.config))
    seeds = f"seed {_show(then.config.get('seed'))}", f"seed {_show(now.config.get('seed'))}"
    return Difference(
        item="config", then=seeds[0], now=seeds[1], status="differs" if details else "same", details=details
    )


def _data(then: Conditions, now: Conditions) -> Difference:
    row = _plain("data", _short(then.data_fingerprint), _short(now.data_fingerprint))
    if row.status == "same" or not then.data_files or not now.data_files:
        return row
    details = tuple(_files(then.data_files, now.data_files))
    if row.status == "unknown" and not details:
        return Difference(item="data", then=row.then, now=row.now, status="same")
    return Difference(item="data", then=row.then, now=row.now, status=row.status, details=details)


def _files(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Files added, removed and edited. Times count only where sizes don't tell: a copy has new times."""
    names = [f"{name} added" for name in sorted(now.keys() - then.keys())]
    names += [f"{name} removed" for name in sorted(then.keys() - now.keys())]
    edited = [name for name in sorted(then.keys() & now.keys()) if then[name] != now[name]]
    resized = [name for name in edited if _size(then[name]) != _size(now[name])]
    if resized or (names and len(edited) == len(then.keys() & now.keys())):
        edited = resized
    return names + [f"{name} edited" for name in edited]


def _size(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and value else value


def _code(then: Provenance, now: Provenance) -> Difference:
    old, new = then.code, now.code
    old_files, new_files = _listing(old, new), _listing(new, old)
    complete = old.complete and new.complete
    names = old_files.keys() | new_files.keys() if complete else old_files.keys() & new_files.keys()
    changed = sorted(path for path in names if old_files.get(path) != new_files.get(path))
    details = tuple(f"{path} {_fate(path, old_files, new_files)}" for path in changed)
    lost = old.left_out | new.left_out
    status: Status = "differs" if details else "same"
    same_commit = old.commit is not None and (old.commit, old.patch_sha256) == (new.commit, new.patch_sha256)
    if not details and (lost or not (complete or same_commit)):
        status = "unknown"
        details = tuple(f"{path} was not kept: {reason}" for path, reason in sorted(lost.items()))
    return Difference(item="code", then=old.title, now=new.title, status=status, details=details)


def _listing(code: Code, other: Code) -> dict[str, str]:
    """The code files, by paths that compare: without git they start at the working directory."""
    if other.state != "none" or not code.prefix:
        return code.files
    inside = f"{code.prefix}/"
    return {path.removeprefix(inside): blob for path, blob in code.files.items() if path.startswith(inside)}


def _fate(path: str, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    if path not in now:
        return "removed"
    return "edited" if path in then else "added"


def _idealfit(then: Provenance, now: Provenance) -> Difference:
    row = _plain("idealfit", then.idealfit, now.idealfit)
    if row.status == "same" and then.idealfit_sha256 != now.idealfit_sha256:
        names = f"{then.idealfit} ({then.idealfit_sha256[:8]})", f"{now.idealfit} ({now.idealfit_sha256[:8]})"
        return Difference(item="idealfit", then=names[0], now=names[1], status="differs", details=("its own source",))
    return row


def _packages(then: Provenance, now: Provenance) -> Difference:
    details = _entries(_versions(then), _versions(now))
    status: Status = "differs" if details else "same" if then.packages and now.packages else "unknown"
    counts = f"{len(then.packages)} installed", f"{len(now.packages)} installed"
    return Difference(item="packages", then=counts[0], now=counts[1], status=status, details=details)


def _versions(provenance: Provenance) -> dict[str, str]:
    origins = provenance.package_origins
    others = {name: version for name, version in provenance.packages.items() if name != "idealfit"}
    return {name: f"{version} {origins.get(name, '')}".strip() for name, version in others.items()}


def _cpu(then: Provenance, now: Provenance) -> Difference:
    old, new = then.machine, now.machine
    row = _plain("cpu", f"{old.cpu} x{old.num_cores}", f"{new.cpu} x{new.num_cores}")
    features = sorted(set(old.cpu_features) ^ set(new.cpu_features))
    if features:
        details = tuple(f"{name} {'removed' if name in old.cpu_features else 'added'}" for name in features)
        return Difference(item="cpu", then=row.then, now=row.now, status="differs", details=details)
    return row


def _gpus(provenance: Provenance) -> str:
    machine = provenance.machine
    return f"{', '.join(machine.gpus)} (driver {machine.gpu_driver or 'unknown'})" if machine.gpus else "none"


def _environment(then: Provenance, now: Provenance) -> Difference:
    details = _entries(then.environment, now.environment)
    counts = f"{len(then.environment)} set", f"{len(now.environment)} set"
    return Difference(
        item="environment", then=counts[0], now=counts[1], status="differs" if details else "same", details=details
    )


def _entries(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """`name: then -> now` for every name whose values differ."""
    missing = object()
    names = sorted(name for name in then.keys() | now.keys() if then.get(name, missing) != now.get(name, missing))
    return tuple(f"{name}: {_show(then.get(name))} -> {_show(now.get(name))}" for name in names)


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"depth": 3}}` as `{"model.depth": 3}`; empty mappings and lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _show(value: object) -> str:
    return ABSENT if value is None else str(value)


def _short(sha256: str | None) -> str | None:
    return sha256[:12] if sha256 else None


def _switch(value: bool | None) -> str | None:
    return None if value is None else "on" if value else "off"
