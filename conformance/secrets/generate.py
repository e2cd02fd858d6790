"""Writes a corpus of planted secrets and near misses: `generate.py DIR SEED`.

DIR/corpus holds the files, DIR/truth.tsv one line per planted secret: family, context, encoding, file, the secret and what stands for it in
base64, and SHA-1 of both.
Nothing is fixed but the alphabets: every value is drawn. Formats are those that issuers publish; contexts and encodings are
crossed at random, so that each family meets each of them.
"""

import base64
import gzip
import hashlib
import json
import os
import random
import string
import sys
import urllib.parse
import zlib

OUT, SEED = sys.argv[1], int(sys.argv[2])
R = random.Random(SEED)
L, U, D = string.ascii_lowercase, string.ascii_uppercase, string.digits
W, HEX, B64, URL = L + U + D, D + "abcdef", L + U + D + "+/", L + U + D + "-_"


def t(alphabet, length):
    return "".join(R.choice(alphabet) for _ in range(length))


def uuid():
    return "-".join(t(HEX, n) for n in (8, 4, 4, 4, 12))


def crc62(text):
    value, out = zlib.crc32(text.encode()), ""
    digits = D + U + L
    for _ in range(6):
        out, value = digits[value % 62] + out, value // 62
    return text + out


def jwt():
    part = lambda v: base64.urlsafe_b64encode(json.dumps(v, separators=(",", ":")).encode()).decode().rstrip("=")
    return part({"alg": "RS256", "typ": "JWT", "kid": t(W, 8)}) + "." + part({"sub": t(L, 9), "iat": 1700000000, "name": t(L, 6)}) + "." + t(URL, 86)


WORDS = """harbor copper meadow lantern violet cobalt ranger winter summit orchid tunnel marble falcon garden silver planet
thunder rocket bridge canyon forest hammer island jungle kitten ladder magnet needle oyster pepper quartz ribbon saddle
timber valley walnut yellow zipper anchor basket candle dragon engine fabric gadget helmet insect jacket kernel""".split()


def human():
    """As people choose them: words with digits and signs in them."""
    a, b = R.choice(WORDS), R.choice(WORDS)
    return R.choice(
        [
            lambda: a.capitalize() + t(D, 4) + R.choice("!#$*?"),
            lambda: a + R.choice("-_.!") + b.capitalize() + t(D, 3),
            lambda: a.replace("a", "4").replace("e", "3").replace("o", "0") + R.choice("!@#%") + b,
            lambda: t(W, R.randint(9, 14)),
            lambda: t(W + "!#$%*+?^_~", R.randint(12, 20)),
            lambda: a.capitalize() + b.capitalize() + t(D, 2) + R.choice("!?#"),
        ]
    )()


