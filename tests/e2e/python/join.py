"""A machine elsewhere: makes a key, shows evidence, and looks at the identity that it gets as anybody else would.

The one argument is JSON: {"url", "kind", "evidence", "audiences"?}. It prints {"status", "body"}.
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
    print(json.dumps({"status": answer.status_code, "body": got}))


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
