"""What the server takes: for one large upload, for ten thousand at once, and part by part with the engine."""

import re
import resource
import time
from pathlib import Path

from harness import inputs, load, processes
from harness.context import BenchFailed, Context
from harness.report import Aim, Section, Table
from harness.servers import Lazaret
from harness.watch import Watch

KIB, MIB, GIB = 1024, 1024 * 1024, 1024 * 1024 * 1024
WANTED_CONNECTIONS = 10_000


def connections_possible() -> int:
    """The server wants two descriptors for a connection, and some for itself. A few are left for those that ask for its metrics:
    it accepts no more than it has room for."""
    return min(WANTED_CONNECTIONS, int(resource.getrlimit(resource.RLIMIT_NOFILE)[1] * 0.475) - 10)


def large_upload(context: Context, section: Section) -> None:
    size = context.pick(4 * GIB, GIB // 2)
    # More than is scanned, also when it is a shorter run.
    with Lazaret(context, None, context.pick({}, {"engine.max_file_size": "256MiB"})) as server:
        load.run(context, server.url, body_size=64 * MIB, requests=4, connections=1, salt=True)
        processes.reset_peak(server.pid)
        before = processes.status_kib(server.pid, "VmRSS")
        context.progress.step(f"memory: an upload of {size // MIB} MiB")
        result = load.run(context, server.url, body_size=size, requests=1, timeout=600, expect="unscannable")
        growth = processes.status_kib(server.pid, "VmHWM") - before
    section.tables.append(Table("One upload", ["size, MiB", "before, MiB", "peak growth, KiB", "MB/s"],
                                [[str(size // MIB), f"{before / KIB:.1f}", str(growth), f"{result['sent_mb_s']:.0f}"]],
                                "RSS of the server's process; the upload goes to a file without a name. It is not scanned: over engine.max_file_size. Four "
                                "uploads of 64 MiB came before, and were."))
    section.aims.append(Aim(f"Growth for an upload of {size // MIB} MiB", "below 1024 KiB", f"{growth} KiB", growth < 1024))


def many_uploads(context: Context, section: Section) -> None:
    connections = context.pick(connections_possible(), min(2000, connections_possible()))
    rows = []
    for body, rate, what in ((0, 0, "idle, connected"), (2 * KIB, 256, "heads and up to 2 KiB"), (16 * KIB, 2 * KIB, "16 KiB bodies"),
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
            with Watch(lambda: server.metric("lazaret_spool_bytes")) as spooled:
                while generator.poll() is None:
                    most = max(most, processes.sockets(server.pid) - sockets_before)
                    time.sleep(0.25)
            peak = processes.status_kib(server.pid, "VmHWM")
            result = load.end(generator)
        under_way, refused = result["most_uploading"], sum(result["allowed"].values())
        if result["answers"] == 0:
            raise BenchFailed(f"{what}: no answer in the whole run")
        rows.append([what, f"{most:,}", f"{under_way:,}", f"{result['answers']:,}", f"{before / KIB:.0f}", f"{peak / KIB:.0f}", f"{(peak - before) / max(most, 1):.1f}",
                     f"{spooled.highest / MIB:.0f}", str(refused)])
        if body > 2 * KIB:
            section.aims.append(Aim(f"{WANTED_CONNECTIONS:,} connections uploading {body // KIB} KiB each at once, RSS without the engine", "below 256 MiB",
                                    f"{peak / KIB:.0f} MiB with {under_way:,} of {WANTED_CONNECTIONS:,}, {refused} refused",
                                    peak / KIB < 256 and under_way >= 0.99 * connections and refused == 0, partly=under_way < WANTED_CONNECTIONS))
    section.tables.append(Table(f"{connections:,} slow uploads at once, no engine",
                                ["what", "connections at once", "bodies under way at once", "answers", "before, MiB", "peak RSS, MiB", "KiB a connection", "budget taken, MiB", "503"], rows,
                                "Contents above 64 KiB are in memory files or on the disk, which are not in the RSS; the budget is what the server itself sets aside for them. Connections are counted as the sockets of its process, bodies as those of which the client had sent a part."))


# Rows of libclamav's arrays of matches, one a signature, that lie in a page.
ROW, PAGE = 64 * 4, 4 * KIB


def is_for_programs(line: str) -> bool:
    return "Target:1" in line.split(";", 2)[1].split(",")


def first_part(line: str) -> bytes | None:
    """Bytes that match the first part of a logical signature that wants all of several; None of another one."""
    _, _, expression, first, *others = line.rstrip("\n").split(";")
    wants_all = others and expression == "&".join(map(str, range(1 + len(others))))
    return bytes.fromhex(first) if wants_all and re.fullmatch("([0-9a-f]{2})+", first) else None


def spread_parts(lines: list[str]) -> list[bytes]:
    """A part of one signature of each page of rows."""
    step = PAGE // ROW
    pages = (filter(None, map(first_part, lines[begin : begin + step])) for begin in range(0, len(lines), step))
    return [part for part in (next(page, None) for page in pages) if part is not None]


def many_parts(context: Context, signatures: Path) -> tuple[Path, int, int]:
    """A directory with a Windows program that has parts of very many signatures in it, and so is nothing bad: the state of the
    matches, of which scanners share what was not written, is written on every page. The number of parts, and of signatures."""
    found, total = [], 0
    for path in sorted(signatures.glob("*.ldb")):
        lines = [line for line in path.read_text(encoding="latin-1").splitlines() if is_for_programs(line)]
        total += len(lines)
        found += spread_parts(lines)
    directory = context.work / "corpora-parts"
    directory.mkdir(exist_ok=True)
    program = inputs.make.portable_executable.build(b"\0".join(found), bytes(4 * KIB), 1_000_000_000)
    (directory / "parts.exe").write_bytes(program)
    return directory, len(found), total


class ScannersMemory:
    """What scanners have for themselves while they work: the highest that was seen."""

    def __init__(self, server: Lazaret):
        self.one = self.together = 0.0  # MiB
        self.looks = 0
        self._server = server

    def look(self) -> float:
        private = [processes.memory_parts_kib(pid)["private"] / KIB for name, pid in self._server.parts().items() if name.startswith("scanner")]
        self.one, self.together = max(self.one, *private), max(self.together, sum(private))
        self.looks += 1
        return sum(private)


def parts(context: Context, section: Section) -> None:
    signatures = inputs.signatures(context)
    rows, private_rows = [], []
    with Lazaret(context, signatures, {"engine.scanners": context.cores}) as server:
        for moment in ("loaded", "after these scans"):
            if moment != "loaded":
                for kind in ("mixed", "pe", "large", "many parts"):
                    if kind == "many parts":
                        corpus, matched, signatures_for_programs = many_parts(context, signatures)
                        options = {"requests": context.cores, "connections": context.cores, "salt": True, "expect": "clean"}
                    else:
                        corpus, _ = inputs.corpus(context, kind)
                        options = {"passes": 1, "connections": 8}
                    context.progress.step(f"memory: scanning {kind}")
                    memory = ScannersMemory(server)
                    with Watch(memory.look, 0.03):
                        load.run(context, server.url, corpus=corpus, **options)
                    if memory.looks == 0:
                        raise BenchFailed(f"{kind}: the scanners' memory could not be looked at")
                    private_rows.append([kind, f"{memory.one:.1f}", f"{memory.together:.1f}", f"{memory.looks:,}"])
            total = 0.0
            for name, pid in server.parts().items():
                memory = processes.memory_parts_kib(pid)
                total += memory["pss"]
                rows.append([moment if name == "server" else "", name, *(f"{memory[key] / KIB:.1f}" for key in ("rss", "pss", "private", "shared", "huge"))])
            rows.append(["", "all", "", f"{total / KIB:.1f}", "", "", ""])
    section.tables.append(Table("Memory by part, MiB (smaps_rollup)", ["when", "part", "RSS", "PSS", "private", "shared", "huge pages"], rows,
                                f"{context.cores} scanners and the one for short contents."))
    bound = 3 * signatures_for_programs * ROW / MIB
    section.tables.append(Table("What scanners have for themselves while they scan, MiB (smaps_rollup, private)",
                                ["contents", "highest of one", "highest of all together", "looks"], private_rows,
                                f"Many parts: a program of {(corpus / 'parts.exe').stat().st_size / 1e6:.1f} MB with parts of {matched:,} of the {signatures_for_programs:,} logical "
                                f"signatures for programs, one of each page of the arrays of matches. These are shared until they are written, and {bound:.0f} MiB for one layer when all "
                                "of it is. Unpacked layers that lie in files are not in these figures."))


def run(context: Context) -> Section:
    section = Section("Memory")
    large_upload(context, section)
    many_uploads(context, section)
    parts(context, section)
    return section
