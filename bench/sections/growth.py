"""How cost grows with connections, size, the length of the queue and the number of known verdicts."""

import hashlib
import os
import random
import sqlite3
import struct
import time
from collections.abc import Callable
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
            cpu, requests = server.cpu_seconds(), server.metric("lazaret_http_requests_total")
            result = load.run(context, server.url, body_size=KIB, connections=connections, duration=context.pick(6, 2) + connections / 5000,
                              warm_up=0.5 + connections / 5000, ramp=connections / 5000)
            cpu, requests = server.cpu_seconds() - cpu, server.metric("lazaret_http_requests_total") - requests
            latency = result["latency_ms"]
            rows.append([f"{connections:,}", f"{result['rate']:,.0f}", f"{cpu / requests * 1e6:.1f}", f"{latency['p50']:.2f}", f"{latency['p99']:.2f}", f"{latency['max']:.0f}",
                         f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}", load.busy(result)])
            if not load.is_limited(result):
                rate.append((connections, result["rate"]))
                p50.append((connections, latency["p50"]))
                p99.append((connections, latency["p99"]))
    section.tables.append(Table("Known 1 KiB contents over ever more connections (closed loop)",
                                ["connections", "requests/s", "CPU us each", "p50 ms", "p99 ms", "max ms", "RSS, MiB", "generator"], rows,
                                f"CPU: of the server's processes, for each answer. {load.BUSY_NOTE}"))
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


def sample(database: Path, table: str, column: str, wanted: int, seed: int) -> list[bytes]:
    """Up to so many keys of a table, each once, from all over its index: those that come behind random ones."""
    rng = random.Random(seed)
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        found = (connection.execute(f"SELECT {column} FROM {table} WHERE {column} >= ? ORDER BY {column} LIMIT 1", (rng.randbytes(32),)).fetchone()
                 for _ in range(wanted))
        keys = list(dict.fromkeys(row[0] for row in found if row is not None))
    finally:
        connection.close()
    rng.shuffle(keys)
    return keys


def by_queue(context: Context, section: Section) -> None:
    lengths = context.pick([0, 10_000, 100_000, 1_000_000], [0, 20_000])
    # The same number at each step, so that the queue is not much longer afterwards.
    submitted, polled = context.pick(10_000, 2_000), context.pick(20_000, 2_000)
    rows, submits, polls = [], [], []
    body = {"body_size": 256, "salt": True, "expect": "nothing", "expect_status": 202}
    with Lazaret(context, context.work / NO_ENGINE, {"jobs.max_waiting": 100_000_000}, wait_for="/healthz") as server:
        for seed, length in enumerate(lengths):
            context.progress.step(f"growth: a queue of {length}")
            before = round(server.metric("lazaret_jobs"))
            if before < length:
                load.run(context, server.url + "/v1/scans", connections=128, requests=length - before, seed=1000 + seed, **body)
            before = round(server.metric("lazaret_jobs"))
            result = load.run(context, server.url + "/v1/scans", connections=64, requests=submitted, seed=seed, **body)
            after = round(server.metric("lazaret_jobs"))
            ids = sample(server.directory / "data" / "queue.db", "jobs", "id", polled, seed)
            poll = load.run(context, server.url + "/v1/scans/{id}", get=True, ids=load.write_ids(server.directory / "ids", ids), passes=1,
                            connections=16, expect="nothing")
            latency, polled_latency = result["latency_ms"], poll["latency_ms"]
            rows.append([f"{before:,}", f"{after:,}", f"{result['rate']:,.0f}", f"{latency['p50']:.2f}", f"{latency['p99']:.2f}", f"{poll['answers']:,}",
                         f"{poll['rate']:,.0f}", f"{polled_latency['p99']:.2f}", f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}",
                         load.busy(result, poll)])
            if not load.is_limited(result, poll):
                submits.append((max(before, 1), result["rate"]))
                polls.append((max(after, 1), poll["rate"]))
        context.progress.step("growth: restart with the long queue")
        started = time.monotonic()
        server.restart()
        seconds = time.monotonic() - started
    section.tables.append(Table(f"{submitted:,} submits of 256 bytes and then polls while so many jobs wait",
                                ["waiting before", "after", "submits/s", "p50 ms", "p99 ms", "polls", "polls/s", "p99 ms", "RSS, MiB", "generator"], rows,
                                "64 connections; polls with 16, each for another job, drawn from all over the queue. "
                                f"End and start with the whole queue: {seconds:.1f} s. {load.BUSY_NOTE}"))
    section.plots.append(Plot("growth-queue", "Submits and polls against the length of the queue", "jobs waiting", "a second",
                              {"submits": submits, "polls": polls}, log_x=True))


