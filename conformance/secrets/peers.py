"""Runs another scanner on a directory and prints what it reports: `peers.py PEER PROGRAM DIR`.

One line for each report: the file below DIR, and the value in base64, or `sha1:` and the hash of it where that is all that is told. The
last line is `cpu SECONDS wall SECONDS`. Reports of the scanner hold clear text: they live in a directory in memory that is removed.
"""

import base64
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

PEER, PROGRAM, DIR = sys.argv[1], os.path.abspath(sys.argv[2]), os.path.abspath(sys.argv[3])
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


def commands(report):
    return {
        "gitleaks-history": [PROGRAM, "git", ".", "--no-banner", "--exit-code", "0", "-f", "json", "-r", report],
        "gitleaks": [PROGRAM, "dir", ".", "--no-banner", "--exit-code", "0", "--max-decode-depth", "5", "-f", "json", "-r", report],
        "betterleaks": [PROGRAM, ".", "--exit-code", "0", "--silent", "-o", report],
        "kingfisher": [PROGRAM, "scan", ".", "--no-validate", "--format", "json", "-o", report],
        "credsweeper": [PROGRAM, "--path", ".", "--save-json", report, "-j", "1"],
        "detect-secrets": [PROGRAM, "scan", "--all-files", "--no-verify", "."],
    }[PEER]


def reported(report, stdout):
    """Pairs of file and value."""
    text = stdout if PEER == "detect-secrets" else open(report).read()
    if not text.strip():
        return
    if PEER == "kingfisher":
        # A document of findings, and one of counts.
        decoder, at = json.JSONDecoder(), 0
        while at < len(text):
            document, end = decoder.raw_decode(text, at)
            findings = document.get("findings")
            for one in findings if isinstance(findings, list) else []:
                yield one["finding"]["path"], one["finding"]["snippet"]
            at = end + len(text[end:]) - len(text[end:].lstrip())
        return
    document = json.loads(text)
    if PEER.startswith("gitleaks"):
        for one in document:
            yield one["File"], one["Secret"]
    elif PEER == "betterleaks":
        for one in document["findings"]:
            yield one["location"]["path"], one["match"]["value"]
    elif PEER == "credsweeper":
        for one in document:
            # What it is not sure of beyond its own threshold is not in the report; what it calls info is no claim.
            if one["severity"] != "info":
                for line in one["line_data_list"]:
                    yield line["path"], line["value"]
    else:
        for path, findings in document["results"].items():
            for one in findings:
                yield path, "sha1:" + one["hashed_secret"]


def main():
    with tempfile.TemporaryDirectory(dir=MEMORY) as scratch:
        report = os.path.join(scratch, "report.json")
        environment = {"PATH": os.environ["PATH"], "HOME": scratch, "TMPDIR": scratch}
        started = time.monotonic()
        run = subprocess.run(commands(report), cwd=DIR, env=environment, capture_output=True, text=True, timeout=3600, check=False)
        wall = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if run.returncode not in (0, 1, 200, 205) or (PEER != "detect-secrets" and not os.path.exists(report)):
            sys.exit(f"{PEER} ended with {run.returncode}: {run.stderr[-600:]}")
        for path, value in reported(report, run.stdout):
            relative = os.path.relpath(os.path.join(DIR, path or ""), DIR)
            shown = value if value.startswith("sha1:") else base64.b64encode(value.encode(errors="surrogateescape")).decode()
            print(f"{relative}\t{shown}")
        print(f"cpu\t{used.ru_utime + used.ru_stime:.3f}\twall\t{wall:.3f}")


main()
