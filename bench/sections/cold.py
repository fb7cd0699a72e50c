"""Files that nobody has sent before, beside clamd with the same signatures, and libclamav alone."""

import time

from harness import inputs, load, rounds
from harness.context import BenchFailed, Context
from harness.report import Aim, Plot, Section, Table
from harness.servers import Clamd, DirectScan, Lazaret, RestWrapper

CORPORA = ["mixed", "text", "pe", "large"]
# A verdict is forgotten after a second, so that each pass is cold.
FORGETFUL = {"cache.max_age": "1s"}
CONNECTIONS = 8
WRAPPER = "a small REST wrapper around clamd INSTREAM, as in the field"
WRAPPED = ["mixed", "text"]  # the corpora that it is measured with


class ColdPass:
    """One corpus sent to a server that does not know it any more; files a second."""

    def __init__(self, context: Context, server: Lazaret, corpus, files: int):
        self._context, self._server, self._corpus, self._files = context, server, corpus, files
        self.cpu_ms: list[float] = []  # for each file, of all processes of the server

    def rate(self) -> float:
        time.sleep(1.2)
        scans, cpu = self._server.scans(), self._server.cpu_seconds()
        result = load.run(self._context, self._server.url, corpus=self._corpus, passes=1, connections=CONNECTIONS)
        self.cpu_ms.append((self._server.cpu_seconds() - cpu) / self._files * 1000)
        if (scanned := self._server.scans() - scans) != self._files:
            raise BenchFailed(f"{scanned} scans of {self._files} files: the pass was not cold, or some were scanned twice")
        return result["rate"]


class ClamdPass:
    """The same for clamdscan and its server."""

    def __init__(self, clamd: Clamd, corpus, files: int):
        self._clamd, self._corpus, self._files = clamd, corpus, files
        self.cpu_ms: list[float] = []

    def rate(self) -> float:
        started, cpu = time.monotonic(), self._clamd.cpu_seconds()
        self._clamd.scan(self._corpus)
        seconds = time.monotonic() - started
        self.cpu_ms.append((self._clamd.cpu_seconds() - cpu) / self._files * 1000)
        return self._files / seconds


class WrapperPass:
    """The same for an HTTP server that hands each body on to clamd."""

    def __init__(self, context: Context, wrapper: RestWrapper, clamd: Clamd, corpus, files: int):
        self._context, self._wrapper, self._clamd, self._corpus, self._files = context, wrapper, clamd, corpus, files
        self.cpu_ms: list[float] = []  # of both

    def rate(self) -> float:
        cpu = self._cpu()
        result = load.run(self._context, self._wrapper.url, corpus=self._corpus, passes=1, connections=CONNECTIONS)
        self.cpu_ms.append((self._cpu() - cpu) / self._files * 1000)
        return result["rate"]

    def _cpu(self) -> float:
        return self._wrapper.cpu_seconds() + self._clamd.cpu_seconds()


class DirectPass:
    """The same for processes that do nothing but call libclamav."""

    def __init__(self, direct: DirectScan, corpus):
        self._direct, self._corpus = direct, corpus
        self.cpu_ms: list[float] = []

    def rate(self) -> float:
        result = self._direct.scan(self._corpus)
        self.cpu_ms.append(result["cpu_s"] / result["files"] * 1000)
        return result["files"] / result["seconds"]


def same(ours: tuple[str, str], clamds: str) -> bool:
    """Whether both say the same. What clamd reports as a limit or as encrypted, or as an error, we call unscannable."""
    word, finding = ours
    if clamds.endswith(" FOUND"):
        name = clamds.removesuffix(" FOUND")
        if name.startswith(("Heuristics.Limits.Exceeded", "Heuristics.Encrypted")):
            return word == "unscannable"
        return word == "infected" and finding == name
    return word == ("clean" if clamds == "OK" else "unscannable")


def differences(context: Context, server: Lazaret, clamd: Clamd, corpus) -> tuple[dict[str, int], list[str]]:
    """How often each verdict was given, and each file of which the two say different things."""
    path = server.directory / "answers.tsv"
    load.run(context, server.url, corpus=corpus, passes=1, connections=CONNECTIONS, answers=path)
    ours, clamds = load.read_answers(path), clamd.answers(corpus)
    counts: dict[str, int] = {}
    for word, _ in ours.values():
        counts[word] = counts.get(word, 0) + 1
    wrong = [f"{name}: Lazaret {' '.join(ours.get(name, ('nothing',)))}, clamd {clamds.get(name, 'nothing')}"
             for name in sorted(ours.keys() | clamds.keys())
             if name not in ours or name not in clamds or not same(ours[name], clamds[name])]
    return counts, wrong


