"""When a call is made again, and after how long."""

from __future__ import annotations

import random
import threading
import time

from .errors import Refused

#: Statuses that may be other ones a moment later.
PASSING = {429, 502, 503, 504}
#: The month's end does not come within a call.
LASTING = {"quota-exhausted", "budget-exhausted", "model-stopped", "region-stopped"}


class Budget:
    """At most one retry for every ten calls, and ten more."""

    def __init__(self, first: float = 10.0, share: float = 0.1, most: float = 20.0) -> None:
        self._left, self._share, self._most = first, share, most
        self._lock = threading.Lock()

    def called(self) -> None:
        with self._lock:
            self._left = min(self._left + self._share, self._most)

    def take(self) -> bool:
        with self._lock:
            enough = self._left >= 1
            self._left -= 1 if enough else 0
            return enough


class Course:
    """One call's attempts within its time."""

    def __init__(self, budget: Budget, timeout: float) -> None:
        self._budget, self._attempt = budget, 0
        self._end = time.monotonic() + timeout
        budget.called()

    def left(self) -> float:
        return max(self._end - time.monotonic(), 0.001)

    def wait(self, fault: Exception) -> float | None:
        """How long to wait before calling again; none if the fault is the answer."""
        asked = None
        if isinstance(fault, Refused):
            under_way = fault.code == "conflict"
            if fault.code in LASTING or (fault.status not in PASSING and not under_way):
                return None
            asked = fault.retry_after
        self._attempt += 1
        # Full jitter, so that clients that were refused together do not come back together.
        own = random.uniform(0, min(0.1 * 2**self._attempt, 5.0))
        wait = own if asked is None else asked + own / 4
        if wait >= self.left() or not self._budget.take():
            return None
        return wait
