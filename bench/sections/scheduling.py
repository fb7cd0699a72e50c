"""Short contents while long ones are being scanned."""

import subprocess
import time
from collections.abc import Callable

from harness import inputs, load
from harness.context import BenchFailed, Context
from harness.report import Section, Table
from harness.servers import Lazaret
from harness.watch import Watch

TEXT = {"body_size": 4096, "salt": True, "poisson": True, "connections": 200}


def row(name: str, result: dict, busy: str, beside: str) -> list[str]:
    latency = result["latency_ms"]
    return [name, f"{result['rate']:.1f}", *(f"{latency[key]:.1f}" for key in ("p50", "p99", "max")), str(result["missed"]), busy, beside]


def running(server: Lazaret) -> float:
    return server.metric('lazaret_scanners{state="busy"}')


def wait_for(server: Lazaret, others: subprocess.Popen | None, reached: Callable[[float], bool], patience_s: float) -> bool:
    """Until the number of running scans is one that is wanted; False when it is not in time, or when `others` have ended."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if others is not None and others.poll() is not None:
            return False
        if reached(running(server)):
            return True
        time.sleep(0.05)
    return False


def beside(server: Lazaret, others: subprocess.Popen, scans: int, texts: Callable[[], dict]) -> tuple[dict, str]:
    """The texts, sent while `others` have so many scans running, before the first of them and still after the last; and how many
    ran on average."""
    # Uploads come first.
    if not wait_for(server, others, lambda count: count >= scans, 180):
        raise BenchFailed(f"{scans} scans beside the texts did not begin")
    with Watch(lambda: running(server), 0.1) as looks:
        result = texts()
    # One that gave way to the texts begins again.
    if not wait_for(server, others, lambda count: count >= scans, 10):
        raise BenchFailed(f"at the end of the texts {running(server):.0f} of {scans} scans ran beside them")
    return result, f"{looks.mean:.1f}"


def give_up(server: Lazaret, others: subprocess.Popen) -> None:
    """What is left of `others` does not matter."""
    others.terminate()
    others.communicate()
    if not wait_for(server, None, lambda count: count == 0, 150):
        raise BenchFailed("scans that nobody waits for go on")


def run(context: Context) -> Section:
    signatures = inputs.signatures(context)
    large, _ = inputs.corpus(context, "large")
    costly, _ = inputs.corpus(context, "costly")
    archive, about = inputs.corpus(context, "archive", context.pick(1.0, 0.1))
    seconds, rate = context.pick(40, 8), context.pick(20, 10)
    rows = []
    with Lazaret(context, signatures, {"engine.scanners": context.cores, "cache.max_age": "1s"}) as server:
        def texts(seed: int, duration: float = seconds) -> dict:
            return load.run(context, server.url, rate=rate, duration=duration, seed=seed, expect="clean", **TEXT)

        context.progress.step("scheduling: texts alone")
        rows.append(row("alone", texts(1), "", ""))

        context.progress.step("scheduling: texts beside large files")
        others = load.begin(context, server.url, corpus=large, salt=True, connections=8, duration=seconds + 10, timeout=300, seed=77)
        mixed, busy = beside(server, others, context.cores, lambda: texts(2))
        long_ones = load.end(others)
        rows.append(row("beside large files, all slots taken", mixed, busy, f"{long_ones['sent_mb_s']:.1f} MB/s of large files"))

        context.progress.step("scheduling: texts beside costly small files")
        others = load.begin(context, server.url, corpus=costly, salt=True, connections=8, duration=seconds + 10, timeout=300, seed=78)
        mixed, busy = beside(server, others, context.cores, lambda: texts(5))
        small_ones = load.end(others)
        rows.append(row("beside files below 1 MiB that take long", mixed, busy, f"{small_ones['rate']:.1f} of them a second"))

        context.progress.step("scheduling: texts beside a huge archive")
        others = load.begin(context, server.url, corpus=archive, passes=1, connections=1, timeout=600)
        mixed, busy = beside(server, others, 1, lambda: texts(3))
        give_up(server, others)
        rows.append(row(f"beside an archive of {about['bytes'] / 1e9:.1f} GB", mixed, busy, "being scanned all the time"))

        context.progress.step("scheduling: texts beside as many huge archives as cores")
        others = load.begin(context, server.url, corpus=archive, salt=True, requests=context.cores, connections=context.cores, timeout=600)
        gave_way = server.metric("lazaret_scans_given_way_total")
        mixed, busy = beside(server, others, context.cores, lambda: texts(4))
        gave_way = server.metric("lazaret_scans_given_way_total") - gave_way
        give_up(server, others)
        rows.append(row(f"beside {context.cores} such archives", mixed, busy, f"being scanned; one gave way {gave_way:.0f} times"))
    return Section("Scheduling", [Table(f"New 4 KiB texts, {rate} a second at random times",
                                        ["", "answered/s", "p50 ms", "p99 ms", "max ms", "missed", "scans running", "beside"], rows,
                                        "Latency from the intended beginning. The texts begin when the scans beside them run, and those still run after the last text; an archive is given up then. "
                                        "Scans running: the mean of looks at the server's own number, ten a second, texts included.")])
