"""Measurements in turn, so that what else the machine does meets all of them alike."""

import statistics
from collections.abc import Callable

from .context import Context


def in_turn(context: Context, what: str, runners: dict[str, Callable[[], float]], rounds: int | None = None) -> dict[str, list[float]]:
    """What each runner returned in each round. Every other round goes backwards: no one always comes behind the same other."""
    results: dict[str, list[float]] = {name: [] for name in runners}
    total = rounds or context.rounds
    for number in range(total):
        for name in list(runners)[:: 1 if number % 2 == 0 else -1]:
            context.progress.step(f"{what}: {name}, round {number + 1} of {total}")
            results[name].append(runners[name]())
    return results


def ratio(results: dict[str, list[float]], of: str, to: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(results[of], results[to]))


def median(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], digits: int = 0) -> str:
    """"median (least-most)"."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"
