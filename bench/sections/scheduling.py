"""Short contents while long ones are being scanned."""

from harness import inputs, load
from harness.context import Context
from harness.report import Section, Table
from harness.servers import Lazaret

TEXT = {"body_size": 4096, "salt": True, "poisson": True, "connections": 200}


def row(name: str, result: dict, beside: str) -> list[str]:
    latency = result["latency_ms"]
    return [name, f"{result['rate']:.1f}", *(f"{latency[key]:.1f}" for key in ("p50", "p99", "max")), beside]


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
        rows.append(row("alone", texts(1), ""))

        context.progress.step("scheduling: texts beside large files")
        others = load.begin(context, server.url, corpus=large, salt=True, connections=8, duration=seconds + 4, timeout=300, seed=77)
        mixed = texts(2)
        long_ones = load.end(others)
        rows.append(row("beside large files, all slots taken", mixed, f"{long_ones['sent_mb_s']:.1f} MB/s of large files"))

        context.progress.step("scheduling: texts beside costly small files")
        others = load.begin(context, server.url, corpus=costly, salt=True, connections=8, duration=seconds + 4, timeout=300, seed=78)
        mixed = texts(5)
        small_ones = load.end(others)
        rows.append(row("beside files below 1 MiB that take long", mixed, f"{small_ones['rate']:.1f} of them a second"))

        context.progress.step("scheduling: texts beside a huge archive")
        others = load.begin(context, server.url, corpus=archive, passes=1, connections=1, timeout=600)
        beside = texts(3)
        # What is left of the archive does not matter.
        others.terminate()
        others.communicate()
        rows.append(row(f"beside an archive of {about['bytes'] / 1e9:.1f} GB", beside, "uploading, then scanning"))

        context.progress.step("scheduling: texts beside as many huge archives as cores")
        others = load.begin(context, server.url, corpus=archive, salt=True, requests=context.cores, connections=context.cores, timeout=600)
        beside = texts(4)
        others.terminate()
        others.communicate()
        rows.append(row(f"beside {context.cores} such archives", beside, "uploading, then scanning"))
    return Section("Scheduling", [Table(f"New 4 KiB texts, {rate} a second at random times",
                                        ["", "answered/s", "p50 ms", "p99 ms", "max ms", "beside"], rows,
                                        "Latency from the intended beginning. An archive that is still being scanned at the end is given up.")])
