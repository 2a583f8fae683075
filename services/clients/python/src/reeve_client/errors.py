"""What can go wrong."""

from __future__ import annotations

from typing import Any


class ReeveError(Exception):
    """Any of them."""


class Unreachable(ReeveError):
    """No answer came in time. Whether the call was made is not known; its idempotency key makes
    calling again safe."""


class ReceiptWrong(ReeveError):
    """A receipt proves nothing; the message says why."""


class Refused(ReeveError):
    """The call was refused, or failed; every such answer leaves a record under `decision_id`."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after: float | None) -> None:
        self.status = status
        self.code: str = problem.get("code", "unknown")
        self.title: str = problem.get("title", "")
        self.detail: str | None = problem.get("detail")
        self.decision_id: str | None = problem.get("decision_id")
        self.errors: list[dict[str, str]] = problem.get("errors", [])
        self.rules: list[dict[str, str]] = problem.get("rules", [])
        self.retry_after = retry_after
        fields = [f"`{error['field']}` {error['message']}" for error in self.errors]
        reasons = [rule["reason"] for rule in self.rules]
        words = [self.title, self.detail, *fields, *reasons]
        super().__init__(f"{self.code}: {' '.join(word for word in words if word)}")
