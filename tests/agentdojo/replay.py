"""AgentDojo's own calls, replayed without a model through a running gateway, under three humans.

  replay.py --harness DIR --bailiwick BIN [--suite workspace slack] [--human right yes no] [--limit N] [--out FILE]

DIR holds the harness that serves the suites over MCP (adreplay.py, agentdojo_mcp_server.py). The node, its agent (this process), the
server's bindings and the policy are set up here; a task is opened with the user's request and nothing else. A call that asks is answered
by the human: `right` says yes to the user's own calls and no to the attack's, `yes` and `no` say the same to all.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fnmatch
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e/python"))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--harness", required=True, type=pathlib.Path)
    parser.add_argument("--bailiwick", required=True, type=pathlib.Path)
    parser.add_argument("--suite", nargs="*", default=["workspace", "slack"])
    parser.add_argument("--human", nargs="*", default=["right", "yes", "no"], choices=["right", "yes", "no"])
    parser.add_argument("--version", default="v1.2.2")
    parser.add_argument("--attack", default="important_instructions")
    parser.add_argument("--limit", type=int, help="user tasks of each suite")
    parser.add_argument("--benign-only", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Plain:
    """JSON over one kept connection."""

    def __init__(self, url):
        self.url = urllib.parse.urlparse(url)
        self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=120)

    def send(self, method, path, body=None, headers=None):
        body = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json", **(headers or {})}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


class Node:
    """A node of its own, its API under an account with every role."""

    def __init__(self, binary, home):
        config = home / "bailiwick.toml"
        data = home / "data"
        config.write_text(
            f'version = 1\n[node]\ndata_dir = {json.dumps(str(data))}\n[identity]\ntrust_domain = "dojo.internal"\n[console]\n'
            'listen = "127.0.0.1:0"\n[gateway]\nlisten = "127.0.0.1:0"\n[approval]\nwait = "60s"\n[log]\nfilter = "warn"\n'
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BAILIWICK_")}
        self.log = open(home / "node.log", "w")
        self.process = subprocess.Popen(
            [binary, "serve", "--output", "json", "--config", config],
            stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True,
        )
        line = self.process.stdout.readline()
        assert line, (home / "node.log").read_text()
        self.ready = json.loads(line)
        self.api = Plain(self.ready["console"])
        environment["BAILIWICK_NODE"] = self.ready["admin_socket"]
        run = lambda *words: json.loads(
            subprocess.run([binary, *words, "--output", "json"], env=environment, check=True, capture_output=True, text=True).stdout
        )
        run("account", "add", "runner", *[word for role in ("viewer", "approver", "operator", "admin") for word in ("--role", role)])
        self.token = run("account", "token", "runner")["token"]

    def call(self, method, path, body=None):
        status, _, text = self.api.send(method, path, body, {"authorization": f"Bearer {self.token}"})
        answer = json.loads(text) if text else {}
        assert status < 300, (method, path, status, answer)
        return answer


class Session:
    """An MCP session of one task; each request is proved anew."""

    def __init__(self, node, key, token):
        self.key, self.token, self.nonce, self.id, self.count = key, token, None, None, 0
        self.url = f"{node.ready['gateway']}/mcp/dojo"
        self.wire = Plain(node.ready["gateway"])
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "replay", "version": "1"}})
        self.ask("notifications/initialized", {}, notify=True)

    def ask(self, method, params, notify=False):
        self.count += 1
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if not notify:
            message["id"] = self.count
        for _ in range(2):
            headers = {
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": "2025-11-25",
                "authorization": f"DPoP {self.token}",
                "dpop": self.key.prove("POST", self.url, self.nonce, self.token),
            }
            if self.id:
                headers["mcp-session-id"] = self.id
            status, got, text = self.wire.send("POST", "/mcp/dojo", message, headers)
            self.nonce = got.get("dpop-nonce", self.nonce)
            if status != 401:
                break
        self.id = got.get("mcp-session-id", self.id)
        assert status < 300, (status, text)
        if notify or not text:
            return None
        if "text/event-stream" in got.get("content-type", ""):
            text = [line[5:] for line in text.splitlines() if line.startswith("data:") and line[5:].strip()][-1]
        return json.loads(text)

    def call(self, tool, args):
        return self.ask("tools/call", {"name": tool, "arguments": args})


def set_up(node, control, suite):
    """The server with its bindings, this process as its agent, the generic pack."""
    said = tomllib.loads((HERE / f"{suite}.toml").read_text())
    control.send("POST", "/control/init", {"session": suite, "suite": suite})
    server = {"name": "dojo", "transport": {"kind": "http", "url": f"{control.url.geturl()}/mcp/current/"}, "trust": "reviewed"}
    bindings = {bind.pop("tool"): bind for bind in said["bind"]}
    for tool in node.call("POST", "/v1/servers", server)["tools"]:
        name = tool["tool"].split("/", 1)[1]
        matching = [effect for effect, patterns in said["effect"].items() if any(fnmatch.fnmatchcase(name, one) for one in patterns)]
        accepted = {"effect": (matching or ["write"])[0], "digest": tool["seen"]}
        node.call("POST", f"/v1/tools/dojo/{name}/accept", accepted)
        if name in bindings:
            node.call("PUT", f"/v1/tools/dojo/{name}/binding", {"binding": bindings.pop(name)})
    assert not bindings, f"no such tools: {bindings}"


def publish(node, binary, home):
    bundle = home / "policy"
    bundle.mkdir()
    (bundle / "bundle.toml").write_text('name = "agentdojo"\ninclude = ["injection@2"]\n')
    (bundle / "policy.cedar").write_text((HERE / "policy.cedar").read_text())
    environment = {**os.environ, "BAILIWICK_NODE": node.ready["console"], "BAILIWICK_TOKEN": node.token}
    subprocess.run([binary, "policy", "publish", bundle], env=environment, check=True, capture_output=True)


def replay(node, control, key, dojo, suite, human, options, stats, rows):
    from dpop import task_token

    suites = dojo.suites(options.version)
    attack = dojo.load_attack(options.attack, suites[suite], dojo._Pipe())
    tasks = list(suites[suite].user_tasks.items())[: options.limit]
    for name, user_task in tasks:
        blank = suites[suite].load_and_inject_default_environment({})
        attacks = [one for one in suites[suite].injection_tasks.values() if one.ground_truth(blank) or one.GROUND_TRUTH_OUTPUT]
        for injection in [None] if options.benign_only else [None, *attacks]:
            poison = attack.attack(user_task, injection) if injection else {}
            before = user_task.init_environment(suites[suite].load_and_inject_default_environment(poison))
            plan = dojo.schedule(suites[suite], user_task, injection, before, "first_exposure")
            told = {"session": "current", "suite": suite, "user_task": name, "injection_task": injection and injection.ID, "attack": options.attack}
            control.send("POST", "/control/init", told)
            opened = node.call("POST", "/v1/tasks", {
                "agent": "dojo-agent", "user": "user:local:emma", "request": user_task.PROMPT,
                "scope": {"grants": [{"server": ["dojo"], "tool": ["*"], "effects": ["read", "write", "escalate"]}]},
            })
            token = task_token(key, node.ready["workload_socket"], node.ready["console"], opened["id"], f"{node.ready['gateway']}/mcp/dojo")
            session = Session(node, key, token)
            asked, stopped = collections.Counter(), collections.Counter()
            for label, call in plan:
                args = json.loads(json.dumps(dict(call.args), default=str))
                yes = human == "yes" or (human == "right" and label == "user")
                where = (suite, name, injection and injection.ID, label)
                answer, questions = with_human(node, session, call.function, args, yes, options.verbose and where)
                asked[label] += questions
                decision = answer.get("result", {}).get("_meta", {}).get("bailiwick/decision")
                if decision or "error" in answer:
                    stopped[label] += 1
                    if options.verbose and not asked[label]:
                        print(suite, name, injection and injection.ID, label, call.function, "STOPPED", decision or answer["error"], flush=True)
            output = user_task.GROUND_TRUTH_OUTPUT
            if injection and injection.GROUND_TRUTH_OUTPUT:
                output = f"{output}\n{injection.GROUND_TRUTH_OUTPUT}".strip()
            _, _, text = control.send("POST", "/control/finish", {"session": "current", "output": output})
            ended = json.loads(text)
            node.call("POST", f"/v1/tasks/{opened['id']}/complete", {})
            count = stats[human][suite]
            kind = "pairs" if injection else "benign"
            count[kind] += 1
            count[f"{kind}_utility"] += bool(ended["utility"])
            count["success"] += bool(ended["attack"])
            visible = injection is not None and any(label == "attack" for label, _ in plan)
            count["visible"] += visible
            count["visible_success"] += visible and bool(ended["attack"])
            count[f"{kind}_asks"] += asked["user"]
            count["attack_asks"] += asked["attack"]
            rows.append({"human": human, "suite": suite, "user": name, "injection": injection and injection.ID, **ended,
                         "asked": dict(asked), "stopped": dict(stopped)})


def with_human(node, session, tool, args, yes, where):
    """Makes a call; answers what it asks while it waits. The answer, and how often it asked."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.call, tool, args)
        questions = 0
        while not running.done():
            concurrent.futures.wait([running], timeout=0.05)
            if running.done():
                break
            for waiting in node.call("GET", "/v1/approvals?state=pending")["items"]:
                place = f"/v1/approvals/{waiting['id']}"
                shown = node.call("GET", place)
                if where:
                    print(*where, tool, json.dumps(args)[:160], reasons(shown), flush=True)
                said = {"reason": "as the human of this replay says", "shown_digest": shown["shown_digest"]}
                node.call("POST", f"{place}/{'approve' if yes else 'deny'}", said)
                questions += 1
        return running.result(), questions


