"""Scanners are killed: how soon the next scan begins."""

import base64
import http.client
import json
import os
import random
import signal
import statistics
import time

from harness import inputs, processes
from harness.context import BenchFailed, Context
from harness.report import Aim, Section, Table
from harness.servers import Lazaret

BYTES = 64 * 1024
WANTED_MS = 50
# A scanner that dies young is replaced only after half a second, so that a broken one does not keep the machine busy.
YOUNG_S = 0.6
# What share of a scan its scanner is let do before it is killed.
DONE = 0.25


class Client:
    """Sends texts of random letters: as long to scan as each other, and new every time."""

    def __init__(self, server: Lazaret, seed: int):
        self._random = random.Random(seed)
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.connect()
        self._next = self._make()

    def _make(self) -> bytes:
        return base64.encodebytes(self._random.randbytes(BYTES * 3 // 4))

    def send(self) -> None:
        self._connection.request("POST", "/v1/scan", self._next)

    def receive(self) -> None:
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200 or json.loads(body)["verdict"] != "clean":
            raise BenchFailed(f"a text was answered with {response.status} {body[:200]!r}")
        self._next = self._make()

    def close(self) -> None:
        self._connection.close()


def scanners(server: Lazaret) -> list[int]:
    return [pid for name, pid in server.parts().items() if name.startswith("scanner")]


def settled(server: Lazaret, count: int) -> list[int]:
    """The scanners, when all are there and none is young any more."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = scanners(server)
        if len(found) == count and server.metric('lazaret_scanners{state="idle"}') == count:
            time.sleep(YOUNG_S)
            if scanners(server) == found:
                return found
        time.sleep(0.02)
    raise BenchFailed(f"{len(found)} of {count} scanners after 30 s")


def wait_until_scanning(pids: list[int], usual_s: float) -> int | None:
    """The one that computes: idle ones sleep. None when none was seen."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for pid in pids:
            if processes.state(pid) == "R":
                time.sleep(DONE * usual_s)
                return pid
    return None


def usual_ms(client: Client, count: int) -> list[float]:
    took = []
    for _ in range(count):
        client.send()
        sent = time.monotonic()
        client.receive()
        took.append((time.monotonic() - sent) * 1000)
    return took


def died_in_a_scan(server: Lazaret) -> int:
    """So often by its log, which is written a moment later."""
    time.sleep(0.3)
    return server.log.read_text(errors="replace").count("scanner died in a scan")


def kill_in_scan(context: Context, server: Lazaret, client: Client, what: str, everyone: bool, kills: int, usual_s: float) -> list[float]:
    """ms from each kill to the answer. What was killed too late, after the scan, is not counted."""
    took: list[float] = []
    died = died_in_a_scan(server)
    attempts = 0
    while len(took) < kills:
        attempts += 1
        if attempts > 5 * kills:
            raise BenchFailed(f"{what}: only {len(took)} of {5 * kills} kills met a scan")
        context.progress.step(f"recovery: {what}, {len(took) + 1} of {kills}")
        pids = settled(server, 2)
        client.send()
        scanning = wait_until_scanning(pids, usual_s)
        killed = time.monotonic()
        for pid in pids if everyone else [scanning]:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
        client.receive()
        answered = time.monotonic()
        before, died = died, died_in_a_scan(server)
        if scanning is not None and died > before:
            took.append((answered - killed) * 1000)
    return took


def kill_idle(context: Context, server: Lazaret, client: Client, what: str, kills: int) -> list[float]:
    """ms from each kill to the answer to a text that is sent at once."""
    took = []
    for number in range(kills):
        context.progress.step(f"recovery: {what}, {number + 1} of {kills}")
        pids = settled(server, 2)
        killed = time.monotonic()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        client.send()
        client.receive()
        took.append((time.monotonic() - killed) * 1000)
    return took


def run(context: Context) -> Section:
    signatures = inputs.signatures(context)
    kills = context.pick(50, 5)
    rows, highest = [], 0.0
    # One ordinary scanner, and the one for short contents.
    with Lazaret(context, signatures, {"engine.scanners": 1, "engine.scans_per_scanner": 1_000_000}) as server:
        client = Client(server, context.seed)
        settled(server, 2)
        usual = usual_ms(client, context.pick(100, 20))
        middle = statistics.median(usual)
        for what, measure in (
                ("the one that scans, another one idle", lambda what: kill_in_scan(context, server, client, what, False, kills, middle / 1000)),
                ("all of them, one in a scan", lambda what: kill_in_scan(context, server, client, what, True, kills, middle / 1000)),
                ("all of them, idle", lambda what: kill_idle(context, server, client, what, kills))):
            more = [each - middle for each in measure(what)]
            highest = max(highest, *more)
            rows.append([what, str(len(more)), *(f"{each:.1f}" for each in (statistics.median(more), max(more)))])
        client.close()
    table = Table("From the SIGKILL of scanners until the next scan has begun", ["killed", "times", "p50 ms", "max ms"], rows,
                  f"With {inputs.total(signatures):,} signatures and engine.scanners=1, which makes two processes. What is scanned next is the content whose scan was killed, or a text sent right after "
                  f"the kill: the time to its answer, less what such a text takes otherwise, {middle:.1f} ms (median of {len(usual)}; {min(usual):.1f} to {max(usual):.1f}). "
                  "Scanners were older than half a second: one that dies younger is replaced after a pause.")
    return Section("Recovery", [table], aims=[Aim("Scanner killed: until the next scan begins", f"below {WANTED_MS} ms", f"{highest:.1f} ms at most",
                                                  highest < WANTED_MS)])
