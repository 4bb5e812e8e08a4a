"""Facts that a phone tells of itself: model, processor, fast cores, temperature."""

import re
from collections.abc import Mapping
from typing import Any

from benchmarks.android.device import Phone

_THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
"""Android's `PowerManager.THERMAL_STATUS_*`, from 0."""
_ABSENT_C = -50.0
"""Upper bound of absent sensors, which read -99.9 or the like."""


def read_phone(phone: Phone) -> dict[str, Any]:
    """Read a phone's model and versions.

    Returns:
        `name`, `model`, `soc`, `android` (its version), `sdk` and `abi`; None where it does not say.
    """
    properties = dict(re.findall(r"^\[(.+?)\]: \[(.*)\]\r?$", phone.read("getprop"), re.MULTILINE))
    # ro.soc.* came with Android 12; older phones name their board.
    soc = _joined(properties, "ro.soc.manufacturer", "ro.soc.model") or _joined(properties, "ro.board.platform")
    return {
        "name": phone.name,
        "model": _joined(properties, "ro.product.manufacturer", "ro.product.model"),
        "soc": soc,
        "android": properties.get("ro.build.version.release"),
        "sdk": properties.get("ro.build.version.sdk"),
        "abi": properties.get("ro.product.cpu.abi"),
    }


def find_fastest_cores(phone: Phone, *, count: int) -> list[int]:
    """Find the cores to run `count` threads on: the fastest kind, and the next slower ones until there are enough.

    Whole kinds, so that the system may still move a thread to a core that is free.

    Returns:
        Their numbers, ascending; empty where the phone does not tell or does not let them be chosen.
    """
    listed = phone.read("sh", "-c", "grep -H . /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq")
    frequencies = {int(core): int(kilohertz) for core, kilohertz in re.findall(r"/cpu(\d+)/.*?:(\d+)", listed)}
    chosen: list[int] = []
    for frequency in sorted(set(frequencies.values()), reverse=True):
        if len(chosen) < count:
            chosen += [core for core, own in frequencies.items() if own == frequency]
    if not chosen or phone.shell("taskset", core_mask(chosen), "true")[0] != 0:
        return []
    return sorted(chosen)


def core_mask(cores: list[int]) -> str:
    """Return the hexadecimal set of cores that `taskset` takes."""
    return f"{sum(1 << core for core in cores):x}"


def read_thermal_state(phone: Phone) -> dict[str, Any]:
    """Read how warm a phone is, and whether it slows down for it, by `dumpsys thermalservice` of Android 10 or later.

    Returns:
        `status`, one of none, light, moderate, severe, critical, emergency, shutdown, or None where it does not say;
        `celsius` by sensor, as read now: the service also lists values that it has cached.
    """
    dump = phone.read("dumpsys", "thermalservice")
    status = re.search(r"^\s*Thermal Status: (\d+)", dump, re.MULTILINE)
    now = dump.partition("Current temperatures from HAL:")[2].partition("Current cooling devices")[0]
    sensors = re.findall(r"Temperature\{mValue=(-?[\d.]+),.*?mName=([^,}]+)", now)
    celsius = {name: float(value) for value, name in sensors if float(value) > _ABSENT_C}
    number = int(status[1]) if status else -1
    known = 0 <= number < len(_THERMAL_STATUS)
    return {"status": _THERMAL_STATUS[number] if known else None, "celsius": celsius}


def _joined(properties: Mapping[str, str], *keys: str) -> str | None:
    return " ".join(value for key in keys if (value := properties.get(key, ""))) or None
