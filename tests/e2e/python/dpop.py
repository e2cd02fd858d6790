"""DPoP (RFC 9449) for httpx2, with a task token that is fetched by the SPIFFE identity of this process."""

import base64
import hashlib
import json
import time
import uuid

import httpx2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from spiffe import WorkloadApiClient


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A P-256 key that makes proofs."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        self._jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": _encode(numbers.x.to_bytes(32, "big")),
            "y": _encode(numbers.y.to_bytes(32, "big")),
        }

    def prove(self, method: str, url: str, nonce: str | None, token: str | None = None) -> str:
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._jwk}
        claims: dict[str, object] = {
            "jti": str(uuid.uuid4()),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if token is not None:
            claims["ath"] = _encode(hashlib.sha256(token.encode()).digest())
        signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
        der = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(der)
        return f"{signed}.{_encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def task_token(key: Key, socket: str, issuer: str, task: str, resource: str) -> str:
    """A token for one task and one server, bound to the key."""
    with WorkloadApiClient(socket_path=f"unix:{socket}", default_timeout=15) as client:
        assertion = client.fetch_jwt_svid(audience={issuer}).token
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
        "client_assertion": assertion,
        "authorization_details": json.dumps([{"type": "agent_task", "task_id": task}]),
        "resource": resource,
    }
    endpoint = f"{issuer}/oauth/token"
    nonce = None
    for _ in range(2):
        proof = key.prove("POST", endpoint, nonce)
        answer = httpx2.post(endpoint, data=form, headers={"DPoP": proof}, timeout=15)
        if answer.status_code == 200:
            body = answer.json()
            assert body["token_type"] == "DPoP", body
            return body["access_token"]
        if nonce is not None or answer.json().get("error") != "use_dpop_nonce":
            break
        nonce = answer.headers["DPoP-Nonce"]
    raise SystemExit(f"no token: {answer.status_code} {answer.text}")


class DpopAuth(httpx2.Auth):
    """Puts the token and a fresh proof on each request; learns the nonce from each answer."""

    requires_response_body = False

    def __init__(self, key: Key, token: str) -> None:
        self._key, self._token, self._nonce = key, token, None

    def auth_flow(self, request):
        for attempt in range(2):
            url = str(request.url.copy_with(query=None, fragment=None))
            request.headers["Authorization"] = f"DPoP {self._token}"
            request.headers["DPoP"] = self._key.prove(request.method, url, self._nonce, self._token)
            response = yield request
            self._nonce = response.headers.get("DPoP-Nonce", self._nonce)
            challenge = response.headers.get("WWW-Authenticate", "")
            if attempt == 1 or response.status_code != 401 or "use_dpop_nonce" not in challenge:
                return