# family: (name of the value, value)
FORMATS = {
    "github-classic": lambda: ("GITHUB_TOKEN", R.choice(["ghp_", "gho_", "ghs_"]) + crc62(t(W, 30))),
    "github-fine": lambda: ("GH_PAT", "github_pat_" + t(W, 22) + "_" + t(W, 59)),
    "gitlab": lambda: ("GITLAB_TOKEN", "glpat-" + t(URL[:-2], 20)),
    "npm": lambda: ("NPM_TOKEN", "npm_" + crc62(t(W, 30))),
    "pypi": lambda: ("TWINE_PASSWORD", "pypi-AgEIcHlwaS5vcmc" + t(URL[:-2], 150)),
    "slack-bot": lambda: ("SLACK_TOKEN", "xoxb-" + t(D, 12) + "-" + t(D, 13) + "-" + t(W, 24)),
    "slack-hook": lambda: ("SLACK_URL", "https://hooks.slack.com/services/T" + t(U + D, 10) + "/B" + t(U + D, 10) + "/" + t(W, 24)),
    "stripe": lambda: ("STRIPE_KEY", "sk_live_" + t(W, 24)),
    "aws-secret": lambda: ("AWS_SECRET_ACCESS_KEY", t(B64, 40)),
    "gcp-key": lambda: ("GOOGLE_API_KEY", "AIza" + t(URL, 35)),
    "azure-secret": lambda: ("AZURE_CLIENT_SECRET", t(W, 3) + t(D, 1) + "Q~" + t(W, 34)),
    "azure-storage": lambda: ("AZURE_STORAGE_KEY", t(B64, 86) + "=="),
    "openai": lambda: ("OPENAI_API_KEY", "sk-proj-" + t(W, 74) + "T3BlbkFJ" + t(W, 74)),
    "anthropic": lambda: ("ANTHROPIC_API_KEY", "sk-ant-api03-" + t(URL[:-2], 93) + "AA"),
    "huggingface": lambda: ("HF_TOKEN", "hf_" + t(L + U, 34)),
    "groq": lambda: ("GROQ_API_KEY", "gsk_" + t(W, 52)),
    "sendgrid": lambda: ("SENDGRID_API_KEY", "SG." + t(URL[:-2], 22) + "." + t(URL[:-2], 43)),
    "twilio": lambda: ("TWILIO_AUTH_TOKEN", t(HEX, 32)),
    "mailgun": lambda: ("MAILGUN_KEY", "key-" + t(HEX, 32)),
    "telegram": lambda: ("TELEGRAM_BOT_TOKEN", t("123456789", 1) + t(D, 9) + ":AA" + t(URL[:-2], 33)),
    "discord": lambda: ("DISCORD_TOKEN", "M" + t(W, 25) + "." + t(W, 6) + "." + t(W, 38)),
    "vault": lambda: ("VAULT_TOKEN", "hvs." + t(W, 95)),
    "digitalocean": lambda: ("DO_TOKEN", "dop_v1_" + t(HEX, 64)),
    "databricks": lambda: ("DATABRICKS_TOKEN", "dapi" + t(HEX, 32)),
    "heroku": lambda: ("HEROKU_API_KEY", uuid()),
    "datadog": lambda: ("DD_API_KEY", t(HEX, 32)),
    "newrelic": lambda: ("NEW_RELIC_KEY", "NRAK-" + t(U + D, 27)),
    "grafana": lambda: ("GRAFANA_TOKEN", "glsa_" + t(W, 32) + "_" + t(HEX, 8)),
    "linear": lambda: ("LINEAR_API_KEY", "lin_api_" + t(W, 40)),
    "postman": lambda: ("POSTMAN_KEY", "PMAK-" + t(HEX, 24) + "-" + t(HEX, 34)),
    "doppler": lambda: ("DOPPLER_TOKEN", "dp.pt." + t(W, 43)),
    "pulumi": lambda: ("PULUMI_ACCESS_TOKEN", "pul-" + t(HEX, 40)),
    "shopify": lambda: ("SHOPIFY_TOKEN", "shpat_" + t(HEX, 32)),
    "dockerhub": lambda: ("DOCKER_TOKEN", "dckr_pat_" + t(URL[:-2], 27)),
    "cloudflare": lambda: ("CLOUDFLARE_API_TOKEN", t(URL[:-2], 40)),
    "okta": lambda: ("OKTA_API_TOKEN", "00" + t(URL[:-2], 40)),
    "jwt": lambda: ("SESSION_JWT", jwt()),
    "hex-secret": lambda: (R.choice(["SECRET_KEY", "JWT_SECRET", "APP_SECRET", "ENCRYPTION_KEY", "SIGNING_KEY"]), t(HEX, R.choice([32, 40, 64]))),
    "random-token": lambda: (R.choice(["API_TOKEN", "ACCESS_TOKEN", "AUTH_TOKEN", "CLIENT_SECRET", "API_KEY", "REFRESH_TOKEN"]), t(W, R.randint(20, 44))),
    "base64-secret": lambda: (R.choice(["COOKIE_SECRET", "HMAC_SECRET", "WEBHOOK_SECRET"]), base64.b64encode(R.randbytes(32)).decode()),
    "password": lambda: (R.choice(["DB_PASSWORD", "PASSWORD", "MYSQL_ROOT_PASSWORD", "SMTP_PASSWORD", "ADMIN_PASSWD", "REDIS_PASSWORD", "PGPASSWORD"]), human()),
}
URLS = ["postgres", "mysql", "mongodb", "redis", "amqp", "https"]


