"""Changes of the signatures under constant load: failed requests, latency, memory, and how soon a change counts."""

import http.client
import json
import os
import shutil
import threading
import time
from pathlib import Path

from harness import inputs, processes, rounds
from harness.context import BenchFailed, Context
from harness.report import Aim, Section, Table
from harness.servers import Lazaret

CLIENTS = 4
KIB = 1024


class Load:
    """Clients that scan small contents of their own at a constant rate, and remember what each answer took, and when."""

    def __init__(self, port: int, rate: float):
        self._port, self._pause = port, CLIENTS / rate
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.answers: list[tuple[float, float]] = []  # when it was sent, seconds
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        due = time.monotonic() + self._pause * number / CLIENTS
        count = 0
        while not self._over.wait(max(0.0, due - time.monotonic())):
            count += 1
            body = f"client {number} content {count} of {os.getpid()}\n".encode() * 32
            # From when it was due: a stall delays those behind it, too.
            wanted, error = due, ""
            try:
                connection.request("POST", "/v1/scan", body)
                response = connection.getresponse()
                answer = response.read()
                if response.status != 200 or json.loads(answer).get("verdict") != "clean":
                    error = f"{response.status} {answer[:200]!r}"
            except (OSError, ValueError, http.client.HTTPException) as failure:
                error = repr(failure)
                connection.close()
            now = time.monotonic()
            with self._lock:
                self.answers.append((wanted, now - wanted))
                if error:
                    self.failures.append(error)
            due += self._pause  # all that fell due in a stall is made up for, and counted

    def took(self, spans: list[tuple[float, float]]) -> list[float]:
        with self._lock:
            return sorted(took for sent, took in self.answers if any(begin <= sent < end for begin, end in spans))


def at(share: float, values: list[float]) -> str:
    """A percentile in ms."""
    return f"{values[min(len(values) - 1, int(share * len(values)))] * 1000:.1f}" if values else "-"


def pss_mib(server: Lazaret) -> float:
    total = 0
    for pid in processes.tree(server.pid):
        try:
            total += processes.memory_parts_kib(pid)["pss"]
        except (OSError, KeyError):  # it has ended meanwhile
            continue
    return total / KIB


def verdict(server: Lazaret, body: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.request("POST", "/v1/scan", body)
        return json.loads(connection.getresponse().read()).get("verdict", "")
    finally:
        connection.close()


def put(directory: Path, name: str, text: str) -> None:
    """As freshclam does: under another name first."""
    incoming = directory.parent / f"{directory.name}.incoming"
    incoming.write_text(text)
    incoming.rename(directory / name)


def changes(context: Context, section: Section, mode: str, source: Path, count: int) -> None:
    directory = context.work / f"changing-{mode}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    directory.chmod(0o755)
    for file in source.iterdir():
        if file.is_file():
            os.link(file, directory / file.name)
    try:
        with Lazaret(context, directory, {"signatures.reload": mode, "engine.scanners": context.cores, "queue.max_wait": "10m"}) as server:
            measure(context, section, mode, server, directory, count)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def measure(context: Context, section: Section, mode: str, server: Lazaret, directory: Path, count: int) -> None:
    rate = context.pick(40, 20)
    reloads, rests, delays, during, after = [], [], [], [], []
    with Load(server.port, rate) as load:
        time.sleep(context.pick(20, 3))
        before = pss_mib(server)
        rests.append((load.answers[0][0] if load.answers else time.monotonic(), time.monotonic()))
        for number in range(count):
            context.progress.step(f"signatures {mode}: change {number + 1} of {count}")
            needle = f"{mode} needle number {number};"
            begin = time.monotonic()
            put(directory, "needle.ndb", f"Bench.Needle{number}:0:*:{needle.encode().hex()}\n")
            peak, asked = 0.0, 0
            while True:
                peak = max(peak, pss_mib(server))
                asked += 1
                # Another content each time: the verdict of the old set is cached.
                found = verdict(server, f"{needle} asked {asked}".encode())
                if found == "infected":
                    break
                if found != "clean" or time.monotonic() - begin > 600:
                    raise BenchFailed(f"after {time.monotonic() - begin:.0f} s the answer is {found or 'none'}")
                time.sleep(0.1)
            end = time.monotonic()
            delays.append(end - begin)
            during.append(peak)
            reloads.append((begin, end))
            # The old processes end. Looking at memory costs something: as often as during a reload.
            rest = time.monotonic() + context.pick(10, 2)
            while time.monotonic() < rest:
                settled = pss_mib(server)
                time.sleep(0.1)
            after.append(settled)
            rests.append((end + 1, time.monotonic()))
    failed = len(load.failures)
    without, within = load.took(rests), load.took(reloads)
    section.tables.append(Table(f"{count} changes, {mode}", ["", "without", "during a reload"],
                                [["requests", str(len(without)), str(len(within))],
                                 ["p50, ms", at(0.5, without), at(0.5, within)],
                                 ["p99, ms", at(0.99, without), at(0.99, within)],
                                 ["longest, ms", at(1, without), at(1, within)]],
                                f"{CLIENTS} clients, {rate} scans a second of new contents; times from when a request was due."))
    section.tables.append(Table(f"{count} changes, {mode}: memory and delay", ["", "lowest", "median", "highest"],
                                [["PSS before, MiB", f"{before:.0f}", "", ""],
                                 ["PSS during, MiB (highest)", *(f"{value:.0f}" for value in (min(during), rounds.median(during), max(during)))],
                                 ["PSS after, MiB", *(f"{value:.0f}" for value in (min(after), rounds.median(after), max(after)))],
                                 ["file change to first verdict, s", *(f"{value:.1f}" for value in (min(delays), rounds.median(delays), max(delays)))]],
                                "The server with its zygotes and scanners. The delay has signatures.settle (2 s) in it. queue.max_wait is 10 minutes here."))
    section.aims.append(Aim(f"{count} changes, {mode}: failed requests", "0", f"{failed} of {len(load.answers)}", failed == 0))
    if failed:
        raise BenchFailed(f"{mode}: {failed} of {len(load.answers)} requests failed, such as: {load.failures[0]}")


def run(context: Context) -> Section:
    section = Section("Changes of the signatures under load")
    source = inputs.signatures(context, context.pick(1.0, 0.02))
    for mode in ("beside", "drain"):
        changes(context, section, mode, source, context.pick(20, 3))
    return section
