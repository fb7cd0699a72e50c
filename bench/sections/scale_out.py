"""One Redis and 1 to 64 workers whose engine only waits."""

import csv
import io
import subprocess

from harness.context import Context
from harness.report import Section, Table
from harness.servers import Redis

SCAN_MS = 20
WORKERS = ["1", "2", "4", "8", "16", "32", "64"]


def run(context: Context) -> Section:
    jobs = str(context.pick(20_000, 2_000))
    with Redis(context, "scale-out") as server:
        done = subprocess.run([context.program("scale_out"), f"unix:{server.socket}", jobs, str(SCAN_MS), *WORKERS],
                              capture_output=True, text=True, check=True)
    rows = [[row["workers"], row["jobs_per_s"], row["most_jobs_per_s"],
             f"{float(row['jobs_per_s']) / float(row['most_jobs_per_s']):.2f}", row["round_trips_per_job"], row["submits_per_s"]]
            for row in csv.DictReader(io.StringIO(done.stdout))]
    return Section("Scale-out", [Table(
        f"Jobs of 4 KiB a second through one Redis, an engine that waits {SCAN_MS} ms, 3 scans at once on each worker",
        ["workers", "jobs/s", "if only the engine counted", "ratio", "round trips a job", "submits/s before that"], rows,
        "Redis, all workers and the submitter share the cores of this machine: where the curve bends, those are used up.")])
