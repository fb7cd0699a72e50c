"""Contents whose verdict is known, beside a web server that does nothing and the same server without hashing."""

import re
import subprocess
import time

from harness import load, processes, rounds
from harness.context import BenchFailed, Context
from harness.report import Aim, Plot, Section, Table
from harness.servers import Lazaret, Nginx

KIB, MIB = 1024, 1024 * 1024


class Measured:
    """Answers a second, and what the server computes for each."""

    def __init__(self, context: Context, server, path: str, options: dict):
        self._context, self._server, self._url, self._options = context, server, server.url + path, options
        self.micros: list[float] = []
        self.results: list[dict] = []

    def rate(self) -> float:
        before = self._server.cpu_seconds()
        result = load.run(self._context, self._url, duration=self._context.pick(4, 1.5), **self._options)
        self.micros.append((self._server.cpu_seconds() - before) / max(result["answers"], 1) * 1e6)
        self.results.append(result)
        return result["rate"]

    def latency(self, name: str) -> str:
        return f"{rounds.median([result['latency_ms'][name] for result in self.results]):.2f}"


def sha256_mb_s(size: int) -> float:
    """What `openssl speed` says."""
    done = subprocess.run([processes.find("openssl", "openssl"), "speed", "-seconds", "1", "-bytes", str(size), "-evp", "sha256"],
                          capture_output=True, text=True, check=True)
    if found := re.search(r"^sha256\s+([0-9.]+)k", done.stdout, re.MULTILINE | re.IGNORECASE):
        return float(found.group(1)) / 1000
    raise BenchFailed(f"openssl speed printed something else: {done.stdout}")


def latency_plot(context: Context, server: Lazaret, highest: float) -> tuple[Table, Plot]:
    series: dict[str, list[tuple[float, float]]] = {"p50": [], "p99": [], "p99.9": []}
    rows = []
    for share in context.pick([0.1, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9], [0.2, 0.5, 0.8]):
        rate = highest * share
        context.progress.step(f"hits: {rate:.0f} a second")
        started, cpu = time.monotonic(), server.cpu_seconds()
        result = load.run(context, server.url, body_size=KIB, rate=round(rate), poisson=True, connections=200,
                          duration=context.pick(8, 2), warm_up=0.5)
        cores = (server.cpu_seconds() - cpu) / (time.monotonic() - started)
        latency = result["latency_ms"]
        if not load.is_limited(result):
            for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
                series[name].append((rate, latency[key]))
        rows.append([f"{share:.0%}", f"{rate:,.0f}", f"{result['rate']:,.0f}", f"{latency['p50']:.2f}", f"{latency['p99']:.2f}",
                     f"{latency['p999']:.2f}", f"{result['missed']:,}", f"{cores:.2f}", load.busy(result)])
    table = Table("Known 1 KiB contents at random times (open loop; latency from the intended beginning)",
                  ["of the closed loop's rate", "offered/s", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "missed", "server, cores", "generator"], rows,
                  f"Missed: did not begin in time, and are in the latencies with the time they had waited. {load.BUSY_NOTE}")
    return table, Plot("hits-latency", "Known 1 KiB contents: latency against load", "requests a second", "latency, ms", series, log_y=True)


def cpu_ratio(measured: dict[str, Measured], who: str) -> float:
    """How much more than Lazaret `who` computes for an answer."""
    return rounds.ratio({name: each.micros for name, each in measured.items()}, who, "Lazaret")


def aim(what: str, wanted: str, figures: str, reached: bool, measured: dict[str, Measured], names: tuple[str, str]) -> Aim:
    """Not reached where the generator was the limit: the figures are of it."""
    limited = any(load.is_limited(*measured[name].results) for name in names)
    return Aim(what, wanted, figures + ("; limited by the load generator" if limited else ""), reached and not limited)


