"""A builder: `provenance.py key DIR NAME` makes a key pair, `provenance.py sign DIR NAME STATEMENT` signs a statement as an in-toto envelope.

Keys, signatures and envelopes are those of securesystemslib.
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

KINDS = {"ed25519": Ed25519PrivateKey.generate, "p256": lambda: generate_private_key(SECP256R1())}


def key(directory: Path, name: str) -> None:
    pair = KINDS[name]()
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / f"{name}.key").write_bytes(private)
    (directory / f"{name}.pub").write_bytes(public)


def sign(directory: Path, name: str, statement: Path) -> None:
    signer = CryptoSigner(load_pem_private_key((directory / f"{name}.key").read_bytes(), None))
    envelope = Envelope(statement.read_bytes(), "application/vnd.in-toto+json", {})
    envelope.sign(signer)
    print(json.dumps(envelope.to_dict()))


if __name__ == "__main__":
    verb, directory, name, *rest = sys.argv[1:]
    if verb == "key":
        key(Path(directory), name)
    else:
        sign(Path(directory), name, Path(rest[0]))
