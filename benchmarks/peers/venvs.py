"""Virtual environments of the peers: what they need beside what is installed here, made once in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "idealfit" / "peers"
NEEDS = {
    "current": ("optuna-integration[pytorch-lightning]==5.0.0", "ray[tune]"),
    "sweeper": ("hydra-optuna-sweeper==1.3.0",),  # brings the Optuna before 3 that it insists on
}


def python_of(name: str) -> str:
    """The interpreter of the environment `name`, made if need be.

    Raises:
        SystemExit: Something could not be installed.
    """
    folder = CACHE / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python, is_made = folder / "bin" / "python", folder / "made"
    if not is_made.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        parent = Path(sysconfig.get_path("purelib"))
        # What is here is seen there, behind what is installed there: no second torch.
        own = next(folder.glob("lib/python*/site-packages"))
        (own / "parent.pth").write_text(f"{parent}\n")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDS[name]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the environment {name} of the peers could not be made:\n{done.stderr}")
        is_made.touch()
    return str(python)