def camel(name):
    first, *rest = name.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


# context: (file ending, text of a name and a value)
CONTEXTS = {
    "dotenv": (".env", lambda n, v: f"{n}={v}\n"),
    "shell": (".sh", lambda n, v: f"export {n}='{v}'\n"),
    "yaml": (".yaml", lambda n, v: f'  {n.lower()}: "{v}"\n'),
    "k8s-env": (".yml", lambda n, v: f'        - name: {n}\n          value: "{v}"\n'),
    "json": (".json", lambda n, v: f'    "{camel(n)}": "{v}",\n'),
    "toml": (".toml", lambda n, v: f'{n.lower()} = "{v}"\n'),
    "ini": (".ini", lambda n, v: f"{n.lower()} = {v}\n"),
    "properties": (".properties", lambda n, v: f"app.{n.lower().replace('_', '.')}={v}\n"),
    "python": (".py", lambda n, v: f'{n} = "{v}"\n'),
    "javascript": (".js", lambda n, v: f"const {camel(n)} = '{v}';\n"),
    "java": (".java", lambda n, v: f'    private static final String {n} = "{v}";\n'),
    "xml": (".xml", lambda n, v: f"    <{camel(n)}>{v.replace('&', '&amp;')}</{camel(n)}>\n"),
    "dockerfile": (".dockerfile", lambda n, v: f"ENV {n}={v}\n"),
    "log": (".log", lambda n, v: f"2026-01-02T03:04:05Z INFO starting with {n.lower()}={v} mode=fast\n"),
}


def encoded(how, name, value):
    """The name and what stands for the value."""
    if how == "base64":
        return base64.b64encode(value.encode()).decode()
    if how == "hex":
        return value.encode().hex()
    if how == "percent":
        return "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in value)
    if how == "json":
        return "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in value)
    if how == "gzip":
        return base64.b64encode(gzip.compress(f"{name}={value}\n".encode(), mtime=0)).decode()
    return value


def planted():
    family = R.choice([*FORMATS] + ["password"] * 6 + ["random-token"] * 4 + ["url"] * 4)
    how = R.choices(["plain", "base64", "hex", "percent", "json", "gzip"], [70, 10, 4, 6, 5, 5])[0]
    context = R.choice([*CONTEXTS])
    if family == "url":
        scheme, password = R.choice(URLS), human()
        user, host = R.choice(WORDS), R.choice(WORDS) + ".acme.net"
        quoted = urllib.parse.quote(password, safe="")
        name, value = R.choice(["DATABASE_URL", "CACHE_URI", "BROKER", "UPSTREAM"]), f"{scheme}://{user}:{quoted}@{host}:{R.randint(1000, 9999)}/main"
        how = "plain"
        secret = password
    else:
        name, value = FORMATS[family]()
        secret = value
    if how in ("percent", "json") and value.isalnum():
        how = "plain"
    if how == "json":
        context = "json"
    if how == "percent":
        text = f"POST /login?user={R.choice(WORDS)}&{name.lower()}={encoded(how, name, value)}&next=home HTTP/1.1\n"
        return family, "query", how, ".http", text, secret, encoded(how, name, value)
    ending, write = CONTEXTS[context]
    return family, context, how, ending, write(name, encoded(how, name, value)), secret, encoded(how, name, value)


def line(*columns):
    return "\t".join(columns) + "\n"


def known(text):
    """A text in base64, and its SHA-1."""
    return base64.b64encode(text.encode()).decode(), hashlib.sha1(text.encode()).hexdigest()


