"""What a cluster is to an engine: it gives seats, places that run one attempt at a time, and takes them away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from idealfit.spec import JSON, FailureKind


@dataclass(frozen=True)
class Loss:
    """Why a seat is gone. `is_final`: by the wish of a person, so what it ran does not simply go on elsewhere."""

    failure: FailureKind
    message: str
    is_final: bool = False


class Seat(Protocol):
    """A place that runs one attempt at a time: a job, an actor. Used by the dispatcher's thread alone."""

    def send(self, message: JSON) -> None:
        """Give the host an order."""
        ...

    def events(self) -> list[JSON]:
        """What the host said since the last call; its first word is `hello`."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether the cluster says so; a job that waits in the queue again hears no order."""
        ...

    def loss(self) -> Loss | None:
        """Why it is gone, None while it is there or expected."""
        ...

    def facts(self) -> JSON:
        """Where this was, for results."""
        ...

    def give_up(self) -> None:
        """End it, whatever it does."""
        ...


class Cluster(Protocol):
    """Where seats come from."""

    def open_seats(self, count: int) -> Sequence[Seat]:
        """Ask for so many; they are ready once they say hello.

        Raises:
            UserError: The cluster refuses.
        """
        ...

    def look(self) -> None:
        """Find out what has become of the seats; called often."""
        ...

    def close(self) -> None:
        """End all seats and wait until they are gone."""
        ...
