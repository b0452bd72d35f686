"""Signed meter values as they occur in the field, and their bytes on the wire."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

STRING = r'"(?:[^"\\]|\\.)*"'
VALUE = re.compile(rf'"value"\s*:\s*({STRING})')


def digests(text: str) -> list[str]:
    """SHA-256 of each `value` in a frame, with quotes and escapes as on the wire."""
    return [digest(token) for token in VALUE.findall(text)]


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Meter:
    """Signs readings with a key of its own, as the meter in a KEBA KeContact P30 does."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.DER, form).hex()

    def reading(self, kind: str, register: float, number: int) -> dict:
        stamp = f"2026-08-13T10:03:{number % 60:02},000+0000 S"
        return {"TM": stamp, "TX": kind, "RV": register, "RI": "1-b:1.8.0", "RU": "kWh",
                "EI": number, "ST": "G"}

    def ocmf(self, readings: int = 2) -> str:
        kinds = ["B"] + ["C"] * (readings - 2) + ["E"]
        payload = json.dumps({
            "FV": "1.0", "GI": "KEBA_KCP30", "GS": "17619300", "GV": "2.8.5", "PG": "T32",
            "MV": "Carlo Gavazzi", "MM": "EM340-DIN.AV2.3.X.S1.PF", "MS": "******240084S",
            "MF": "1.0", "IS": True, "IL": "TRUSTED", "IF": ["RFID_PLAIN", "OCPP_RS_TLS"],
            "IT": "ISO14443", "ID": "56213C05",
            "RD": [self.reading(kind, round(0.2596 + at / 10, 4), at)
                   for at, kind in enumerate(kinds)],
        }, separators=(",", ":"))
        signature = self.key.sign(payload.encode(), ec.ECDSA(hashes.SHA256())).hex()
        return f'OCMF|{payload}|{{"SA":"ECDSA-secp256r1-SHA256","SD":"{signature}"}}'


def edl40() -> str:
    """An SML file, in hex."""
    body = "760700110cbf63e26200620072630101760107ffffffffffff0700110cbf63e2"
    return f"1b1b1b1b01010101{body}{secrets.token_hex(380)}0000001b1b1b1b1a0391a5"


def alfen() -> str:
    def field(size: int) -> str:
        return base64.b32encode(secrets.token_bytes(size)).decode()

    return f"AP;0;3;{field(25)};{field(82)};{field(48)};"


def wrapped(meter: Meter) -> str:
    """As in the application note "Signed Meter Values in OCPP"."""
    key = f"oca:base16:asn1:{meter.public_key}"
    return json.dumps({
        "signedMeterData": base64.b64encode(meter.ocmf().encode()).decode(),
        "signingMethod": "ECDSA-secp256r1-SHA256",
        "encodingMethod": "OCMF",
        "publicKey": base64.b64encode(key.encode()).decode(),
    })


def escaped(text: str) -> str:
    """The JSON string that a careful wallbox writes: slashes escaped, and all but ASCII."""
    return json.dumps(text).replace("/", r"\/")


def tokens(meter: Meter) -> dict[str, str]:
    """Values by the name of their form, as they stand on the wire."""
    long = meter.ocmf(readings=110)
    assert len(long) > 12_000
    street = meter.ocmf().replace("56213C05", "Straße")
    return {
        "OCMF": json.dumps(meter.ocmf()),
        "EDL40 in hex": json.dumps(edl40()),
        "Alfen": json.dumps(alfen()),
        "JSON-wrapped": json.dumps(wrapped(meter)),
        "12 kB": json.dumps(long),
        "escaped": escaped(street + "|https://example.org/ß"),
    }
