"""Ray as a cluster of seats, which are actors. What is lost is lost for Ray: our own rules say what is tried again."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from idealfit._version import __version__
from idealfit.engines.luggage import Change, Luggage, unpack
from idealfit.engines.ray_host import HostOptions, RayHost
from idealfit.engines.seats import Loss
from idealfit.spec import JSON, FailureKind

FOLDER = "ray"


class RayCluster:
    """The actors of one session.

    Args:
        folder: The study's, in which a token is laid down: machines that read it share the folder.
        needs: What each actor holds: `CPU`, `GPU` and resources of the cluster's own.
        is_ours: Whether the connection to Ray ends with the session.
        ships_code: Whether Ray copies the working directory.
    """

    def __init__(
        self,
        folder: Path,
        needs: Mapping[str, float],
        *,
        is_ours: bool,
        ships_code: bool,
        stop_grace_s: float,
        preload: Sequence[str],
    ) -> None:
        import ray

        self._is_ours = is_ours
        self._folder = folder / FOLDER / secrets.token_hex(6)
        self._folder.mkdir(parents=True)
        token = self._folder / "token"
        token.write_text(self._folder.name)
        self._options = HostOptions(
            num_cpus=int(needs["CPU"]),
            num_gpus=needs["GPU"],
            stop_grace_s=stop_grace_s,
            preload=tuple(preload),
            ships_code=ships_code,
            token_path=str(token),
            token=self._folder.name,
        )
        own = {key: value for key, value in needs.items() if key not in ("CPU", "GPU")}
        self._actor_class: Any = ray.remote(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], resources=own, max_restarts=0, max_task_retries=0
        )(RayHost)
        self._seats: list[RaySeat] = []

    def open_seats(self, count: int) -> list[RaySeat]:
        """Make actors; Ray starts them as there is room."""
        seats = [RaySeat(self._actor_class.remote(self._options)) for _ in range(count)]
        self._seats += seats
        return seats

    def look(self) -> None:
        """Nothing: each seat is asked by itself."""

    def close(self) -> None:
        """End all actors, and the connection where it is ours."""
        import ray

        if ray.is_initialized():
            for seat in self._seats:
                seat.give_up()
            if self._is_ours:
                ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another session's may lie beside it
            self._folder.parent.rmdir()


class RaySeat:
    """An actor. One exchange with it is under way at any time."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._numbers = itertools.count()
        self._orders: list[tuple[int, JSON]] = []  # not known to have arrived
        self._sent: list[tuple[int, JSON]] = []
        self._files: list[Change] = []
        self._num_heard = 0
        self._exchange: Any = None
        self._record_dir = Path()
        self._hello: JSON | None = None
        self._loss: Loss | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has greeted."""
        return self._hello is not None

    def send(self, message: JSON) -> None:
        """Give an order, with the next exchange."""
        self._orders.append((next(self._numbers), message))
        if message["do"] == "run" and self._hello and not self._hello["is_shared"]:
            self._record_dir = Path(message["spec"]["record_dir"])
            self._files = Luggage(self._record_dir).changes()

    def events(self) -> list[JSON]:
        """What the actor said; files that came along are in the record by then."""
        import ray

        if self._loss:
            return []
        if self._exchange is None:
            self._sent = list(self._orders)
            self._exchange = self._actor.exchange.remote(self._sent, self._files, self._num_heard)
        if not ray.wait([self._exchange], timeout=0)[0]:
            return []
        exchange, self._exchange = self._exchange, None
        try:
            events = self._heard(ray.get(exchange))
        except ray.exceptions.ActorUnavailableError:  # it is asked once more, and knows what it has heard
            return []
        except ray.exceptions.RayError as error:
            self._loss = self._loss_by(error)
            return []
        self._orders = self._orders[len(self._sent) :]
        self._files = self._files if self._orders else []
        return events

    def loss(self) -> Loss | None:
        """Why the actor is gone."""
        return self._loss

    def facts(self) -> JSON:
        """The machine."""
        return {"ray_node": self._hello["host"] if self._hello else ""}

    def give_up(self) -> None:
        """Kill the actor; its attempt's process ends with it."""
        import ray

        ray.kill(self._actor, no_restart=True)

    def _heard(self, numbered: list[tuple[int, JSON]]) -> list[JSON]:
        """The events but for files, which are in the record by then."""
        events = []
        for number, event in numbered:
            if event["event"] == "files":
                unpack(event["changes"], self._record_dir)
            else:
                events.append(event)
            if event["event"] == "hello":
                self._greet(event)
            self._num_heard = number + 1
        return events

    def _greet(self, hello: JSON) -> None:
        self._hello = hello
        if hello["version"] != __version__:
            words = f"idealfit {hello['version']} is installed on {hello['host']}, {__version__} here."
            self._loss = Loss(FailureKind.INPUT, f"{words} Install the same there.")

    def _loss_by(self, error: Exception) -> Loss:
        import ray

        text = str(error).strip()
        if isinstance(error, ray.exceptions.OutOfMemoryError):
            return Loss(FailureKind.OOM, text)
        if isinstance(error, ray.exceptions.RuntimeEnvSetupError):
            return Loss(FailureKind.INPUT, f"engine.runtime_env can't be set up on a machine of the cluster: {text}")
        where = f" on {self._hello['host']}" if self._hello else ""
        if "node has died" in text or "node was terminated" in text or self._has_lost_its_node():
            return Loss(FailureKind.PREEMPTED, f"Ray lost the machine{where}: {text}")
        if self._hello is None and isinstance(error, ray.exceptions.ActorDiedError) and "__init__" in text:
            return Loss(FailureKind.INPUT, f"idealfit can't start on a machine of the cluster: {text}")
        return Loss(FailureKind.KILLED, f"Ray lost the process{where}: {text}")

    def _has_lost_its_node(self) -> bool:
        import ray

        nodes: Any = ray.nodes
        dead = {node["NodeID"] for node in nodes() if not node["Alive"]}
        return self._hello is not None and self._hello["node_id"] in dead
