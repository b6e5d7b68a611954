"""What the driver says of a GPU (NVML): name, clocks, power and temperature at a moment. Nothing is ever set."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

LIBRARIES = ("libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
THROTTLING = {  # bits of nvmlDeviceGetCurrentClocksEventReasons that make a figure doubtful
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal, software",
    0x40: "thermal, hardware",
    0x80: "power brake",
}


class Nvml:
    """The driver's management library, by ctypes. Raises OSError where it can't be used."""

    def __init__(self, ordinal: int):
        for name in LIBRARIES:
            try:
                self._library = ctypes.CDLL(name)
                break
            except OSError as error:
                reason = error
        else:
            raise OSError(f"no NVML: {reason}")
        self._call("nvmlInit_v2")
        self._device = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(ordinal), ctypes.byref(self._device))

    def _call(self, function: str, *arguments) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            raise OSError(f"{function}: NVML status {status}")

    def _text(self, function: str, *first) -> str:
        buffer = ctypes.create_string_buffer(96)
        self._call(function, *first, buffer, ctypes.c_uint(96))
        return buffer.value.decode(errors="replace")

    def _number(self, function: str, *middle, kind=ctypes.c_uint):
        """None where this GPU does not tell."""
        value = kind()
        try:
            self._call(function, self._device, *middle, ctypes.byref(value))
        except (OSError, AttributeError):
            return None
        return value.value

    def identity(self) -> dict:
        memory = (ctypes.c_ulonglong * 3)()
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvmlDeviceGetMemoryInfo", self._device, memory)
        self._call("nvmlDeviceGetCudaComputeCapability", self._device, ctypes.byref(major), ctypes.byref(minor))
        limit = self._number("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "name": self._text("nvmlDeviceGetName", self._device),
            "driver": self._text("nvmlSystemGetDriverVersion"),
            "memory_mib": memory[0] >> 20,
            "compute_capability": f"{major.value}.{minor.value}",
            "power_limit_w": limit / 1000 if limit else None,
            "max_sm_mhz": self._number("nvmlDeviceGetMaxClockInfo", ctypes.c_int(1)),
            "max_memory_mhz": self._number("nvmlDeviceGetMaxClockInfo", ctypes.c_int(2)),
        }

    def state(self) -> dict:
        power = self._number("nvmlDeviceGetPowerUsage")
        reasons = self._number("nvmlDeviceGetCurrentClocksThrottleReasons", kind=ctypes.c_ulonglong) or 0
        return {
            "sm_mhz": self._number("nvmlDeviceGetClockInfo", ctypes.c_int(1)),
            "memory_mhz": self._number("nvmlDeviceGetClockInfo", ctypes.c_int(2)),
            "power_w": power / 1000 if power is not None else None,
            "temperature_c": self._number("nvmlDeviceGetTemperature", ctypes.c_int(0)),
            "throttled": [name for bit, name in THROTTLING.items() if reasons & bit],
        }


class NvidiaSmi:
    """The same from nvidia-smi, where the library can't be used."""

    def __init__(self, ordinal: int):
        self._ordinal = ordinal
        self._program = shutil.which("nvidia-smi")
        if not self._program:
            raise OSError("no nvidia-smi")
        self.identity()

    def _ask(self, *fields: str) -> list[str]:
        command = [
            self._program,
            "-i",
            str(self._ordinal),
            "--query-gpu=" + ",".join(fields),
            "--format=csv,noheader,nounits",
        ]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        except subprocess.SubprocessError as error:
            raise OSError(f"nvidia-smi: {error}") from error
        return [part.strip() for part in asked.stdout.strip().splitlines()[0].split(",")]

    def identity(self) -> dict:
        name, driver, memory, capability, limit, sm, dram = self._ask(
            "name", "driver_version", "memory.total", "compute_cap", "power.limit", "clocks.max.sm", "clocks.max.memory"
        )
        return {
            "name": name,
            "driver": driver,
            "memory_mib": number(memory),
            "compute_capability": capability,
            "power_limit_w": number(limit),
            "max_sm_mhz": number(sm),
            "max_memory_mhz": number(dram),
        }

    def state(self) -> dict:
        sm, dram, power, temperature = self._ask("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")
        return {
            "sm_mhz": number(sm),
            "memory_mhz": number(dram),
            "power_w": number(power),
            "temperature_c": number(temperature),
            "throttled": [],
        }


def number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value == int(value) else value


def find_device(ordinal: int) -> tuple[Nvml | NvidiaSmi | None, str]:
    """What answers for the GPU, or the reason why nothing does."""
    reasons = []
    for source in (Nvml, NvidiaSmi):
        try:
            return source(ordinal), ""
        except (OSError, AttributeError) as error:
            reasons.append(str(error))
    return None, "; ".join(reasons)