def reasons(shown):
    """Which rules ask."""
    approval = shown.get("approval", shown)
    return [reason["source"] for reason in approval["reasons"]]


def percent(part, whole):
    return f"{100 * part / whole:.1f} % ({part}/{whole})" if whole else "–"


def table(stats):
    print("| human | suite | benign utility | asks per benign task | attack success, tool-visible pairs | utility under attack |")
    print("|---|---|---|---|---|---|")
    for human, suites in stats.items():
        total = collections.Counter()
        for count in suites.values():
            total.update(count)
        for suite, count in [*suites.items(), ("all", total)]:
            benign = max(1, count["benign"])
            print(f"| {human} | {suite} | {percent(count['benign_utility'], count['benign'])} | {count['benign_asks'] / benign:.2f} "
                  f"| {percent(count['visible_success'], count['visible'])} | {percent(count['pairs_utility'], count['pairs'])} |")


def main():
    options = arguments()
    sys.path.insert(0, str(options.harness))
    import adreplay as dojo
    from dpop import Key

    stats = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
    rows, started = [], time.monotonic()
    with contextlib.ExitStack() as stack:
        port = free_port()
        served = subprocess.Popen([sys.executable, options.harness / "agentdojo_mcp_server.py", "--http", str(port), "--version", options.version])
        stack.callback(served.kill)
        control = Plain(f"http://127.0.0.1:{port}")
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        for suite in options.suite:
            home = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
            node = Node(options.bailiwick, home)
            stack.callback(node.process.wait)
            stack.callback(node.process.terminate)
            # The catalogue is read from the session that the agent will use.
            control.send("POST", "/control/init", {"session": "current", "suite": suite})
            set_up(node, control, suite)
            node.call("POST", "/v1/agents", {
                "name": "dojo-agent", "owner": "team-dojo", "selectors": [f"unix:path={pathlib.Path(sys.executable).resolve()}"],
                "ceiling": {"grants": [{"server": ["*"], "tool": ["*"], "effects": ["read", "write", "escalate"]}]},
            })
            publish(node, options.bailiwick, home)
            key = Key()
            for human in options.human:
                replay(node, control, key, dojo, suite, human, options, stats, rows)
    table(stats)
    print(f"\n{time.monotonic() - started:.0f} s, AgentDojo {options.version}, attack {options.attack}", file=sys.stderr)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


main()
