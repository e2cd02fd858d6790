"""A machine elsewhere: makes a key, shows evidence, and looks at the identity that it gets as anybody else would.

The one argument is JSON: {"url", "kind", "evidence", "audiences"?, "stay"?}. It prints {"status", "body"}. If it is to stay, it renews its
identity for each line that it reads, which is a JSON object with what the request has besides the proof, and prints {"status", "body", "sent"}.
"""

import json
import sys

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import base64


def main() -> None:
    told = json.loads(sys.argv[1])
    key = ec.generate_private_key(ec.SECP256R1())
    # The name is a wish that nobody has to grant.
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "spiffe://e2e.internal/agent/admin/x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    body = {
        "kind": told["kind"],
        "evidence": told["evidence"],
        "csr": request.public_bytes(serialization.Encoding.PEM).decode(),
    }
    if "audiences" in told:
        body["audiences"] = told["audiences"]
    answer = httpx2.post(f"{told['url']}/v1/attest", json=body, timeout=30)
    got = answer.json()
    if answer.status_code == 201:
        check(got, key)
    print(json.dumps({"status": answer.status_code, "body": got}), flush=True)
    if told.get("stay"):
        stay(told["url"], key, body["csr"], got["chain"])


def stay(url: str, key: ec.EllipticCurvePrivateKey, csr: str, chain: str) -> None:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(x509.load_pem_x509_csr(csr.encode()).public_bytes(serialization.Encoding.DER))
    digest = digest.finalize().hex()
    for line in sys.stdin:
        asked = httpx2.post(f"{url}/v1/attest/renew", json={}, timeout=30)
        assert asked.status_code == 401, asked.text
        challenge = asked.json()["challenge"]
        text = f"bailiwick/svid-renewal/v1\n{challenge}\n{digest}\n"
        signature = base64.b64encode(key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()
        proof = {"chain": chain, "challenge": challenge, "signature": signature}
        sent = {"proof": proof, "csr": csr} | json.loads(line)
        answer = httpx2.post(f"{url}/v1/attest/renew", json=sent, timeout=30)
        got = answer.json()
        if answer.status_code == 200:
            check(got, key)
            chain = got["chain"]
        print(json.dumps({"status": answer.status_code, "body": got, "sent": sent}), flush=True)


def check(got: dict, key: ec.EllipticCurvePrivateKey) -> None:
    """The SVID is for our key, says what the answer says, and an authority of the bundle signed it."""
    (leaf,) = x509.load_pem_x509_certificates(got["chain"].encode())
    assert leaf.public_key() == key.public_key(), "an SVID for another key"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(got["spiffe_id"])], names
    assert not list(leaf.subject), leaf.subject
    authorities = [
        x509.load_der_x509_certificate(base64.b64decode(der))
        for jwk in got["bundle"]["keys"]
        if jwk["use"] == "x509-svid"
        for der in jwk["x5c"]
    ]
    issuer = next(ca for ca in authorities if ca.subject == leaf.issuer)
    leaf.verify_directly_issued_by(issuer)


main()