def run(context: Context) -> Section:
    section = Section("Known contents")
    no_hash = {"LD_PRELOAD": str(context.programs / "lazaret_no_hash.so")}
    if not (context.programs / "lazaret_no_hash.so").exists():
        raise BenchFailed("lazaret_no_hash.so is missing: build with -DLAZARET_BENCHMARKS=ON")
    rows, rates, all_measured = [], {}, {}
    with (Lazaret(context, None) as server, Lazaret(context, None, environment=no_hash) as unhashed, Nginx(context, "nginx") as nginx):
        for size in (KIB, MIB):
            load.run(context, server.url, body_size=size, requests=1)
        load.run(context, unhashed.url, body_size=KIB, requests=1)
        for name, path, options in (
                ("POST 1 KiB", "", {"body_size": KIB}),
                ("POST 1 MiB", "", {"body_size": MIB}),
                ("POST 1 KiB, digest first", "", {"body_size": KIB, "hash_first": True}),
                ("GET of the scan", "/v1/scans/{id}", {"body_size": KIB, "get": True})):
            # All of these answers are looked at, but not while the rates are compared: to read a verdict costs the load
            # generator, on the same cores, more than to read two letters.
            load.run(context, server.url + path, **options, connections=32, requests=1000, warm_up=0, expect="clean")
            options = {**options, "connections": 32, "expect": "nothing"}
            measured = {"Lazaret": Measured(context, server, path, options)}
            if "hash_first" in options:
                load.run(context, server.url + path, **{**options, "body_size": MIB, "expect": "clean"}, requests=1000, warm_up=0)
                measured["the same, 1 MiB"] = Measured(context, server, path, {**options, "body_size": MIB})
            else:
                measured["nginx"] = Measured(context, nginx, path or "/", options)
            if "get" not in options and "hash_first" not in options:
                measured["without hashing"] = Measured(context, unhashed, path, options)
            results = rounds.in_turn(context, f"hits, {name}", {who: each.rate for who, each in measured.items()})
            rates[name] = results
            for who, each in measured.items():
                rows.append([name if who == "Lazaret" else "", who, rounds.spread(results[who]), f"{rounds.ratio(results, 'Lazaret', who):.2f}",
                             f"{cpu_ratio(measured, who):.2f}", f"{rounds.median(each.micros):.1f}", each.latency("p50"), each.latency("p99"),
                             load.busy(*each.results)])
            all_measured[name] = measured
        table, plot = latency_plot(context, server, rounds.median(rates["POST 1 KiB"]["Lazaret"]))
    context.progress.step("hits: openssl speed")
    sha = {size: sha256_mb_s(size) for size in (KIB, MIB)}
    small = rounds.ratio(rates["POST 1 KiB"], "Lazaret", "nginx")
    big = rounds.ratio(rates["POST 1 MiB"], "Lazaret", "without hashing")
    first = rounds.ratio(rates["POST 1 KiB, digest first"], "the same, 1 MiB", "Lazaret")
    small_cpu = cpu_ratio(all_measured["POST 1 KiB"], "nginx")
    big_cpu = cpu_ratio(all_measured["POST 1 MiB"], "without hashing")
    section.aims += [aim("Hits, 1 KiB: requests a second, of nginx's `return 200`", "1.00", f"{small:.2f}; by the servers' CPU for each answer {small_cpu:.2f}",
                         small >= 1, all_measured["POST 1 KiB"], ("Lazaret", "nginx")),
                     aim("Hits, 1 MiB: of the same server without hashing", "0.80", f"{big:.2f}; by the servers' CPU for each answer {big_cpu:.2f}",
                         big >= 0.8, all_measured["POST 1 MiB"], ("Lazaret", "without hashing")),
                     aim("Hits with the digest first: 1 MiB, of 1 KiB", "0.95 or more", f"{first:.2f}", first >= 0.95,
                         all_measured["POST 1 KiB, digest first"], ("Lazaret", "the same, 1 MiB"))]
    section.tables += [Table("Requests a second, 32 connections",
                             ["request", "server", "requests/s", "Lazaret is, by rate", "by CPU", "CPU us each", "p50 ms", "p99 ms", "generator"], rows,
                             "The load generator has its share of the same cores, which draws the ratio of rates towards 1. CPU: of the server's processes, for each "
                             f"answer; by CPU: the other's through Lazaret's. {load.BUSY_NOTE}"),
                       table,
                       Table("SHA-256 of one core (openssl speed)", ["block", "MB/s", "a 1 MiB body takes, us"],
                             [[f"{size} bytes", f"{speed:,.0f}", f"{MIB / speed:,.0f}"] for size, speed in sha.items()])]
    section.plots.append(plot)
    section.notes.append("Without hashing: the same program with `EVP_DigestUpdate` replaced by nothing (bench/no_hash), so that all bodies have one digest, whose verdict is known.")
    return section
