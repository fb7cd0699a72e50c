"""Durable submits beside the bare commits of SQLite on the same disk."""

import os
import sqlite3
import time
from pathlib import Path

from harness import load, rounds
from harness.context import Context
from harness.report import Section, Table
from harness.servers import Lazaret

BYTES = 4096


def commits_per_second(directory: Path, rows_each: int, commits: int) -> float:
    """Rows a second of a program that does nothing but commit."""
    path = directory / "bare.db"
    for old in directory.glob("bare.db*"):
        old.unlink()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE job(id BLOB PRIMARY KEY, content BLOB)")
    started = time.monotonic()
    for _ in range(commits):
        database.execute("BEGIN")
        database.executemany("INSERT INTO job VALUES(?,?)", [(os.urandom(32), os.urandom(BYTES)) for _ in range(rows_each)])
        database.execute("COMMIT")
    seconds = time.monotonic() - started
    database.close()
    return rows_each * commits / seconds


def run(context: Context) -> Section:
    rows = []
    nothing = context.work / "no-signatures"
    for connections in (1, 64):
        seeds = iter(range(10_000))
        with Lazaret(context, nothing, {"jobs.max_waiting": 100_000_000}, wait_for="/healthz") as server:
            latencies = []

            def submits() -> float:
                result = load.run(context, server.url + "/v1/scans", body_size=BYTES, salt=True, seed=next(seeds), expect="nothing",
                                  expect_status=202, connections=connections, duration=context.pick(5, 2))
                latencies.append(result["latency_ms"])
                return result["rate"]

            results = rounds.in_turn(context, f"submits, {connections} connections", {
                "Lazaret": submits,
                "SQLite": lambda: commits_per_second(server.directory, connections, context.pick(3000, 1000) // (1 if connections == 1 else 16))})
        rows.append([f"{connections}", rounds.spread(results["Lazaret"]), rounds.spread(results["SQLite"]),
                     f"{rounds.ratio(results, 'Lazaret', 'SQLite'):.2f}", f"{rounds.median([one['p50'] for one in latencies]):.2f}",
                     f"{rounds.median([one['p99'] for one in latencies]):.2f}"])
    return Section("Durable submits", [Table(
        f"Submits of {BYTES} bytes a second, each acknowledged after its commit was synced",
        ["connections", "Lazaret", "bare SQLite, as many rows to a commit", "ratio", "p50 ms", "p99 ms"], rows,
        "Without an engine: what is submitted waits. Bare: one program, WAL, synchronous=FULL, in the same directory.")])
