"""Whether a store works, found out by a process of its own: importing MLflow and making a database take seconds."""

from __future__ import annotations

import json
import subprocess
import sys

from idealfit.spec import TrackingError
from idealfit.tracking.store import Store


def probe(uri: str, experiment: str) -> str | None:
    """Make sure that the store answers and has the experiment, while the caller does something else.

    Returns:
        The experiment's id; None where no other process could be asked.

    Raises:
        TrackingError: The store does not work.
    """
    # By standard input, for everyone may read a command line, and an address may hold a password.
    asked = json.dumps([uri, experiment])
    try:
        done = subprocess.run([sys.executable, "-m", __name__], input=asked, capture_output=True, text=True, check=True)
        answer: dict[str, str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    if "error" in answer:
        raise TrackingError(answer["error"])
    return answer["experiment_id"]


def answer_of(uri: str, experiment: str) -> dict[str, str]:
    """What the other process says."""
    store = Store(uri, experiment)
    try:
        store.connect()
        return {"experiment_id": store.experiment_id}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever asked
        return {"error": str(store.unusable(error))}


if __name__ == "__main__":
    print(json.dumps(answer_of(*json.load(sys.stdin))))
