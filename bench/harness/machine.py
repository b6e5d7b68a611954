"""What this machine is, and what it can do at most."""

import json
import os
import platform
import subprocess

GEMM = """
import sys, time, numpy as np
n = 2048
a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
def numpy_gemm(): a @ b
candidates = [numpy_gemm]
try:
    import torch
    torch.set_num_threads(int(sys.argv[1]))
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    candidates.append(lambda: ta @ tb)
except ImportError:
    pass
best = 1e9
for gemm in candidates:
    for _ in range(6):
        begin = time.perf_counter(); gemm(); best = min(best, time.perf_counter() - begin)
print(2 * n ** 3 / best / 1e9)
"""


def cores():
    return len(os.sched_getaffinity(0))


def describe():
    model, flags = platform.processor() or platform.machine(), ""
    try:
        with open("/proc/cpuinfo") as file:
            entries = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        entries = {key.strip(): value.strip() for key, value in entries.items()}
        model, flags = entries.get("model name", model), entries.get("flags", entries.get("Features", ""))
    except OSError:
        pass
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16", "sve")
    return {
        "cpu": model,
        "cores": cores(),
        "instructions": [flag for flag in wanted if flag in flags.split()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def sgemm_gflops(python, threads):
    """The best FP32 matrix product that NumPy's or PyTorch's BLAS does here, 2048 cubed; None without NumPy."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    done = subprocess.run([python, "-c", GEMM, str(threads)], capture_output=True, text=True, env=environment)
    return float(done.stdout) if done.returncode == 0 else None


def memory_bandwidth(program, threads):
    done = subprocess.run([program, "machine", "--threads", str(threads)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
