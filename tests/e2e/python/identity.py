"""The Workload API through the SPIFFE project's Python client, which speaks gRPC with C-core: prints what this process is.

Arguments: the socket's path, and an audience.
"""

import json
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from spiffe import JwtSvid, WorkloadApiClient

socket, audience = sys.argv[1:3]


def public(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


with WorkloadApiClient(socket_path=f"unix:{socket}", default_timeout=15) as client:
    context = client.fetch_x509_context()
    svid = context.default_svid
    domain = svid.spiffe_id.trust_domain
    leaf = svid.leaf
    assert public(leaf.public_key()) == public(svid.private_key.public_key()), "the key is another"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [str(svid.spiffe_id)], names

    # Signed by an authority of the bundle.
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(domain)
    issuers = [ca for ca in bundle.x509_authorities if ca.subject == leaf.issuer]
    assert issuers, "no authority of the bundle issued this certificate"
    issuers[0].public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))

    token = client.fetch_jwt_svid(audience={audience})
    by_node = client.validate_jwt_svid(token.token, audience)
    keys = client.fetch_jwt_bundles().get_bundle_for_trust_domain(domain)
    by_bundle = JwtSvid.parse_and_validate(token.token, keys, {audience})
    assert by_node.spiffe_id == by_bundle.spiffe_id == svid.spiffe_id
    try:
        client.validate_jwt_svid(token.token, "https://other.example")
        refused = None
    except Exception as error:
        refused = str(error)
    print(json.dumps({"id": str(svid.spiffe_id), "audience": sorted(token.audience), "refused": refused}))
