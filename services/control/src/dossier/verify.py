#!/usr/bin/env python3
"""Checks an unpacked evidence bundle: `verify.py DIRECTORY`. Needs Python 3.8 and nothing else.

Hashes and proofs are RFC 6962's, checkpoints C2SP's tlog-checkpoint and signed-note, signatures
RFC 8032's Ed25519. Exit status 0: everything holds; 1: something does not.
"""

import base64
import hashlib
import json
import pathlib
import sys

# Ed25519 as in RFC 8032, section 5.1, for verification only.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decompress(data):
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519_holds(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = decompress(key), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = multiply(s, BASE), add(r, multiply(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % P == 0


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def read_key(text):
    name, key_id, key = text.strip().split("+", 2)
    key = base64.b64decode(key)
    if key[:1] != b"\x01" or sha256(name.encode() + b"\n" + key)[:4].hex() != key_id:
        raise ValueError("not an Ed25519 verifier key")
    return name, bytes.fromhex(key_id), key[1:]


def read_checkpoint(note, key):
    name, key_id, public = key
    body, signatures = note.split("\n\n", 1)
    body += "\n"
    for line in signatures.splitlines():
        _, signer, signed = line.split(" ", 2)
        signed = base64.b64decode(signed)
        if signer == name and signed[:4] == key_id:
            if not ed25519_holds(public, body.encode(), signed[4:]):
                raise ValueError("the checkpoint's signature does not hold")
            origin, size, root = body.splitlines()[:3]
            if origin != name:
                raise ValueError("the checkpoint is of another log")
            return int(size), base64.b64decode(root)
    raise ValueError("the checkpoint is not signed by the log's key")


def root_of(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        raise ValueError("the index is beyond the tree")
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            value = sha256(b"\x01", sibling, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = sha256(b"\x01", value, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return value


def check_receipt(line, checkpoint, size, root):
    receipt = json.loads(line)
    if receipt["checkpoint"] != checkpoint or receipt["tree_size"] != size:
        raise ValueError("it is under another checkpoint")
    leaf = sha256(b"\x00", base64.b64decode(receipt["entry"]))
    if leaf.hex() != receipt["leaf_hash"]:
        raise ValueError("the record is not the one that was recorded")
    proof = [bytes.fromhex(sibling) for sibling in receipt["proof"]]
    if root_of(leaf, receipt["index"], size, proof) != root:
        raise ValueError("the proof does not lead to the checkpoint's root")


def main(directory):
    wrong = 0

    def find(text):
        nonlocal wrong
        wrong += 1
        print(text)

    manifest = json.loads((directory / "manifest.json").read_text())
    files = manifest["files"]
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name != "manifest.json" and name not in files:
            find(f"{name}: is not in the manifest")
    for name, digest in sorted(files.items()):
        path = directory / name
        if not path.is_file():
            find(f"{name}: is missing")
        elif "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            find(f"{name}: is not the file of the manifest")
    for origin, count in sorted(manifest["receipts"].items()):
        log = directory / "logs" / origin
        held = 0
        try:
            key_text = (log / "log.pub").read_text()
            note = (log / "checkpoint").read_text()
            size, root = read_checkpoint(note, read_key(key_text))
        except (OSError, ValueError) as fault:
            find(f"logs/{origin}: {fault}")
            continue
        with (log / "receipts.jsonl").open() as lines:
            for number, line in enumerate(lines, 1):
                try:
                    check_receipt(line, note, size, root)
                    held += 1
                except (ValueError, KeyError) as fault:
                    find(f"logs/{origin}/receipts.jsonl line {number}: {fault}")
        if held != count:
            find(f"logs/{origin}: {held} of {count} receipts hold")
        print(f"{origin}: {held} records hold under the key {key_text.strip()}")
    print("nothing is wrong" if not wrong else f"{wrong} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
