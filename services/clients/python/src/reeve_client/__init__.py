"""Classify texts under policy with Reeve, and check the receipts offline."""

from .client import AsyncReeve, Reeve
from .errors import ReceiptWrong, ReeveError, Refused, Unreachable
from .receipt import verify_receipt

__all__ = [
    "AsyncReeve",
    "ReceiptWrong",
    "Reeve",
    "ReeveError",
    "Refused",
    "Unreachable",
    "verify_receipt",
]
