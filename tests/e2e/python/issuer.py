"""OIDC issuers as GitHub and Kubernetes publish them: discovery document, RSA keys, tokens of the shapes that their documents show.

It prints {"url"}, then answers each line of standard input, a JSON object, with one of its own:
{"claims", "header"?, "key"?, "alg"?} -> {"token"}; {"fetched": path} -> {"count"}; {"publish": [key, …]} -> {}.
Keys are made as they are named. Issuers are the paths /github, /k8s and /twin; they share nothing but this process.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
from collections import Counter

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KEYS: dict[str, rsa.RSAPrivateKey] = {}
PUBLISHED = ["one"]
FETCHED: Counter[str] = Counter()


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key(name: str) -> rsa.RSAPrivateKey:
    if name not in KEYS:
        KEYS[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return KEYS[name]


def number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(name: str) -> dict:
    public = key(name).public_key().public_numbers()
    return {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "kid": name,
        "n": number(public.n),
        "e": number(public.e),
    }


def pem(name: str) -> bytes:
    public = key(name).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(told: dict) -> str:
    name = told.get("key", "one")
    alg = told.get("alg", "RS256")
    header = {"typ": "JWT", "alg": alg, "x5t": encode(hashlib.sha1(name.encode()).digest()), "kid": name}
    header.update(told.get("header", {}))
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, told["claims"]))
    if alg == "none":
        return f"{signed}."
    if alg == "HS256":
        return f"{signed}.{encode(hmac.digest(pem(name), signed.encode(), 'sha256'))}"
    return f"{signed}.{encode(key(name).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        FETCHED[self.path] += 1
        issuer, _, rest = self.path[1:].partition("/")
        base = f"http://127.0.0.1:{self.server.server_address[1]}/{issuer}"
        if rest == ".well-known/openid-configuration":
            document = {
                "issuer": base,
                "jwks_uri": f"{base}/.well-known/jwks",
                "subject_types_supported": ["public", "pairwise"],
                "response_types_supported": ["id_token"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        elif rest == ".well-known/jwks":
            document = {"keys": [jwk(name) for name in PUBLISHED]}
        else:
            self.send_error(404)
            return
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def main() -> None:
    key("one")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if "fetched" in told:
            answer = {"count": FETCHED[told["fetched"]]}
        elif "publish" in told:
            for name in told["publish"]:
                key(name)
            PUBLISHED[:] = told["publish"]
            answer = {}
        else:
            answer = {"token": token(told)}
        print(json.dumps(answer), flush=True)


main()
