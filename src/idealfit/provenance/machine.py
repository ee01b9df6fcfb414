"""What the machine is, without importing torch: processor, GPUs, driver, and the variables that change results."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from idealfit.provenance.document import Machine

# Each of these changes which instructions a math library picks, and so the last bits.
CPU_FEATURES = ("fma", "avx", "avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")

VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OMP_DYNAMIC",
    "KMP_AFFINITY",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "OPENBLAS_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_CUDNN_V8_API_DISABLED",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTHONHASHSEED",
)

NVIDIA = Path("/proc/driver/nvidia")


def machine() -> Machine:
    """Describe this machine."""
    cpu, features = processor()
    gpus, driver = _gpus()
    return Machine(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        os=_os(),
        architecture=platform.machine(),
        cpu=cpu,
        cpu_features=features,
        num_cores=_num_cores(),
        gpus=gpus,
        gpu_driver=driver,
    )


def environment() -> dict[str, str]:
    """The variables of `VARIABLES` that are set: a fixed list, so that no secret is ever among them."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def _os() -> str:
    if platform.system() == "Linux":
        try:
            return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"
        except (OSError, KeyError):
            pass
    return f"{platform.system()} {platform.release()}"


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor(described: Path = Path("/proc/cpuinfo")) -> tuple[str, list[str]]:
    """Its name, and those of `CPU_FEATURES` that it has, where the kernel describes it."""
    if platform.system() == "Darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.machine(), []
    try:
        text = described.read_text(errors="replace").split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine(), []
    entries = dict(re.findall(r"^(.+?)\s*:\s*(.*)$", text, flags=re.MULTILINE))
    name = entries.get("model name") or f"{platform.machine()} part {entries.get('CPU part', 'unknown')}"
    flags = (entries.get("flags") or entries.get("Features") or "").split()
    return name, [feature for feature in CPU_FEATURES if feature in flags]


def _gpus() -> tuple[list[str], str | None]:
    # The driver's own files answer at once; nvidia-smi wakes every sleeping GPU, which takes seconds.
    infos = sorted(NVIDIA.glob("gpus/*/information"))
    if infos and (NVIDIA / "version").exists():
        names = [re.search(r"^Model:\s*(.+)$", info.read_text(errors="replace"), re.MULTILINE) for info in infos]
        driver = re.search(r"Kernel Module\D*([\d.]+)", (NVIDIA / "version").read_text(errors="replace"))
        return [name[1].strip() for name in names if name], driver[1] if driver else None
    lines = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()
    pairs = [line.rpartition(",") for line in lines if "," in line]
    return [name.strip() for name, _, _ in pairs], pairs[0][2].strip() if pairs else None


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