NAMES = ["API_TOKEN", "DB_PASSWORD", "SECRET_KEY", "CLIENT_SECRET", "ACCESS_TOKEN", "API_KEY", "PASSWORD"]
MISSES = {
    "placeholder": lambda: (R.choice(NAMES), R.choice(["changeme", "your-api-key-here", "<password>", "xxxxxxxxxxxxxxxx", "REPLACE_ME", "example-token", "************", "insert-token-here", "to-be-done"])),
    "reference": lambda: (R.choice(NAMES), R.choice(["${%s}", "{{ .Values.%s }}", "$%s", "vault:secret/data/app#%s", "op://prod/app/%s", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:%s", "projects/p/secrets/%s"]) % R.choice(NAMES).lower()),
    "file": lambda: (R.choice(["PASSWORD_FILE", "TOKEN_PATH", "SECRET_KEY_FILE"]), "/run/secrets/" + R.choice(WORDS)),
    "about": lambda: R.choice([("TOKEN_TTL", "3600s"), ("SECRET_NAME", "app-credentials-" + R.choice(WORDS)), ("PASSWORD_POLICY", "min-length-12"), ("TOKEN_URL", "https://login.acme.net/oauth/token"), ("AUTH_METHOD", "kubernetes-" + R.choice(WORDS)), ("API_KEY_HEADER", "X-Api-Key-" + R.choice(WORDS)), ("TOKENIZERS_PARALLELISM", "false"), ("MAX_TOKENS", "4096")]),
    "commit": lambda: (R.choice(["GIT_COMMIT", "REVISION", "BUILD_SHA"]), t(HEX, 40)),
    "digest": lambda: (R.choice(["IMAGE", "CHECKSUM", "INTEGRITY"]), R.choice(["sha256:" + t(HEX, 64), "sha512-" + base64.b64encode(R.randbytes(64)).decode()])),
    "id": lambda: (R.choice(["REQUEST_ID", "TENANT_ID", "CLIENT_ID", "TRACE_ID", "DEPLOYMENT"]), R.choice([uuid(), t(HEX, 32), t(D, 12)])),
    "words": lambda: (R.choice(NAMES), R.choice(WORDS) + R.choice(["-", "_", ""]) + R.choice(["service", "provider", "handler", "reader"])),
    "blob": lambda: (R.choice(["ICON", "PAYLOAD", "DATA", "CONTENT"]), base64.b64encode(R.randbytes(R.randint(30, 90))).decode()),
    "checksum-broken": lambda: ("GITHUB_TOKEN", "ghp_" + t(W, 36)),
    "aws-example": lambda: ("AWS_ACCESS_KEY_ID", "AKIA" + t(U, 9) + "EXAMPLE"),
    "url-plain": lambda: (R.choice(["ENDPOINT", "API_URL", "DATABASE_URL"]), R.choice(["https://api.acme.net/v1/" + R.choice(WORDS), "postgres://app@db.acme.net/main", "redis://cache:6379/0", "postgres://user:password@localhost/db", "https://${USER}:${PASS}@git.acme.net/x"])),
    "public-key": lambda: ("PUBLIC_KEY", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + t(B64, 86) + "=="),
    "expression": lambda: (R.choice(NAMES), R.choice(["getenv(%s)", "config.get(%s)", "process.env.%s", "os.environ[%s]", "settings.%s", "request.headers.%s"]) % R.choice(WORDS)),
    "version": lambda: (R.choice(["VERSION", "KEYCLOAK_VERSION", "AUTH_SERVICE_TAG"]), f"{R.randint(1, 30)}.{R.randint(0, 30)}.{R.randint(0, 99)}-" + R.choice(WORDS)),
}
PROSE = ["The {} password is rotated by the operator every {} days.", "Set the token of {} in the settings, see the guide for {}.", "An API key for {} has 40 characters; never commit it to {}.", "fn {}_token(&self) -> Token {{ self.{}.clone() }}", "if password == {}.password and token != {}:"]


def near_miss():
    if R.random() < 0.1:
        return ".md", R.choice(PROSE).format(R.choice(WORDS), R.choice(WORDS)) + "\n"
    name, value = MISSES[R.choice([*MISSES])]()
    ending, write = CONTEXTS[R.choice([*CONTEXTS])]
    return ending, write(name, value)


def main():
    secrets, misses, per_file = 3600, 12000, 26
    items = []
    for _ in range(secrets):
        family, context, how, ending, text, secret, written = planted()
        items.append((ending, text, (family, context, how, secret, written)))
    for _ in range(misses):
        ending, text = near_miss()
        items.append((ending, text, None))
    R.shuffle(items)
    by_ending = {}
    for ending, text, truth in items:
        by_ending.setdefault(ending, []).append((text, truth))
    os.makedirs(OUT + "/corpus", exist_ok=True)
    with open(OUT + "/truth.tsv", "w") as truths:
        for ending, parts in sorted(by_ending.items()):
            for number, at in enumerate(range(0, len(parts), per_file)):
                name = f"{ending.strip('.')}-{number:03}{ending}"
                chunk = parts[at : at + per_file]
                with open(f"{OUT}/corpus/{name}", "w") as file:
                    file.write("".join(text for text, _ in chunk))
                for _, truth in chunk:
                    if truth:
                        family, context, how, secret, written = truth
                        (plain, hashed), (wrapped, hashed_too) = known(secret), known(written)
                        truths.write(line(family, context, how, name, plain, wrapped, hashed, hashed_too))
    # An environment of 34 variables, 19 of them secret; separated by NUL as the kernel gives it, and by line ends.
    environ = [FORMATS[f]() for f in ("github-classic", "openai", "anthropic", "aws-secret", "stripe", "slack-bot", "sendgrid", "vault", "npm", "jwt", "hex-secret", "random-token", "base64-secret", "datadog", "twilio", "huggingface")]
    names = {}
    for name, value in environ + [("DB_PASSWORD", human()), ("SMTP_PASSWORD", human())]:
        names.setdefault(name, value)
    password = human()
    names["DATABASE_URL"] = f"postgres://app:{urllib.parse.quote(password, safe='')}@db.acme.net:5432/shop"
    assert len(names) == 19, len(names)
    plain = {"PATH": "/usr/local/bin:/usr/bin", "HOME": "/srv/agent", "LANG": "C.UTF-8", "SHELL": "/bin/sh", "PWD": "/srv/agent/project", "LOG_LEVEL": "info", "TOKEN_TTL": "3600", "PASSWORD_FILE": "/run/secrets/db", "SECRET_NAME": "app-credentials", "GIT_COMMIT": t(HEX, 40), "REQUEST_ID": uuid(), "TOKENIZERS_PARALLELISM": "false", "API_URL": "https://api.acme.net/v1", "NODE_ENV": "production", "IMAGE": "sha256:" + t(HEX, 64)}
    pairs = [*names.items(), *plain.items()]
    assert len(pairs) == 34
    R.shuffle(pairs)
    os.makedirs(OUT + "/nul", exist_ok=True)
    os.makedirs(OUT + "/lines", exist_ok=True)
    with open(OUT + "/nul/environ", "w") as file:
        file.write("".join(f"{n}={v}\0" for n, v in pairs))
    with open(OUT + "/lines/environ.env", "w") as file:
        file.write("".join(f"{n}={v}\n" for n, v in pairs))
    with open(OUT + "/environ.tsv", "w") as file:
        for name, value in names.items():
            secret = password if name == "DATABASE_URL" else value
            (plain, hashed), (wrapped, hashed_too) = known(secret), known(value)
            file.write(line("environ", "environ", "plain", "environ", plain, wrapped, hashed, hashed_too))


main()
