"""Certificates of a site's own authority, and what their keys sign.

`pop.py make DIR` writes root.pem, and for each of good, stranger, authority, expired a chain NAME.pem and a key NAME.key.
`pop.py sign DIR NAME` signs its standard input with that key and prints the signature in base64.
"""

import base64
import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def certificate(subject, key, issuer, issuer_key, ca: bool, ends=NOW + DAY) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if subject != issuer:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("build.site.example")]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def make(place: pathlib.Path) -> None:
    def write(name: str, key, *chain: x509.Certificate) -> None:
        pem = serialization.Encoding.PEM
        (place / f"{name}.pem").write_bytes(b"".join(one.public_bytes(pem) for one in chain))
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (place / f"{name}.key").write_bytes(private)

    def key():
        return ec.generate_private_key(ec.SECP256R1())

    root, between, other = key(), key(), key()
    write("root", root, certificate("root", root, "root", root, ca=True))
    below = certificate("between", between, "root", root, ca=True)
    good, stranger, authority, expired = key(), key(), key(), key()
    write("good", good, certificate("build", good, "between", between, ca=False), below)
    # The same names, by an authority of the same name.
    foreign = certificate("root", other, "root", other, ca=True)
    write("stranger", stranger, certificate("build", stranger, "root", other, ca=False), foreign)
    write("authority", authority, certificate("build", authority, "root", root, ca=True))
    write("expired", expired, certificate("build", expired, "root", root, ca=False, ends=NOW - DAY))


def sign(place: pathlib.Path, name: str) -> None:
    key = serialization.load_pem_private_key((place / f"{name}.key").read_bytes(), None)
    signature = key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256()))
    print(base64.b64encode(signature).decode())


command, directory, *rest = sys.argv[1:]
{"make": make, "sign": sign}[command](pathlib.Path(directory), *rest)
