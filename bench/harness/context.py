"""What every section of the benchmark needs to know, and the line that tells what it is doing."""

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path


class BenchFailed(Exception):
    """A measurement that cannot be believed, or a program that is missing: the section has no result."""


class Progress:
    """One line on standard error that says what is being measured: rewritten on a terminal, else one a step."""

    def __init__(self):
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def step(self, text: str) -> None:
        line = f"[{time.monotonic() - self._started:5.0f} s] {text}"
        if self._terminal:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@dataclass
class Context:
    root: Path       # of the repository
    programs: Path   # where lazaret, lazaret_load and lazaret_direct_scan are
    work: Path       # signatures, corpora, data of servers; on a real disk
    quick: bool
    rounds: int
    seed: int = 1
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    progress: Progress = field(default_factory=Progress)

    def pick(self, full, quick):
        """The steps of a full run, or the shorter ones of --quick."""
        return quick if self.quick else full

    def program(self, name: str) -> Path:
        path = self.programs / name
        if not os.access(path, os.X_OK):
            raise BenchFailed(f"{path} is missing: cmake --preset release -DLAZARET_BENCHMARKS=ON && cmake --build --preset release")
        return path
