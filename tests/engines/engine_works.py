"""What the tests let engines execute. Workers import this module by name, from the working directory of their spec."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from idealfit.spec import StopSignal, TrialResult, TrialSpec, TrialState

if TYPE_CHECKING:
    from idealfit.engines.group_worker import Group

LONG_S = 300  # for what takes a moment: the machine may be busy

ran_before = False
_lock = threading.Lock()


def _complete(spec: TrialSpec, **facts: object) -> TrialResult:
    return TrialResult(state=TrialState.COMPLETE, value=float(spec.number), facts=dict(facts), attempt=spec.attempt)


def echo(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    return _complete(spec, config=spec.config, num_threads=spec.num_threads, device_indices=spec.device_indices)


def tell_storage(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    return replace(_complete(spec), message=spec.storage.rpartition("@")[2])


def talk(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    print("said on stdout: é")
    print("said on stderr", file=sys.stderr)
    return _complete(spec)


def fail(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    raise ValueError("a bug in a net")


def leave(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    sys.exit(0)


def quit_at_once(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    print("last words", flush=True)
    os._exit(3)


def die_by_signal(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    print("last words", flush=True)
    os.kill(os.getpid(), getattr(signal, spec.config["signal"]))
    time.sleep(60)
    return _complete(spec)


def touch_null(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    ctypes.string_at(0)
    return _complete(spec)


def until_stopped(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    (Path(spec.record_dir) / "started").touch()
    while not stop.is_set():
        time.sleep(0.01)
    return TrialResult(state=TrialState.INTERRUPTED, message="stopped politely", attempt=spec.attempt)


def count_up(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Counts as far as told, from where it was stopped; begins as often as told; each start leaves its process id."""
    path = Path(spec.record_dir) / "count"
    count = int(path.read_text()) if path.exists() else 0
    with (path.parent / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    num_starts = len((path.parent / "starts").read_text().split())
    while count < spec.config["until"] or num_starts < spec.config.get("starts", 1):
        if stop.is_set():
            return TrialResult(state=TrialState.INTERRUPTED, attempt=spec.attempt, num_epochs=count)
        time.sleep(0.02)
        count += 1
        path.with_suffix(".new").write_text(str(count))
        path.with_suffix(".new").rename(path)
    return _complete(spec, count=count)


def deaf(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Neither hears `stop` nor, the interpreter lock being held, lets another thread hear it."""
    write_pids(spec)
    while True:
        ctypes.PyDLL(None).sleep(600)


def with_helper(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Leaves a process of its own behind, as loaders do."""
    helper = subprocess.Popen(["sleep", "600"])
    write_pids(spec, helper.pid)
    if spec.config.get("wait"):
        time.sleep(600)
    helper.returncode = 0  # nobody waits for it
    return _complete(spec)


def as_rank(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Each rank of an attempt leaves a file that says which one it is, in which process."""
    path = Path(spec.record_dir) / f"rank{os.environ['RANK']}of{os.environ['WORLD_SIZE']}"
    path.write_text(str(os.getpid()))
    return _complete(spec, rank=os.environ["LOCAL_RANK"])


def num_open_files() -> int:
    """Of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def write_pids(spec: TrialSpec, *others: int) -> None:
    path = Path(spec.record_dir) / "pids"
    path.with_suffix(".new").write_text(" ".join(map(str, (os.getpid(), os.getppid(), *others))))
    path.with_suffix(".new").rename(path)


def count_at_once(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """How many of its kind run now, itself included, as files in a folder that all share."""
    mine = Path(spec.config["folder"]) / f"{spec.number}.running"
    mine.touch()
    time.sleep(0.05)
    num_running = len(list(mine.parent.glob("*.running")))
    mine.unlink()
    return _complete(spec, num_running=num_running)


def meet(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Waits for others of its kind, which must run at the same time."""
    folder = Path(spec.config["folder"])
    (folder / f"{spec.number}.here").touch()
    while len(list(folder.glob("*.here"))) < spec.config["num"]:
        time.sleep(0.01)
    return _complete(spec)


def is_fresh(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    global ran_before
    with _lock:
        fresh, ran_before = not ran_before, True
    return _complete(spec, fresh=fresh)


def look_around(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    main = sys.modules["__main__"]
    return _complete(
        spec,
        pid=os.getpid(),
        env=dict(os.environ),
        modules=sorted(sys.modules),
        main_file=getattr(main, "__file__", None),
        num_threads=next(
            int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "Threads" in line
        ),
        num_fds=num_open_files(),
        cuda_started="torch" in sys.modules and sys.modules["torch"].cuda.is_initialized(),
    )


def look_around_slowly(spec: TrialSpec, stop: StopSignal) -> TrialResult:
    """Takes so long that two of them run at once."""
    time.sleep(spec.config["seconds"])
    return look_around(spec, stop)


def wait_for(path: Path, seconds: float = LONG_S) -> Path:
    """Wait until a work has made `path`."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)
    return path


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def assert_gone(pids: list[int], seconds: float = LONG_S) -> None:
    """Wait until no process of `pids` is left."""
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < deadline, f"processes {alive} live on"
        time.sleep(0.01)


def pids_of(spec: TrialSpec) -> list[int]:
    """What `write_pids` wrote: the worker, its server, and what it started."""
    return [int(pid) for pid in wait_for(Path(spec.record_dir) / "pids").read_text().split()]


def in_threads(group: Group) -> None:
    """A group's work: what each of its trials would do alone, each in a thread."""
    from idealfit.engines.failures import crashed
    from idealfit.engines.worker import resolve

    def do(guest: Any) -> None:
        try:
            result = resolve(group.work)(guest.spec, guest.stop)
        except BaseException as error:  # noqa: BLE001 - as a worker does
            result = crashed(guest.spec, error)
        group.tell(guest, result)

    threads: list[threading.Thread] = []
    while (guests := group.take(group.max_trials)) or any(thread.is_alive() for thread in threads):
        for guest in guests:
            threads.append(threading.Thread(target=do, args=(guest,), daemon=True))
            threads[-1].start()
        time.sleep(0.01)


def fail_as_a_group(group: Group) -> None:
    raise ValueError("a bug in a group")


def refuse_all(group: Group) -> None:
    for guest in group.take(group.max_trials):
        group.refuse(guest, "the layer GRU")


def die_as_a_group(group: Group) -> None:
    group.take(group.max_trials)
    os.kill(os.getpid(), signal.SIGKILL)


def tell_size(group: Group) -> None:
    """Each trial's result says with how many others it was taken."""
    guests = group.take(group.max_trials)
    for guest in guests:
        group.tell(guest, _complete(guest.spec, size=len(guests), pid=os.getpid()))


def one_at_a_time(group: Group) -> None:
    """As `tell_size`, in a worker whose memory holds a single trial."""
    group.limit(1)
    for guest in group.take(1):
        group.tell(guest, _complete(guest.spec, size=1, pid=os.getpid()))