def load_plot(context: Context, server: Lazaret, highest: float) -> tuple[Table, Plot]:
    """Latency of new 4 KiB texts that come at random times, against how many come."""
    series: dict[str, list[tuple[float, float]]] = {"p50": [], "p99": []}
    rows = []
    for share in context.pick([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1], [0.3, 0.8, 1.1]):
        rate = max(1.0, highest * share)
        context.progress.step(f"cold: new texts, {rate:.0f} a second")
        result = load.run(context, server.url, body_size=4096, salt=True, seed=round(share * 1000), rate=round(rate, 1), poisson=True,
                          connections=500, duration=context.pick(15, 4), warm_up=context.pick(2, 1), allow_status=[503])
        latency = result["latency_ms"]
        if not load.is_limited(result):
            series["p50"].append((rate, latency["p50"]))
            series["p99"].append((rate, latency["p99"]))
        rows.append([f"{share:.0%}", f"{rate:.0f}", f"{result['rate']:.0f}", f"{latency['p50']:.1f}", f"{latency['p99']:.1f}",
                     f"{latency['max']:.0f}", str(result["missed"]), str(sum(result["allowed"].values())), load.busy(result)])
    table = Table("New 4 KiB texts at random times (open loop; latency from the intended beginning)",
                  ["of the closed loop's rate", "offered/s", "answered/s", "p50 ms", "p99 ms", "max ms", "missed", "503", "generator"], rows,
                  f"Missed: did not begin in time, and are in the latencies with the time they had waited. {load.BUSY_NOTE}")
    return table, Plot("cold-latency", "Cold 4 KiB texts: latency against load", "texts a second", "latency, ms", series, log_y=True)


def run(context: Context) -> Section:
    section = Section("Cold scans")
    signatures = inputs.signatures(context)
    rows, cpu_rows, wrapped_rows, detections, wrong = [], [], [], [], []
    with (Lazaret(context, signatures, {**FORGETFUL, "engine.scanners": context.cores}) as server,
          Clamd(context, signatures, context.cores, cache=False) as clamd,
          RestWrapper(context, clamd) as wrapper,
          DirectScan(context, signatures, context.cores) as direct):
        for kind in CORPORA:
            corpus, about = inputs.corpus(context, kind)
            context.progress.step(f"cold {kind}: comparing detections")
            counts, differing = differences(context, server, clamd, corpus)
            wrong += [f"{kind}/{line}" for line in differing]
            detections.append([kind, str(about["files"]), f"{about['bytes'] / 1e6:.1f}", about["digest"],
                               *(str(counts.get(word, 0)) for word in ("clean", "infected", "unscannable")), str(len(differing))])
            passes = {"clamd": ClamdPass(clamd, corpus, about["files"]), "Lazaret": ColdPass(context, server, corpus, about["files"]),
                      "libclamav": DirectPass(direct, corpus)}
            if kind in WRAPPED:
                passes["wrapper"] = WrapperPass(context, wrapper, clamd, corpus, about["files"])
            results = rounds.in_turn(context, f"cold {kind}", {name: each.rate for name, each in passes.items()})
            cpu = {name: each.cpu_ms for name, each in passes.items()}
            ratio = rounds.ratio(results, "Lazaret", "clamd")
            rows.append([kind, *(rounds.spread(results[name], 1) for name in ("Lazaret", "clamd", "libclamav")), f"{ratio:.2f}",
                         f"{rounds.ratio(results, 'Lazaret', 'libclamav'):.2f}"])
            cpu_rows.append([kind, *(rounds.spread(cpu[name], 1) for name in ("Lazaret", "clamd", "libclamav")),
                             f"{rounds.ratio(cpu, 'clamd', 'Lazaret'):.2f}"])
            if kind in WRAPPED:
                over = rounds.ratio(results, "Lazaret", "wrapper")
                wrapped_rows.append([kind, rounds.spread(results["Lazaret"], 1), rounds.spread(results["wrapper"], 1), f"{over:.2f}",
                                     f"{rounds.ratio(cpu, 'wrapper', 'Lazaret'):.2f}", f"{rounds.ratio(results, 'wrapper', 'clamd'):.2f}"])
                section.aims.append(Aim(f"Cold scans, {kind}: files a second, of {WRAPPER}", "3.50", f"{over:.2f}", over >= 3.5))
            if kind != "large":
                section.aims.append(Aim(f"Cold scans, {kind}: files a second, of clamd's", "1.50", f"{ratio:.2f}", ratio >= 1.5))
            if kind == "text":
                highest = rounds.median(results["Lazaret"])
        table, plot = load_plot(context, server, highest)
    section.aims.append(Aim("Detections that differ from clamd's", "0", str(len(wrong)), not wrong))
    section.tables += [
        Table("Files a second", ["corpus", "Lazaret over HTTP", "clamdscan --multiscan --fdpass", "libclamav in processes", "Lazaret/clamd",
                                 "Lazaret/libclamav"], rows,
              f"{context.cores} scanners, clamd threads or processes; {CONNECTIONS} connections; neither remembers what it has scanned."),
        Table("CPU of the servers for each file, ms", ["corpus", "Lazaret over HTTP", "clamd", "libclamav in processes", "clamd/Lazaret"], cpu_rows,
              "What else a machine does changes these less than files a second."),
        Table("Files a second over HTTP", ["corpus", "Lazaret", "the wrapper", "Lazaret/wrapper", "wrapper/Lazaret, CPU", "wrapper/clamdscan"], wrapped_rows,
              f"The wrapper is {WRAPPER} (bench/rest_wrapper): Python's threading HTTP server in front of the same clamd, a new connection to it for "
              "each request, JSON answers; the same load. CPU: of the wrapper and clamd together."),
        Table("Corpora and detections", ["corpus", "files", "MB", "digest", "clean", "infected", "unscannable", "not as clamd"], detections),
        table]
    section.plots.append(plot)
    section.notes += [f"Differs: {line}" for line in wrong[:50]]
    return section
