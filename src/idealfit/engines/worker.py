"""What happens in a worker: a process forked for one attempt of one trial."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import socket
import sys
import threading
from io import BufferedReader
from pathlib import Path
from typing import Any

from idealfit.engines.failures import crashed
from idealfit.spec import JSON, StopSignal, TrialResult, TrialSpec, Work, attempt_log_path

STOP = b"stop\n"
DUMP_SIGNAL = signal.SIGUSR1
"""Makes a worker write to its log where each of its threads is; a hung one gets it before it is killed."""

RANK = "LOCAL_RANK"
"""Set where several processes train one trial together: which of them this is."""


def rank_of_process() -> int:
    """Which rank of its trial this process is; 0 where it is the only one."""
    return int(os.environ.get(RANK, 0))


def name_of(work: Work) -> str:
    """`module:function`, by which a worker imports `work`.

    Raises:
        TypeError: It is no function of an importable module.
    """
    name = f"{work.__module__}:{work.__qualname__}"
    if work.__module__ == "__main__" or "<" in name:
        raise TypeError(
            f"{name} cannot be imported by a worker: define it at the top level of a module, not of a script."
        )
    return name


class NamedWork:
    """Work that is known by its name alone, for a process that hands it on without importing it."""

    def __init__(self, name: str) -> None:
        self.__module__, _, self.__qualname__ = name.partition(":")

    def __call__(self, spec: TrialSpec, stop: StopSignal) -> TrialResult:
        """Import and do it."""
        work: Work = resolve(name_of(self))
        return work(spec, stop)


def request_of(work: Work, spec: TrialSpec, env: dict[str, str]) -> bytes:
    """What the controller sends first: one line of JSON."""
    return json.dumps({"work": name_of(work), "spec": spec.to_json(), "env": env}).encode() + b"\n"


def run(connection: socket.socket) -> None:
    """Read a request, do the work, answer with a result: one line of JSON each way. `STOP` may come in between."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's business
    incoming = connection.makefile("rb")
    line = incoming.readline()
    if not line.endswith(b"\n"):
        return  # the controller died
    request: JSON = json.loads(line)
    if "group" in request:
        from idealfit.engines import group_worker  # it imports this module

        group_worker.run(connection, incoming, request)
        return
    spec = TrialSpec.from_json(request["spec"])
    ranks = None
    if spec.num_ranks > 1 and "dump_fd" not in request:
        from idealfit.engines.ranks import Ranks

        ranks = Ranks(spec.num_ranks, run, inherited=[connection, incoming])
    stop = threading.Event()
    threading.Thread(target=_listen, args=(incoming, stop), name="idealfit-controller", daemon=True).start()
    try:
        redirect_output(attempt_log_path(spec.record_dir, spec.attempt), request.get("dump_fd"))
        if ranks:
            signal.signal(DUMP_SIGNAL, lambda *_: ranks.dump())
            result = ranks.run(request, spec, stop)
        else:
            os.environ.update(request["env"])
            make_importable(spec)
            result = resolve(request["work"])(spec, stop)
    except BaseException as error:  # noqa: BLE001 - an engine turns whatever work raises into a result
        result = crashed(spec, error)
    answer = _encode(result)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    connection.sendall(answer)


def make_importable(spec: TrialSpec) -> None:
    """Let the user's own modules in the working directory be imported.

    Before all others where the user trusts some of them, as Python itself would do. Else after them: then the folder
    may be a stranger's, where a file `sklearn.py` must not stand for the library.
    """
    path = os.path.abspath(spec.working_dir)  # noqa: PTH100 - resolve() would follow links away from what was typed
    if path not in sys.path:
        sys.path.insert(0 if spec.trusted_packages else len(sys.path), path)


def _listen(incoming: BufferedReader[Any], stop: threading.Event) -> None:
    for message in incoming:
        if message == STOP:
            stop.set()
    os.killpg(0, signal.SIGKILL)  # no controller any more: nobody would hear the result


def redirect_output(path: Path, dump_fd: int | None = None) -> None:
    """Send what this process says to `path` from now on; where it is when `DUMP_SIGNAL` asks, to `dump_fd` if given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):  # the same objects: handlers of preloaded libraries hold them
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable()
    faulthandler.register(DUMP_SIGNAL, file=sys.stderr if dump_fd is None else dump_fd, all_threads=True)


def resolve(name: str) -> Any:
    """What `name_of` named."""
    module, _, qualname = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def _encode(result: TrialResult) -> bytes:
    return json.dumps(result.to_json()).encode() + b"\n"
