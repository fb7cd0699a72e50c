"""Looks at something again and again beside a measurement."""

import threading
from collections.abc import Callable


class Watch:
    """What `ask()` returned, while the `with` block lasts. A busy server may take its time to answer, and a process may end meanwhile:
    what cannot be had is left out."""

    def __init__(self, ask: Callable[[], float], pause_s: float = 0.5):
        self.values: list[float] = []
        self._ask, self._pause_s, self._over = ask, pause_s, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    @property
    def highest(self) -> float:
        return max(self.values, default=0.0)

    @property
    def lowest(self) -> float:
        return min(self.values, default=0.0)

    @property
    def mean(self) -> float:
        return sum(self.values) / max(len(self.values), 1)

    def _run(self) -> None:
        while not self._over.wait(self._pause_s):
            try:
                self.values.append(self._ask())
            except (OSError, KeyError):
                pass
