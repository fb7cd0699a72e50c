"""What the figures were measured on."""

import os
import platform
import subprocess
import time
from pathlib import Path


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def describe(root: Path) -> dict[str, str]:
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    # What is written from the figures is no change of what is measured.
    changed = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "--", ".",
                      *(f":!bench/{written}" for written in ("RESULTS.md", "figures", "plots")))
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": (_output("git", "-C", str(root), "rev-parse", "--short=12", "HEAD") or "?") + (" with changes" if changed else ""),
        "machine": f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "transparent huge pages": huge.read_text().strip() if huge.exists() else "none",
        "libclamav": _output("pkg-config", "--modversion", "libclamav") or "?",
    }
