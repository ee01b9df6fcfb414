"""What MNIST costs in memory: a worker that opens it and reads all of it, alone and beside a second one."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import data_root, median, store

NUM_ROUNDS = 3
UINT8_BYTES = 70_000 * 28 * 28

# Each worker reads every image of two epochs as batches, then says how its memory grew; the second waits for the first.
WORKER = """
import json, sys
from pathlib import Path
import torch
from idealfit.data import MNIST, open_source

def memory(field):
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(field + ":")))

torch.set_num_threads(1)
x = torch.randn(128, 1, 28, 28) * 2.0 + 1.0  # allocator and kernels warm, so that only data is counted
before = {field: memory(field) for field in ("Rss", "Pss", "Private_Dirty")}
data = open_source(MNIST(root=sys.argv[1]), batch_size=128, val_fraction=0.2, test_fraction=0.2, split_seed=0,
                   limit=None, cache_dir=sys.argv[2], augment=None, eval_batch_size=1024)
for epoch in range(2):
    for images, labels in data.train_batches(epoch):
        pass
    for part in ("train", "val"):
        for images, labels in data.eval_batches(part):
            pass
print(json.dumps({field: memory(field) - before[field] for field in before}), flush=True)
sys.stdin.readline()
"""


def grown(cache: str, num_workers: int) -> list[dict[str, int]]:
    """How the memory of `num_workers` workers that hold MNIST at the same time grew, in bytes."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(data_root() / "mnist"), cache],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(num_workers)
    ]
    answers = [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout]
    for worker in workers:
        worker.communicate("\n")
    return answers


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        grown(cache, 1)  # decode once
        alone = [grown(cache, 1)[0] for _ in range(NUM_ROUNDS)]
        beside = [grown(cache, 2)[1] for _ in range(NUM_ROUNDS)]
        cache_bytes = sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file())
    figures = {
        "uint8_bytes": UINT8_BYTES,
        "cache_bytes": cache_bytes,
        "resident_over_uint8": median([worker["Rss"] / UINT8_BYTES for worker in alone]),
        "private_over_uint8": median([worker["Private_Dirty"] / UINT8_BYTES for worker in alone]),
        "share_of_each_of_two_over_uint8": median([worker["Pss"] / UINT8_BYTES for worker in beside]),
    }
    print(json.dumps(figures, indent=2))
    print(f"stored in {store('memory', figures, repeats=NUM_ROUNDS)}")


if __name__ == "__main__":
    main()
