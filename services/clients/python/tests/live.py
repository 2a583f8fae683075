"""The client against a running Reeve: live.py CONFIGURATION, as `tests/it/clients.rs` calls it."""

import asyncio
import json
import pathlib
import sys
import time

from reeve_client import AsyncReeve, ReceiptWrong, Reeve, Refused, Unreachable, verify_receipt

CONFIG = json.loads(sys.argv[1])
GATEWAY, KEYS, MODEL = CONFIG["gateway"], CONFIG["keys"], CONFIG["model"]


def refused(call):
    try:
        call()
    except Refused as fault:
        assert fault.decision_id.startswith("dec_"), fault
        return fault
    raise AssertionError("it was not refused")


def wrong(receipt, keys):
    try:
        verify_receipt(receipt, keys)
    except ReceiptWrong:
        return
    raise AssertionError(f"a wrong receipt holds: {receipt}")


def proofs(reeve, decision):
    end = time.monotonic() + 10
    while True:
        try:
            return reeve.receipts(decision)
        except Refused as fault:
            assert fault.code == "not-found" and time.monotonic() < end, fault
            time.sleep(0.1)


def independent():
    """Receipts that another implementation of a log made."""
    root = pathlib.Path(__file__).parents[4]
    fixture = json.loads((root / "web-admin/src/receipt/fixture.json").read_text())
    for receipt in fixture["receipts"]:
        verify_receipt(receipt, fixture["keys"])
        wrong({**receipt, "index": receipt["index"] ^ 1}, fixture["keys"])
        wrong(receipt, fixture["keys"][1:])


def open_scene():
    independent()
    with Reeve(GATEWAY, key=KEYS["good"]) as reeve:
        answer = reeve.classify(["my parcel never came", "我要退款"], model=MODEL, top_k=2, subject="p7")
        assert [len(result["labels"]) for result in answer["results"]] == [2, 2], answer
        many = reeve.classify((f"text {n}" for n in range(1000)), model=MODEL)
        assert many["usage"]["items"] == 1000
        assert reeve.models()[0]["name"] == MODEL
        first = reeve.classify("once", model=MODEL, idempotency_key="k1")
        assert reeve.classify("once", model=MODEL, idempotency_key="k1")["id"] == first["id"]
        assert refused(lambda: reeve.classify("twice", model=MODEL, idempotency_key="k1")).status == 409
        denied = refused(lambda: reeve.classify("hello", model=MODEL, purpose="social-scoring"))
        assert (denied.status, denied.code) == (403, "denied-by-policy") and denied.rules, denied
        unscoped = refused(lambda: reeve.classify("why", model=MODEL, explain=True))
        assert (unscoped.status, unscoped.code) == (403, "missing-scope"), unscoped
        invalid = refused(lambda: reeve.classify([], model=MODEL))
        assert invalid.errors[0]["field"] == "input", invalid.errors

        receipts = proofs(reeve, answer["id"])
        records = [verify_receipt(receipt, [KEYS["log"]]) for receipt in receipts]
        assert [next(iter(record.values())) for record in records] or records
        assert any(receipt["leaf_hash"] == answer["governance"]["receipt"]["leaf_hash"] for receipt in receipts)
        whole = receipts[0]
        other_key = KEYS["log"].replace("gateway-1", "gateway-9")
        wrong(whole, [])
        wrong(whole, [other_key])
        wrong({**whole, "index": whole["index"] + 1}, [KEYS["log"]])
        wrong({**whole, "tree_size": whole["tree_size"] + 1}, [KEYS["log"]])
        wrong({**whole, "leaf_hash": "00" * 32}, [KEYS["log"]])
        wrong({**whole, "proof": whole["proof"][:-1]}, [KEYS["log"]])
        wrong({**whole, "entry": receipts[1]["entry"]}, [KEYS["log"]])
        at = whole["checkpoint"].rindex("=") - 8
        letter = "A" if whole["checkpoint"][at] != "A" else "B"
        wrong({**whole, "checkpoint": whole["checkpoint"][:at] + letter + whole["checkpoint"][at + 1 :]}, [KEYS["log"]])
        assert reeve.decision(answer["id"])["status"] == "completed"
        assert sum(day["calls"] for day in reeve.usage()) > 0

    with Reeve(GATEWAY, key=KEYS["wrong"]) as reeve:
        assert refused(lambda: reeve.models()).code == "invalid-credential"

    # Ten at once and five a second: what is refused for the moment is waited out.
    with Reeve(GATEWAY, key=KEYS["small"], timeout=20) as reeve:
        for n in range(14):
            reeve.classify(f"call {n}", model=MODEL)
    asyncio.run(together())
    with Reeve("http://127.0.0.1:9", key="k", timeout=1) as reeve:
        begun = time.monotonic()
        try:
            reeve.models()
            raise AssertionError("somebody listens at port 9")
        except Unreachable:
            assert time.monotonic() - begun < 3


async def together():
    async with AsyncReeve(GATEWAY, key=KEYS["good"]) as reeve:
        answers = await asyncio.gather(*(reeve.classify(f"text {n}", model=MODEL) for n in range(20)))
        assert len({answer["id"] for answer in answers}) == 20


def closed_scene():
    with Reeve(GATEWAY, key=KEYS["good"], timeout=3) as reeve:
        begun = time.monotonic()
        fault = refused(lambda: reeve.classify("hello", model=MODEL))
        assert (fault.status, fault.code) == (503, "no-pod-in-permitted-region"), fault
        assert fault.retry_after and 0.5 < time.monotonic() - begun < 4, "it tried again in its time"


{"open": open_scene, "closed": closed_scene}[CONFIG["scene"]]()
print("reeve-client:", CONFIG["scene"], "as it should be")
