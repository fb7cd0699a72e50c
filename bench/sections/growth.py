"""How cost grows with connections, size, the length of the queue and the number of known verdicts."""

import sqlite3
import time
from pathlib import Path

from harness import inputs, load, processes
from harness.context import BenchFailed, Context
from harness.report import Plot, Section, Table
from harness.servers import Lazaret
from sections.memory import connections_possible

KIB, MIB = 1024, 1024 * 1024
NO_ENGINE = "no-signatures"


def by_connections(context: Context, section: Section) -> None:
    steps = context.pick([1, 3, 10, 30, 100, 300, 1000, 3000, 10_000], [1, 30, 1000])
    rows, rate, p50, p99 = [], [], [], []
    with Lazaret(context, None) as server:
        load.run(context, server.url, body_size=KIB, requests=1)
        for wanted in steps:
            connections = min(wanted, connections_possible())
            context.progress.step(f"growth: {connections} connections")
            result = load.run(context, server.url, body_size=KIB, connections=connections, duration=context.pick(6, 2) + connections / 5000,
                              warm_up=0.5 + connections / 5000, ramp=connections / 5000)
            latency = result["latency_ms"]
            rows.append([f"{connections:,}", f"{result['rate']:,.0f}", f"{latency['p50']:.2f}", f"{latency['p99']:.2f}", f"{latency['max']:.0f}",
                         f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}"])
            rate.append((connections, result["rate"]))
            p50.append((connections, latency["p50"]))
            p99.append((connections, latency["p99"]))
    section.tables.append(Table("Known 1 KiB contents over ever more connections (closed loop)",
                                ["connections", "requests/s", "p50 ms", "p99 ms", "max ms", "RSS, MiB"], rows))
    section.plots += [Plot("growth-connections-rate", "Known contents: rate against connections", "connections", "requests a second", {"requests/s": rate}, log_x=True),
                      Plot("growth-connections-latency", "Known contents: latency against connections", "connections", "latency, ms",
                           {"p50": p50, "p99": p99}, log_x=True, log_y=True)]


def by_size(context: Context, section: Section) -> None:
    sizes = [KIB * 4**step for step in range(context.pick(11, 8))]
    rows, cold, known, first = [], [], [], []
    # 1 GiB takes longer than engine.deadline allows by default on a slow machine.
    settings = {"engine.scanners": context.cores, "engine.deadline": "10m", "http.request_timeout": "15m"}
    with Lazaret(context, inputs.signatures(context), settings) as server:
        for size in sizes:
            context.progress.step(f"growth: contents of {size // KIB} KiB")
            count = max(1, min(20, 64 * MIB // size))
            new = load.run(context, server.url, body_size=size, salt=True, requests=count, timeout=900, expect="clean")["latency_ms"]["p50"]
            load.run(context, server.url, body_size=size, requests=1, timeout=600)
            count = max(3, min(200, 512 * MIB // size))
            again = load.run(context, server.url, body_size=size, requests=count)["latency_ms"]["p50"]
            digest = load.run(context, server.url, body_size=size, hash_first=True, requests=200)["latency_ms"]["p50"]
            rows.append([f"{size // KIB:,}", f"{new:.2f}", f"{again:.3f}", f"{digest:.3f}", f"{size / 1e6 / (new / 1000):.1f}", f"{size / 1e6 / (again / 1000):.0f}"])
            cold.append((size, new))
            known.append((size, again))
            first.append((size, digest))
    section.tables.append(Table("Texts of growing size, one connection, median ms", ["KiB", "new", "known", "known, digest first", "new, MB/s", "known, MB/s"], rows))
    section.plots.append(Plot("growth-size", "Latency against size, one connection", "bytes", "latency, ms",
                              {"new": cold, "known": known, "known, digest first": first}, log_x=True, log_y=True))


def by_queue(context: Context, section: Section) -> None:
    lengths = context.pick([0, 1000, 10_000, 100_000, 1_000_000], [0, 1000, 20_000])
    rows, submits, polls = [], [], []
    body = {"body_size": 256, "salt": True, "expect": "nothing", "expect_status": 202}
    with Lazaret(context, context.work / NO_ENGINE, {"jobs.max_waiting": 100_000_000}, wait_for="/healthz") as server:
        for seed, length in enumerate(lengths):
            context.progress.step(f"growth: a queue of {length}")
            waiting = round(server.metric("lazaret_jobs"))
            if waiting < length:
                load.run(context, server.url + "/v1/scans", connections=128, requests=length - waiting, seed=1000 + seed, **body)
            waiting = round(server.metric("lazaret_jobs"))
            result = load.run(context, server.url + "/v1/scans", connections=64, duration=context.pick(4, 1.5), seed=seed, **body)
            load.run(context, server.url + "/v1/scans", body_size=256, requests=1, expect="nothing", expect_status=202)
            poll = load.run(context, server.url + "/v1/scans/{id}", body_size=256, get=True, connections=16, duration=context.pick(3, 1), expect="nothing")
            rows.append([f"{waiting:,}", f"{result['rate']:,.0f}", f"{result['latency_ms']['p50']:.2f}", f"{result['latency_ms']['p99']:.2f}",
                         f"{poll['rate']:,.0f}", f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}"])
            submits.append((max(waiting, 1), result["rate"]))
            polls.append((max(waiting, 1), poll["rate"]))
        context.progress.step("growth: restart with the long queue")
        started = time.monotonic()
        server.restart()
        seconds = time.monotonic() - started
    section.tables.append(Table("Submits of 256 bytes and polls while so many jobs wait", ["waiting", "submits/s", "p50 ms", "p99 ms", "polls/s", "RSS, MiB"], rows,
                                f"64 connections; polls with 16. End and start with the whole queue: {seconds:.1f} s."))
    section.plots.append(Plot("growth-queue", "Submits and polls against the length of the queue", "jobs waiting", "a second",
                              {"submits": submits, "polls": polls}, log_x=True))


def fill_cache(database: Path, wanted: int) -> None:
    """Copies of one verdict under digests that nothing has, evenly spread; the rows differ from real ones in their checksum only."""
    connection = sqlite3.connect(database, isolation_level=None)
    have = connection.execute("SELECT count(*) FROM verdicts").fetchone()[0]
    row = connection.execute("SELECT * FROM verdicts LIMIT 1").fetchone()
    missing = wanted - have
    if missing > 0:
        step = (1 << 256) // missing
        offset = hash(wanted) % step
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.executemany(f"INSERT OR IGNORE INTO verdicts VALUES({','.join('?' * len(row))})",
                               (((number * step + offset).to_bytes(32, "big"), *row[1:]) for number in range(missing)))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def by_cache(context: Context, section: Section) -> None:
    counts = context.pick([0, 10_000, 100_000, 1_000_000, 10_000_000], [0, 100_000])
    rows, disk, memory, misses = [], [], [], []
    corpus, about = inputs.corpus(context, "duplicates")
    settings = {"cache.max_entries": 100_000_000, "engine.scanners": context.cores}
    with Lazaret(context, None, settings) as server:
        context.progress.step("growth: verdicts to look up")
        load.run(context, server.url, corpus=corpus, passes=1, connections=8)
        for count in counts:
            context.progress.step(f"growth: a cache of {count:,}")
            processes.stop(server.process)
            database = server.directory / "data" / "verdicts.db"
            if not database.exists():
                raise BenchFailed(f"there is no {database.name} in the data directory")
            fill_cache(database, count)
            started = time.monotonic()
            server.start()
            start_s = time.monotonic() - started
            entries = round(server.metric("lazaret_cache_entries"))
            # Each digest is looked up once: from the disk, then from memory.
            options = {"corpus": corpus, "hash_first": True, "connections": 1}
            cold = load.run(context, server.url, requests=about["contents"], **options)["latency_ms"]
            warm = load.run(context, server.url, requests=2000, **options)["latency_ms"]
            scans = server.scans()
            unknown = load.run(context, server.url + "/v1/scans/{id}", body_size=100, seed=count + 5, get=True, expect="nothing", expect_status=404,
                               connections=16, duration=context.pick(3, 1))
            rows.append([f"{entries:,}", f"{cold['p50']:.3f}", f"{cold['p99']:.3f}", f"{warm['p50']:.3f}", f"{unknown['rate']:,.0f}", f"{start_s:.1f}",
                         f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}", f"{database.stat().st_size / MIB:,.0f}"])
            if scans:
                raise BenchFailed(f"{scans} scans where every verdict should have been known")
            disk.append((max(entries, 1), cold["p50"]))
            memory.append((max(entries, 1), warm["p50"]))
            misses.append((max(entries, 1), unknown["latency_ms"]["p50"]))
    section.tables.append(Table("Look-ups with so many verdicts known, digest first, one connection",
                                ["verdicts", "first look-up p50 ms", "p99 ms", "later p50 ms", "unknown/s", "start, s", "RSS, MiB", "file, MiB"], rows,
                                "First: a new server, so from the file. Unknown: GET of an id never seen, 16 connections."))
    section.plots.append(Plot("growth-cache", "Look-up against known verdicts", "verdicts", "latency p50, ms",
                              {"first": disk, "later": memory, "unknown": misses}, log_x=True))


def run(context: Context) -> Section:
    section = Section("How cost grows")
    by_connections(context, section)
    by_size(context, section)
    by_queue(context, section)
    by_cache(context, section)
    return section
