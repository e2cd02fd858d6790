"""A SPIFFE client by others keeps streams open while SVIDs are rotated. Checks each SVID as it comes, with what that client checks with,
then a JWT-SVID if it knows those; prints whose they are and how many rotations came.

Arguments: the client's package, the socket's path, how many streams, and how many rotations each.
"""

import asyncio
import json
import logging
import queue
import sys
import threading

from cryptography.hazmat.primitives import serialization

package, socket, streams, rotations = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
DEADLINE = 120
AUDIENCE, OTHER = "https://service.example", "https://other.example"


def public(key) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Seen:
    """What came on all streams: one identity, and nothing twice."""

    def __init__(self):
        self.ids, self.serials, self.keys = set(), set(), set()

    def add(self, spiffe_id, leaf):
        key = public(leaf.public_key())
        assert leaf.serial_number not in self.serials and key not in self.keys, "the same SVID twice"
        self.ids.add(str(spiffe_id))
        self.serials.add(leaf.serial_number)
        self.keys.add(key)

    def own(self, spiffe_id, leaf, private_key):
        assert public(leaf.public_key()) == public(private_key.public_key()), "the key is another"
        self.add(spiffe_id, leaf)

    def print(self, came):
        assert len(self.ids) == 1, self.ids
        print(json.dumps({"id": self.ids.pop(), "rotations": came}), flush=True)


def of(one: queue.Queue):
    came = one.get(timeout=DEADLINE)
    if isinstance(came, Exception):
        raise came
    return came


def refuses(check):
    """Whether a check says no."""
    try:
        check()
    except Exception:
        return True
    return False


def with_spiffe():
    from cryptography.hazmat.primitives.asymmetric import ec
    from spiffe import JwtSvid, WorkloadApiClient

    seen = Seen()
    with WorkloadApiClient(socket_path=f"unix:{socket}", default_timeout=15) as client:
        each = [queue.Queue() for _ in range(streams)]
        # No second connection: a stream that breaks off fails the test.
        handles = [client.stream_x509_contexts(one.put, one.put, retry_connect=False) for one in each]
        for one in each:
            for _ in range(rotations + 1):
                context = of(one)
                svid, leaf = context.default_svid, context.default_svid.leaf
                bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
                issuer = next(ca for ca in bundle.x509_authorities if ca.subject == leaf.issuer)
                by = ec.ECDSA(leaf.signature_hash_algorithm)
                issuer.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, by)
                seen.own(svid.spiffe_id, leaf, svid.private_key)
        for handle in handles:
            handle.cancel()
        token = client.fetch_jwt_svid(audience={AUDIENCE}).token
        keys = client.fetch_jwt_bundles().get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        assert JwtSvid.parse_and_validate(token, keys, {AUDIENCE}).spiffe_id == svid.spiffe_id
        assert refuses(lambda: JwtSvid.parse_and_validate(token, keys, {OTHER})), "a token for another audience passed"
    seen.print(len(seen.serials) - streams)


def with_spiffe_tls():
    from spiffe import X509Source
    from spiffetls import ListenOptions, dial, listen
    from spiffetls.mode import ServerTlsMode
    from spiffetls.tlsconfig.authorize import authorize_id

    # It changes certificates below contexts that were used, which pyOpenSSL 26 refuses, and says so each time; contexts made
    # after a rotation have the new ones.
    logging.getLogger("spiffe.workloadapi.x509_source").setLevel(logging.CRITICAL)

    def greet(source):
        """A connection with mutual TLS of this source with itself; the server's certificate as the client saw it."""
        own = authorize_id(source.get_x509_context().default_svid.spiffe_id)
        server = listen("127.0.0.1:0", source, ListenOptions(tls_mode=ServerTlsMode.MTLS, authorize_fn=own))
        said = queue.Queue()

        def serve():
            try:
                connection, _ = server.accept()
                connection.do_handshake()
                connection.sendall(connection.recv(5))
                said.put(connection.get_peer_certificate())
            except Exception as error:
                said.put(error)

        threading.Thread(target=serve, daemon=True).start()
        client = dial("127.0.0.1:%d" % server.getsockname()[1], source, authorize_fn=own)
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        leaf = client.get_peer_certificate().to_cryptography()
        # Both ends showed the same SVID: there is one at a time.
        assert of(said).to_cryptography() == leaf
        client.close()
        server.close()
        return leaf

    def each_update(source, one):
        # Within the update, so that the next cannot come before.
        def updated():
            try:
                one.put((source.get_x509_context().default_svid, greet(source)))
            except Exception as error:
                one.put(error)

        source.subscribe_for_updates(updated)

    seen, came = Seen(), 0
    sources = [X509Source(socket_path=f"unix:{socket}", timeout_in_seconds=DEADLINE) for _ in range(streams)]
    each = [queue.Queue() for _ in sources]
    for source, one in zip(sources, each):
        each_update(source, one)
    for one in each:
        for _ in range(rotations):
            svid, leaf = of(one)
            assert svid.leaf == leaf, "the connection shows another SVID than came"
            seen.own(svid.spiffe_id, leaf, svid.private_key)
            came += 1
    for source in sources:
        source.close()
    seen.print(came)


async def with_spiffe_defakto():
    from spiffe_defakto import LocalWorkloadAPIClient, UnixOptions, parse_and_validate_jwt_svid, verify_x509_svid

    seen = Seen()

    class Bundles:
        """The bundles that came with an SVID."""

        def __init__(self, bundles):
            self.bundles = bundles

        async def get_bundle_for_trust_domain(self, trust_domain):
            return self.bundles[trust_domain.name]

    async def follow(client):
        left = rotations + 1
        async for context in client.watch_x509_context():
            svid = context.default_svid()
            chain = [certificate.public_bytes(serialization.Encoding.DER) for certificate in svid.certificates]
            assert await verify_x509_svid(chain, Bundles(context.bundles)) == svid.id
            seen.own(svid.id, svid.certificates[0], svid.private_key)
            left -= 1
            if left == 0:
                return

    async with LocalWorkloadAPIClient(UnixOptions(socket_path=socket)) as client:
        await asyncio.wait_for(asyncio.gather(*(follow(client) for _ in range(streams))), DEADLINE)
        svid = await client.jwt.fetch_svid([AUDIENCE])
        valid = await parse_and_validate_jwt_svid(svid.token, client.jwt, [AUDIENCE])
        assert {str(valid.id)} == seen.ids, valid
        try:
            await parse_and_validate_jwt_svid(svid.token, client.jwt, [OTHER])
        except Exception:
            pass
        else:
            raise AssertionError("a token for another audience passed")
    seen.print(len(seen.serials) - streams)


if package == "spiffe":
    with_spiffe()
elif package == "spiffe-tls":
    with_spiffe_tls()
elif package == "spiffe-defakto":
    asyncio.run(with_spiffe_defakto())
else:
    sys.exit(f"no such client: {package}")
