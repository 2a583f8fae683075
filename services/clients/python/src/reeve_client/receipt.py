"""Checks receipts with public keys alone.

Hashes and proofs are RFC 6962's, checkpoints C2SP's tlog-checkpoint and signed-note, signatures
RFC 8032's Ed25519.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .errors import ReceiptWrong

_LOG = 1


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise ReceiptWrong("a field is not base64") from fault


def _read_key(line: str) -> tuple[str, bytes, bytes]:
    """A C2SP verifier key, `name+hash+key`: the name, the hash and the Ed25519 key."""
    match = re.fullmatch(r"([^+\s]+)\+([0-9a-f]{8})\+(\S+)", line.strip())
    if match is None:
        raise ReceiptWrong("a key is not of the form `name+hash+key`")
    name, key = match[1], _base64(match[3])
    number = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if len(key) != 33 or number.hex() != match[2]:
        raise ReceiptWrong(f"the key of `{name}` is damaged")
    return name, number, key


def _checkpoint(note: str, origin: str, keys: Iterable[str]) -> tuple[int, bytes]:
    """The size and root that the log's own signature covers."""
    body, blank, signatures = note.partition("\n\n")
    body += "\n"
    lines = body.split("\n")
    if not blank or len(lines) != 4 or not re.fullmatch(r"0|[1-9][0-9]*", lines[1]):
        raise ReceiptWrong("the checkpoint is none")
    if lines[0] != origin:
        raise ReceiptWrong("the checkpoint is another log's")
    own = [key for key in map(_read_key, keys) if key[0] == origin and key[2][0] == _LOG]
    if not own:
        raise ReceiptWrong(f"no key of the log `{origin}` is known")
    for line in signatures.splitlines():
        match = re.fullmatch(r"— (\S+) (\S+)", line)
        if match is None:
            raise ReceiptWrong("the checkpoint is none")
        signed = _base64(match[2])
        for name, number, key in own:
            if match[1] == name and signed[:4] == number:
                try:
                    Ed25519PublicKey.from_public_bytes(key[1:]).verify(signed[4:], body.encode())
                except InvalidSignature as fault:
                    raise ReceiptWrong("the log's signature does not hold") from fault
                return int(lines[1]), _base64(lines[2])
    raise ReceiptWrong("the log did not sign the checkpoint")


def _root(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """The root that a proof leads to (RFC 9162, 2.1.3.2)."""
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        at, last = at >> 1, last >> 1
    return found if last == 0 else None


def verify_receipt(receipt: Mapping[str, Any], keys: Iterable[str]) -> Any:
    """Checks that a record stands in the log; returns the record, or none if the receipt leaves it
    out or it is no JSON. Raises `ReceiptWrong`, saying what does not hold."""
    try:
        origin, index = str(receipt["origin"]), int(receipt["index"])
        size, leaf = int(receipt["tree_size"]), bytes.fromhex(receipt["leaf_hash"])
        proof = [bytes.fromhex(part) for part in receipt["proof"]]
        note, entry = str(receipt["checkpoint"]), receipt.get("entry")
    except (KeyError, TypeError, ValueError) as fault:
        raise ReceiptWrong("a field is missing or cannot be read") from fault
    signed_size, root = _checkpoint(note, origin, list(keys))
    if signed_size != size:
        raise ReceiptWrong("the checkpoint is of another size than the proof")
    record = None
    if entry is not None:
        content = _base64(entry)
        if hashlib.sha256(b"\x00" + content).digest() != leaf:
            raise ReceiptWrong("the record is not the one that was recorded")
        try:
            record = json.loads(content)
        except ValueError:
            # It proves what it proves, whatever it is.
            record = None
    if not 0 <= index < size or _root(leaf, index, size, proof) != root:
        raise ReceiptWrong("the record is not in the log at that place")
    return record
