#!/usr/bin/env python3
"""Writes a made-up set of ClamAV signatures of the size and the shape of the official one (3.6 million).

Small test sets hide what a scan really costs, and the official set may not be passed on. Counts of each kind follow the
official set as of 2026 (main 63, daily 28129). No pattern can match a file except by accident: each ends in random bytes.
Detected are EICAR, the files of Debian's clamav-testfiles, and files with the marker of the benchmark's corpora.

The same seed and scale give the same bytes, on any machine with Python 3.11, whatever the number of processes.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kinds import SignatureLines  # noqa: E402

COUNTS = {
    "main.hdb": 40_600, "main.hsb": 1_168_500, "main.mdb": 2_007_000, "main.ndb": 50_200, "main.ldb": 20_700, "main.fp": 500,
    "daily.hsb": 95_000, "daily.mdb": 30_000, "daily.msb": 5, "daily.ldb": 230_000, "daily.ndb": 300, "daily.fp": 450,
}
WILD_HASHES = 40
BLOCK = 10_000  # lines that are drawn from one seed

# What the corpora carry where something is to be found; bench/corpora/make.py writes the same.
MARKER = b"lazaret-bench-marker-5d0c7e21a4f86b39"
# The 544 bytes that every file of clamav-testfiles has inside.
TEST_FILE_MD5 = "aa15bcf478d165efd2065190eb473bcb"


def eicar() -> bytes:
    """In pieces, so that this file is not taken for it."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"


def block_of(job: tuple[int, str, int, int, int]) -> str:
    seed, name, file_number, first, count = job
    lines = SignatureLines(f"{seed}/{name}/{first}", file_number * 10_000_000 + first)
    kind = name.rsplit(".", 1)[1]
    return "".join(lines.line(kind) + "\n" for _ in range(count))


def write_file(pool, directory: Path, seed: int, name: str, number: int, count: int) -> None:
    jobs = [(seed, name, number, first, min(BLOCK, count - first)) for first in range(0, count, BLOCK)]
    with open(directory / name, "w", encoding="latin-1", newline="\n") as file:
        for block in pool.imap(block_of, jobs):
            file.write(block)


def write_tests(directory: Path, seed: int) -> None:
    wild = SignatureLines(f"{seed}/wild", 900_000_000)
    (directory / "wild.hsb").write_text("".join(wild.wild_hash(number) + "\n" for number in range(WILD_HASHES)))
    (directory / "test.hdb").write_text(f"{hashlib.md5(eicar()).hexdigest()}:{len(eicar())}:Eicar-Test-Signature\n"
                                        f"{TEST_FILE_MD5}:544:ClamAV-Test-File\n")
    (directory / "test.ndb").write_text(f"Eicar-Test-Pattern:0:*:{eicar().hex()}\nLazaret-Bench-Marker:0:*:{MARKER.hex()}\n")


def already_there(directory: Path, recipe: dict) -> bool:
    try:
        return json.loads((directory / "recipe.json").read_text()) == recipe
    except (OSError, ValueError):
        return False


def generate(directory: Path, scale: float, seed: int, processes: int) -> int:
    """The number of signatures. What was written with the same arguments is left as it is."""
    counts = {name: max(1, int(count * scale)) for name, count in COUNTS.items()}
    total = sum(counts.values()) + WILD_HASHES + 4
    recipe = {"format": 1, "seed": seed, "scale": scale, "signatures": total}
    if already_there(directory, recipe):
        return total
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "recipe.json").unlink(missing_ok=True)
    done = 0
    with multiprocessing.Pool(processes) as pool:
        for number, (name, count) in enumerate(counts.items()):
            write_file(pool, directory, seed, name, number, count)
            done += count
            if sys.stderr.isatty():
                print(f"\r{done:,} of {total:,} signatures", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    write_tests(directory, seed)
    (directory / "recipe.json").write_text(json.dumps(recipe))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where to write; made when it is not there")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the official number of signatures (default 1.0)")
    parser.add_argument("--seed", type=int, default=1, help="another number gives another set (default 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="as many as cores, unless told")
    arguments = parser.parse_args()
    if arguments.scale <= 0 or arguments.processes < 1:
        parser.error("--scale and --processes must be positive")
    started = time.monotonic()
    total = generate(arguments.directory, arguments.scale, arguments.seed, arguments.processes)
    size = sum(file.stat().st_size for file in arguments.directory.iterdir())
    print(f"{total:,} signatures, {size / 1e6:.0f} MB in {arguments.directory}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
