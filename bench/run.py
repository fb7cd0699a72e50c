#!/usr/bin/env python3
"""Measures Lazaret beside what it is to be compared with, prints tables, and writes bench/RESULTS.md with plots.

Sections:
  cold        files nobody has sent before: Lazaret, clamdscan with the same signatures, libclamav alone; detections compared
  switches    what each measure of the scanner gains
  duplicates  the same contents again and again, caches on
  hits        known contents: Lazaret, nginx `return 200`, the same server without hashing; openssl speed
  submits     durable submits beside SQLite's bare commits
  redis       the Redis client, and hits through it, beside redis-benchmark
  scale_out   jobs through one Redis by 1 to 64 workers whose engine only waits
  signatures  twenty changes of the signatures under load: failed requests, latency, memory, delay
  memory      one large upload, ten thousand at once, memory by part
  scheduling  short contents while long ones are scanned
  recovery    scanners are killed: how soon the next scan begins
  growth      connections, size, length of the queue, known verdicts

Build first: cmake --preset release -DLAZARET_BENCHMARKS=ON && cmake --build --preset release
Packages:    scripts/install-dependencies.sh build test bench
"""

import argparse
import importlib
import resource
import sys
import time
import traceback
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))
from harness import machine, report  # noqa: E402
from harness.context import BenchFailed, Context  # noqa: E402

SECTIONS = ["cold", "switches", "duplicates", "hits", "submits", "redis", "scale_out", "signatures", "memory", "scheduling",
            "recovery", "growth"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="some sections, between commas (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter steps and fewer files: some minutes, to see that all of it works")
    parser.add_argument("--rounds", type=int, help="measurements of each that is compared (default 5; 2 with --quick)")
    parser.add_argument("--programs", type=Path, default=BENCH.parent / "build/release/bin", help="where the programs are (default build/release/bin)")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/lazaret-bench"),
                        help="signatures, corpora and data, some GB, kept for the next run; must be reachable for the user nobody")
    parser.add_argument("--results", type=Path, default=BENCH / "RESULTS.md", help="what to write (default bench/RESULTS.md)")
    arguments = parser.parse_args()
    arguments.sections = arguments.only.split(",") if arguments.only else SECTIONS
    if unknown := [name for name in arguments.sections if name not in SECTIONS]:
        parser.error(f"no such section: {', '.join(unknown)}")
    return arguments


def measure(context: Context, name: str) -> report.Section:
    """The section, or, whatever went wrong in it, one that says so: the others are measured all the same."""
    try:
        return importlib.import_module(f"sections.{name}").run(context)
    except BenchFailed as failure:
        return report.Section(name, failed=str(failure))
    except Exception as failure:
        context.progress.clear()
        traceback.print_exc()
        return report.Section(name, failed=f"{type(failure).__name__}: {failure}")


def show(section: report.Section) -> None:
    if section.failed:
        print(f"{section.title} FAILED: {section.failed}\n", file=sys.stderr)
        return
    print(f"== {section.title}\n")
    for table in section.tables:
        print(report.as_text(table), end="\n\n")
    for aim in section.aims:
        print(f"{report.in_words(aim):<12}{aim.what}: {aim.measured} (wanted {aim.wanted})")
    for note in section.notes:
        print(f"* {note}")
    print(flush=True)


def main() -> int:
    arguments = parse()
    # What is started here, servers and load generators, may open as many files as the machine allows.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    arguments.work.mkdir(parents=True, exist_ok=True)
    context = Context(BENCH.parent, arguments.programs.resolve(), arguments.work.resolve(), arguments.quick,
                      arguments.rounds or (2 if arguments.quick else 5))
    saved = arguments.results.resolve().parent / "figures"
    failed = []
    for name in arguments.sections:
        described, started = machine.describe(context.root), time.monotonic()
        section = measure(context, name)
        described["took"] = f"{time.monotonic() - started:.0f} s"
        context.progress.clear()
        show(section)
        if section.failed:
            failed.append(name)
        report.save(saved, name, section, described, context.quick)
        report.write(saved, SECTIONS, arguments.results)
    print(f"written: {arguments.results}" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
