"""Starting and ending processes of our own, and what /proc says of them."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .context import BenchFailed

PR_SET_PDEATHSIG = 1
TICKS = os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None)


def find(program: str, package: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        raise BenchFailed(f"{program} is missing: apt-get install {package}")
    return path


def start(command: list[str], log: Path, **options) -> subprocess.Popen:
    """In a session of its own, so that ^C reaches only us; the kernel ends it when we end."""
    with open(log, "ab") as output:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                start_new_session=True, preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
                                **options)


def stop(process: subprocess.Popen, patience_s: float = 40) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(ready, process: subprocess.Popen, log: Path, patience_s: float = 180) -> None:
    """Asks `ready` again and again; what it raises as OSError is a no."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchFailed(f"{process.args[0]} has ended: {log.read_text(errors='replace')[-2000:]}")
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise BenchFailed(f"{process.args[0]} is not ready after {patience_s} s: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def sockets(pid: int) -> int:
    """How many the process has open."""
    count = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(entry.path).startswith("socket:")
        except OSError:
            continue
    return count


def tree(pid: int) -> list[int]:
    """The process and all that come from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
            except OSError:
                continue
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pid: int, with_children: bool = True) -> float:
    """Of the process, or of it and its descendants, those that have ended included."""
    total = 0
    for each in tree(pid) if with_children else [pid]:
        try:
            times = _stat(each)[11:15]
        except OSError:
            continue
        total += sum(int(value) for value in (times if with_children else times[:2]))
    return total / TICKS


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def state(pid: int) -> str:
    """R: it computes; S: it waits; others as in proc(5)."""
    return _stat(pid)[0]


def status_kib(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise BenchFailed(f"/proc/{pid}/status has no {key}")


def reset_peak(pid: int) -> None:
    """Makes VmHWM, the peak of VmRSS, start anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def memory_parts_kib(pid: int) -> dict[str, int]:
    """smaps_rollup in four numbers."""
    values = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value = line.split(":")
        values[key] = int(value.split()[0])
    return {"rss": values["Rss"], "pss": values["Pss"],
            "private": values["Private_Clean"] + values["Private_Dirty"],
            "shared": values["Shared_Clean"] + values["Shared_Dirty"],
            "huge": values.get("AnonHugePages", 0)}