def check_of(row: dict, engine: bytes) -> Callable[[bytes], bytes]:
    """The check that a verdict's row must carry to be believed, for any digest (src/embedded/verdict_row.cc)."""
    rest = bytearray(engine)
    for name in ("kind", "reason", "size", "scanned_at", "scan_ms", "engine_id", "expires_at", "last_used"):
        rest += struct.pack("<d" if name == "scan_ms" else "<q", row[name])
    for text in (row["signatures"], row["detail"].encode()):
        rest += struct.pack("<q", len(text)) + text
    return lambda digest: hashlib.sha256(digest + rest).digest()[:8]


def fill_cache(database: Path, wanted: int) -> None:
    """Copies of one verdict under digests that nothing has, evenly spread: as good as real ones."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.row_factory = sqlite3.Row
    have = connection.execute("SELECT count(*) FROM verdicts").fetchone()[0]
    row = dict(connection.execute("SELECT * FROM verdicts LIMIT 1").fetchone())
    engine = connection.execute("SELECT identity FROM engines WHERE id = ?", (row["engine_id"],)).fetchone()[0]
    check = check_of(row, engine)
    if check(row["digest"]) != row["check"]:
        raise BenchFailed("the check of a verdict's row is computed in another way now: see check_of")
    middle = tuple(value for name, value in row.items() if name not in ("digest", "check"))
    if tuple(row)[0] != "digest" or tuple(row)[-1] != "check":
        raise BenchFailed(f"the columns of a verdict are others now: {', '.join(row)}")
    missing = wanted - have
    if missing > 0:
        step = (1 << 256) // missing
        offset = hash(wanted) % step
        digests = ((number * step + offset).to_bytes(32, "big") for number in range(missing))
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.executemany(f"INSERT OR IGNORE INTO verdicts VALUES({','.join('?' * len(row))})",
                               ((digest, *middle, check(digest)) for digest in digests))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def forget_pages(path: Path) -> None:
    """Out of the page cache with a file that nobody has open: what is read next comes from the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def by_cache(context: Context, section: Section) -> None:
    counts = context.pick([0, 10_000, 100_000, 1_000_000, 10_000_000], [0, 100_000])
    asked, unknown_asked = context.pick(3_000, 1_000), context.pick(40_000, 5_000)
    rows, disk, memory, misses = [], [], [], []
    corpus, _ = inputs.corpus(context, "text")
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
            ids = load.write_ids(server.directory / "ids", sample(database, "verdicts", "digest", asked, count))
            rng = random.Random(count)
            unknown_ids = load.write_ids(server.directory / "unknown", (rng.randbytes(32) for _ in range(unknown_asked)))
            forget_pages(database)
            started = time.monotonic()
            server.start()
            start_s = time.monotonic() - started
            entries = round(server.metric("lazaret_cache_entries"))
            # Each once: from the disk, then from memory.
            options = {"get": True, "ids": ids, "passes": 1, "connections": 1, "expect": "clean"}
            url = server.url + "/v1/scans/{id}"
            first = load.run(context, url, **options)
            again = load.run(context, url, **options)
            unknown = load.run(context, url, get=True, ids=unknown_ids, passes=1, expect="nothing", expect_status=404, connections=16)
            first_ms, again_ms = first["latency_ms"], again["latency_ms"]
            rows.append([f"{entries:,}", f"{first['answers']:,}", f"{first_ms['p50']:.3f}", f"{first_ms['p99']:.3f}", f"{again_ms['p50']:.3f}", f"{again_ms['p99']:.3f}",
                         f"{unknown['rate']:,.0f}", f"{start_s:.1f}", f"{processes.status_kib(server.pid, 'VmRSS') / KIB:.0f}",
                         f"{database.stat().st_size / MIB:,.0f}", load.busy(first, again, unknown)])
            disk.append((max(entries, 1), first_ms["p50"]))
            memory.append((max(entries, 1), again_ms["p50"]))
            if not load.is_limited(unknown):
                misses.append((max(entries, 1), unknown["latency_ms"]["p50"]))
    section.tables.append(Table("Look-ups with so many verdicts known (GET, one connection)",
                                ["verdicts", "looked up", "first p50 ms", "p99 ms", "again p50 ms", "p99 ms", "unknown/s", "start, s", "RSS, MiB", "file, MiB", "generator"],
                                rows, "Looked up: ids of verdicts from all over the file, each once by a new server, after the file was taken out of the page cache of this machine; "
                                "then each once again. Unknown: as many GETs of ids never seen, each another one, 16 connections. "
                                f"{load.BUSY_NOTE}"))
    section.plots.append(Plot("growth-cache", "Look-up against known verdicts", "verdicts", "latency p50, ms",
                              {"first": disk, "again": memory, "unknown": misses}, log_x=True))


def run(context: Context) -> Section:
    section = Section("How cost grows")
    by_connections(context, section)
    by_size(context, section)
    by_queue(context, section)
    by_cache(context, section)
    return section
