"""The client, and the same with `await`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from .errors import Refused, Unreachable
from .retry import Budget, Course

if TYPE_CHECKING:
    from .types import Classified, DecisionView, ModelView, UsageDay

Texts = str | Iterable[str]


def _question(
    texts: Texts,
    model: str,
    top_k: int,
    explain: bool,
    purpose: str | None,
    subject: str | None,
    subject_country: str | None,
    consents: Iterable[str],
    idempotency_key: str | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    body = {"model": model, "input": texts if isinstance(texts, str) else list(texts), "top_k": top_k}
    if explain:
        body["explain"] = True
    headers = {
        "Idempotency-Key": idempotency_key or str(uuid.uuid4()),
        "Reeve-Purpose": purpose,
        "Reeve-Subject": subject,
        "Reeve-Subject-Country": subject_country,
        "Reeve-Consents": ",".join(consents) or None,
    }
    return body, {name: value for name, value in headers.items() if value is not None}


def _read(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json()
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    after = response.headers.get("Retry-After", "")
    retry_after = float(after) if after.isdigit() else None
    raise Refused(response.status_code, problem if isinstance(problem, dict) else {}, retry_after)


def _unreachable(fault: httpx.HTTPError) -> Unreachable:
    return Unreachable(str(fault) or type(fault).__name__)


class _Common:
    def __init__(self, base_url: str, key: str, timeout: float) -> None:
        self._budget, self._timeout = Budget(), timeout
        self._options = {
            "base_url": base_url.rstrip("/"),
            "headers": {"Authorization": f"Bearer {key}", "User-Agent": "reeve-client/0.1.0"},
        }

    def _with_deadline(self, headers: Mapping[str, str], course: Course) -> dict[str, str]:
        # What nobody waits for any more is not computed.
        return {**headers, "Reeve-Deadline-Ms": str(max(int(course.left() * 1000), 1))}


class Reeve(_Common):
    """Calls a gateway. Threads may share it. `timeout` is for a call as a whole, in seconds."""

    def __init__(self, base_url: str, *, key: str, timeout: float = 30.0) -> None:
        super().__init__(base_url, key, timeout)
        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Reeve:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def classify(
        self,
        texts: Texts,
        *,
        model: str,
        top_k: int = 1,
        explain: bool = False,
        purpose: str | None = None,
        subject: str | None = None,
        subject_country: str | None = None,
        consents: Iterable[str] = (),
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Classified:
        """Classifies a text, or up to 1,000 in their order; at most 16 if they are to be explained."""
        body, headers = _question(
            texts, model, top_k, explain, purpose, subject, subject_country, consents, idempotency_key
        )
        return self._call("POST", "/v1/classify", timeout, json=body, headers=headers)

    def models(self) -> list[ModelView]:
        """The models that you may use."""
        return self._call("GET", "/v1/models")["models"]

    def usage(self, since: str | None = None, until: str | None = None) -> list[UsageDay]:
        """What you used, by day (`2026-11-01`), model and region; this month if no days are given."""
        days = {name: day for name, day in {"from": since, "until": until}.items() if day}
        return self._call("GET", "/v1/usage", params=days)["rows"]

    def decision(self, decision_id: str) -> DecisionView:
        """One of your decisions, explained."""
        return self._call("GET", f"/v1/decisions/{quote(decision_id, safe='')}")

    def receipts(self, decision_id: str) -> list[dict[str, Any]]:
        """The proofs that a call's records stand in the log; `verify_receipt` checks them offline."""
        return self._call("GET", f"/v1/receipts/{quote(decision_id, safe='')}")["receipts"]

    def _call(
        self,
        method: str,
        path: str,
        timeout: float | None = None,
        headers: Mapping[str, str] = {},
        **more: Any,
    ) -> Any:
        course = Course(self._budget, timeout or self._timeout)
        while True:
            try:
                sent = self._with_deadline(headers, course)
                return _read(
                    self._http.request(method, path, headers=sent, timeout=course.left(), **more)
                )
            except httpx.HTTPError as error:
                fault: Exception = _unreachable(error)
                fault.__cause__ = error
            except Refused as refused:
                fault = refused
            wait = course.wait(fault)
            if wait is None:
                raise fault
            time.sleep(wait)


class AsyncReeve(_Common):
    """The same for asyncio."""

    def __init__(self, base_url: str, *, key: str, timeout: float = 30.0) -> None:
        super().__init__(base_url, key, timeout)
        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> AsyncReeve:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def classify(
        self,
        texts: Texts,
        *,
        model: str,
        top_k: int = 1,
        explain: bool = False,
        purpose: str | None = None,
        subject: str | None = None,
        subject_country: str | None = None,
        consents: Iterable[str] = (),
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Classified:
        """Classifies a text, or up to 1,000 in their order; at most 16 if they are to be explained."""
        body, headers = _question(
            texts, model, top_k, explain, purpose, subject, subject_country, consents, idempotency_key
        )
        return await self._call("POST", "/v1/classify", timeout, json=body, headers=headers)

    async def models(self) -> list[ModelView]:
        """The models that you may use."""
        return (await self._call("GET", "/v1/models"))["models"]

    async def usage(self, since: str | None = None, until: str | None = None) -> list[UsageDay]:
        """What you used, by day (`2026-11-01`), model and region; this month if no days are given."""
        days = {name: day for name, day in {"from": since, "until": until}.items() if day}
        return (await self._call("GET", "/v1/usage", params=days))["rows"]

    async def decision(self, decision_id: str) -> DecisionView:
        """One of your decisions, explained."""
        return await self._call("GET", f"/v1/decisions/{quote(decision_id, safe='')}")

    async def receipts(self, decision_id: str) -> list[dict[str, Any]]:
        """The proofs that a call's records stand in the log; `verify_receipt` checks them offline."""
        told = await self._call("GET", f"/v1/receipts/{quote(decision_id, safe='')}")
        return told["receipts"]

    async def _call(
        self,
        method: str,
        path: str,
        timeout: float | None = None,
        headers: Mapping[str, str] = {},
        **more: Any,
    ) -> Any:
        course = Course(self._budget, timeout or self._timeout)
        while True:
            try:
                sent = self._with_deadline(headers, course)
                return _read(
                    await self._http.request(
                        method, path, headers=sent, timeout=course.left(), **more
                    )
                )
            except httpx.HTTPError as error:
                fault: Exception = _unreachable(error)
                fault.__cause__ = error
            except Refused as refused:
                fault = refused
            wait = course.wait(fault)
            if wait is None:
                raise fault
            await asyncio.sleep(wait)
