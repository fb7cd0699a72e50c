"""The Redis client beside redis-benchmark with the same pipelining."""

import subprocess

from harness import processes, rounds
from harness.context import Context
from harness.report import Section, Table
from harness.servers import Redis

BYTES, TASKS = 300, 64


def run(context: Context) -> Section:
    commands = str(context.pick(1_000_000, 200_000))
    client, benchmark = context.program("redis_client_benchmark"), processes.find("redis-benchmark", "redis-tools")
    with Redis(context, "redis") as server:
        subprocess.run([processes.find("redis-cli", "redis-tools"), "-s", server.socket, "set", "key:__rand_int__", "x" * BYTES], check=True, capture_output=True)

        def baseline() -> float:
            done = subprocess.run([benchmark, "-s", server.socket, "-c", "1", "-P", str(TASKS), "-n", commands, "--csv", "get", "key:__rand_int__"],
                                  capture_output=True, text=True, check=True)
            return float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))

        def ours(*more: str) -> float:
            done = subprocess.run([client, f"unix:{server.socket}", "key:__rand_int__", commands, str(TASKS), *more],
                                  capture_output=True, text=True, check=True)
            return float(done.stdout.split()[0])

        def hits() -> float:
            done = subprocess.run([context.program("redis_hits"), f"unix:{server.socket}", commands, str(TASKS)], capture_output=True, text=True, check=True)
            return float(done.stdout)

        results = rounds.in_turn(context, "redis", {"redis-benchmark": baseline, "the client": ours,
                                                    "the client, callers on another thread": lambda: ours("elsewhere"),
                                                    "verdicts found": hits})
    rows = [[name, rounds.spread(values), f"{rounds.ratio(results, name, 'redis-benchmark'):.2f}"] for name, values in results.items()]
    return Section("Redis client", [Table(f"GETs of {BYTES} bytes a second, one connection, {TASKS} under way", ["", "GETs/s", "of redis-benchmark"], rows)])
