"""What the server takes: for one large upload, for ten thousand at once, and part by part with the engine."""

import resource
import threading
import time

from harness import inputs, load, processes
from harness.context import Context
from harness.report import Aim, Section, Table
from harness.servers import Lazaret

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024


def connections_possible() -> int:
    """The server wants two descriptors for a connection, and some for itself. A few are left for those that ask for its metrics:
    it accepts no more than it has room for."""
    return min(10_000, int(resource.getrlimit(resource.RLIMIT_NOFILE)[1] * 0.475)) - 10


def large_upload(context: Context, section: Section) -> None:
    size = context.pick(4 * GIB, GIB // 2)
    with Lazaret(context, None) as server:
        load.run(context, server.url, body_size=64 * MIB, requests=4, connections=1, salt=True)
        processes.reset_peak(server.pid)
        before = processes.status_kib(server.pid, "VmRSS")
        context.progress.step(f"memory: an upload of {size // MIB} MiB")
        result = load.run(context, server.url, body_size=size, requests=1, timeout=600)
        growth = processes.status_kib(server.pid, "VmHWM") - before
    section.tables.append(Table("One upload", ["size, MiB", "before, MiB", "peak growth, KiB", "MB/s, with its scan"],
                                [[str(size // MIB), f"{before / KIB:.1f}", str(growth), f"{result['sent_mb_s']:.0f}"]],
                                "RSS of the server's process; the upload goes to a file without a name. Four uploads of 64 MiB came before."))
    section.aims.append(Aim(f"Growth for an upload of {size // MIB} MiB", "below 1024 KiB", f"{growth} KiB", growth < 1024))


class Highest:
    """The highest value of `ask()`, which is asked beside the measurement: a busy server may take its time to answer."""

    def __init__(self, ask):
        self.value = 0.0
        self._ask, self._over = ask, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.5):
            try:
                self.value = max(self.value, self._ask())
            except OSError:
                pass


def many_uploads(context: Context, section: Section) -> None:
    connections = context.pick(connections_possible(), min(2000, connections_possible()))
    rows = []
    for body, rate, what in ((0, 0, "idle, connected"), (1536, 256, "heads and a few hundred bytes"), (16 * KIB, 2 * KIB, "16 KiB bodies"),
                             (60 * KIB, 8 * KIB, "60 KiB bodies"), (MIB, 20 * KIB, "1 MiB bodies")):
        context.progress.step(f"memory: {connections} connections, {what}")
        with Lazaret(context, context.work / "no-signatures", {"http.min_body_rate": "1", "jobs.max_waiting": 1_000_000}, wait_for="/healthz") as server:
            processes.reset_peak(server.pid)
            before, sockets_before = processes.status_kib(server.pid, "VmRSS"), processes.sockets(server.pid)
            options = {"connections": connections, "ramp": 6, "timeout": 900, "duration": 18}
            if body == 0:
                generator = load.begin(context, server.url + "/healthz", get=True, expect="nothing", rate=connections / 4, **options)
            else:
                # Submits: their bodies are taken without an engine.
                generator = load.begin(context, server.url + "/v1/scans", body_size=body, salt=True, send_rate=rate, expect="nothing",
                                       expect_status=202, allow_status=[503], **options)
            most = 0
            with Highest(lambda: server.metric("lazaret_spool_bytes")) as spooled:
                while generator.poll() is None:
                    most = max(most, processes.sockets(server.pid) - sockets_before)
                    time.sleep(0.25)
            peak = processes.status_kib(server.pid, "VmHWM")
            result = load.end(generator)
        rows.append([what, str(most), f"{before / KIB:.0f}", f"{peak / KIB:.0f}", f"{(peak - before) / max(most, 1):.1f}",
                     f"{spooled.value / MIB:.0f}", str(sum(result["allowed"].values()))])
        refused = sum(result["allowed"].values())
        if body > 1536:
            section.aims.append(Aim(f"{most} connections uploading {body // KIB} KiB each at once, RSS without the engine", "below 256 MiB",
                                    f"{peak / KIB:.0f} MiB, {refused} refused",
                                    peak / KIB < 256 and most >= 0.99 * connections and refused == 0))
    section.tables.append(Table(f"{connections} slow uploads at once, no engine",
                                ["what", "connections at once", "before, MiB", "peak RSS, MiB", "KiB a connection", "budget taken, MiB", "503"], rows,
                                "Contents above 64 KiB are in memory files or on the disk, which are not in the RSS; the budget is what the server itself sets aside for them. Connections are counted as the sockets of its process."))


def parts(context: Context, section: Section) -> None:
    signatures = inputs.signatures(context)
    rows = []
    with Lazaret(context, signatures, {"engine.scanners": context.cores}) as server:
        for moment in ("loaded", "after mixed and PE files"):
            if moment != "loaded":
                for kind in ("mixed", "pe"):
                    corpus, _ = inputs.corpus(context, kind)
                    context.progress.step(f"memory: scanning {kind}")
                    load.run(context, server.url, corpus=corpus, passes=1, connections=8)
            total = 0.0
            for name, pid in server.parts().items():
                memory = processes.memory_parts_kib(pid)
                total += memory["pss"]
                rows.append([moment if name == "server" else "", name, *(f"{memory[key] / KIB:.1f}" for key in ("rss", "pss", "private", "shared", "huge"))])
            rows.append(["", "all", "", f"{total / KIB:.1f}", "", "", ""])
    section.tables.append(Table("Memory by part, MiB (smaps_rollup)", ["when", "part", "RSS", "PSS", "private", "shared", "huge pages"], rows,
                                f"{context.cores} scanners and the one for short contents."))


def run(context: Context) -> Section:
    section = Section("Memory")
    large_upload(context, section)
    many_uploads(context, section)
    parts(context, section)
    return section
