"""A million small images: memory and time of the first start, which decodes, and of a second one.

Real drawings, each many times over: what is measured does not look at pixels.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import data_root, store

NUM_IMAGES = 1_000_000
NUM_STEPS = 200

WORKER = """
import json, resource, sys, time
import torch
from idealfit.data import QuickDraw, open_source

torch.set_num_threads(1)
start = time.perf_counter()
data = open_source(QuickDraw(root=sys.argv[1]), batch_size=128, val_fraction=0.2, test_fraction=0.1, split_seed=0,
                   limit=None, cache_dir=sys.argv[2], augment=None, eval_batch_size=1024)
opened_s = time.perf_counter() - start
batches = data.train_batches(0)
next(batches)
start = time.perf_counter()
for _ in range(int(sys.argv[3])):
    next(batches)
step_s = (time.perf_counter() - start) / int(sys.argv[3])
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"opened_s": opened_s, "batch_s": step_s, "peak_resident_bytes": peak}))
"""


def start(root: Path, cache: Path) -> dict[str, float]:
    """What a process says that opens the data and draws `NUM_STEPS` batches."""
    command = [sys.executable, "-c", WORKER, str(root), str(cache), str(NUM_STEPS)]
    answer: dict[str, float] = json.loads(subprocess.check_output(command))
    return answer


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "bitmaps")
        root.mkdir()
        files = sorted((data_root() / "quickdraw/numpy_bitmap").glob("*.npy"))
        for path in files:
            drawings = np.load(path)
            np.save(root / path.name, np.resize(drawings, (NUM_IMAGES // len(files), drawings.shape[1])))
        figures = {
            "first_start": start(root, Path(folder, "cache")),
            "second_start": start(root, Path(folder, "cache")),
        }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('million', {'num_images': NUM_IMAGES, **figures}, repeats=1)}")


if __name__ == "__main__":
    main()
