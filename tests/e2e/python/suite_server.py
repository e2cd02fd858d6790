"""Serves what the conformance suite of MCP asks a server for, on PyPI's `mcp`.

Everything it offers is data: `../conformance/offers.json`, which the fixture on rmcp serves too. An offer is a list of steps; this file
knows how to take each kind of step. Prints its URL and serves until standard input ends.
"""

import asyncio
import json
import re
import socket
import sys
import threading
import warnings
from pathlib import Path

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ToolsListChanged

OFFERS = json.loads((Path(__file__).parent.parent / "conformance" / "offers.json").read_text("utf-8"))
TOOLS = {offer["tool"]["name"]: offer for offer in OFFERS["tools"]}
PROMPTS = {offer["prompt"]["name"]: offer for offer in OFFERS["prompts"]}
RESOURCES = {offer["resource"]["uri"]: offer for offer in OFFERS["resources"]}
MISSING_CAPABILITY = -32021
INVALID_PARAMS = -32602
CHANGES = {"tools": ToolsListChanged, "prompts": PromptsListChanged}
# Which capability of a client answers which request of a server.
ANSWERED_BY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}

bus = InMemorySubscriptionBus()


def filled(value, known):
    """`value` with each `{path.to.something}` in its texts replaced by what is known under that path."""
    if isinstance(value, str):
        return re.sub(r"\{([a-z_A-Z0-9]+(?:\.[a-z]+)*)\}", lambda found: looked_up(found[1], known, found[0]), value)
    if isinstance(value, list):
        return [filled(one, known) for one in value]
    if isinstance(value, dict):
        return {name: filled(one, known) for name, one in value.items()}
    return value


def looked_up(path, known, otherwise):
    for name in path.split("."):
        if not isinstance(known, dict) or name not in known:
            return otherwise
        known = known[name]
    return known if isinstance(known, str) else json.dumps(known)


def declared(ctx):
    """The capabilities that the client has, as on the wire."""
    capabilities = ctx.session.client_capabilities
    return capabilities.model_dump(by_alias=True, exclude_none=True) if capabilities else {}


class Taken:
    """One request, and how far its steps have come."""

    def __init__(self, ctx, params, known):
        self.ctx, self.params, self.known = ctx, params, dict(known)

    async def through(self, steps, result):
        for step in steps:
            (kind, what), *more = step.items()
            if kind == "answer":
                return result.model_validate(filled(what, self.known))
            stop = await getattr(self, kind)(what, **dict(more))
            if stop is not None:
                return stop
        raise AssertionError("an offer without an answer")

    async def pause(self, milliseconds):
        await asyncio.sleep(milliseconds / 1000)

    async def log(self, text):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await self.ctx.session.send_log_message("info", text, related_request_id=self.ctx.request_id)

    async def progress(self, done):
        await self.ctx.session.report_progress(done, 100)

    async def tell(self, of):
        await bus.publish(CHANGES[of]())

    async def needs(self, capability):
        if capability not in declared(self.ctx):
            data = {"requiredCapabilities": {capability: {}}}
            raise MCPError(MISSING_CAPABILITY, f"the client has no {capability}", data)

    async def ask(self, request):
        """Asks while the request runs, as revisions with a way back to the client do."""
        request = filled(request, self.known)
        by = ANSWERED_BY[request["method"]]
        if by not in declared(self.ctx):
            raise MCPError(INVALID_PARAMS, f"the client has no {by}")
        session, related = self.ctx.session, self.ctx.request_id
        asked = request["params"]
        if by == "sampling":
            messages = [types.SamplingMessage.model_validate(one) for one in asked["messages"]]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = await session.create_message(messages, max_tokens=asked["maxTokens"], related_request_id=related)
            self.known["sampled"] = getattr(said.content, "text", "")
        else:
            said = await session.elicit_form(asked["message"], asked["requestedSchema"], related_request_id=related)
            self.known |= {"action": said.action, "content": said.content or {}}

    async def rounds(self, rounds, only_declared=False):
        """Asks by answering, round by round; the state says which round was the last, or that it was the only one."""
        answers, state = self.params.input_responses or {}, self.params.request_state
        last = None
        if state is not None:
            last = next((n for n, one in enumerate(rounds) if one.get("requestState") == state), None)
            if last is None:
                raise MCPError(INVALID_PARAMS, "the state is not one that was given")
        elif "requestState" not in rounds[0] and answers:
            last = 0
        wire = {key: one.model_dump(by_alias=True, mode="json", exclude_none=True) for key, one in answers.items()}
        self.known |= wire
        now = 0
        if last is not None:
            wanted = self.put(rounds[last], only_declared)["inputRequests"]
            whole = all(fits(asked, wire.get(key)) for key, asked in wanted.items())
            now = last + 1 if whole else last
        if now == len(rounds):
            return None
        return types.InputRequiredResult.model_validate(self.put(rounds[now], only_declared))

    def put(self, one, only_declared):
        has = declared(self.ctx)
        can = {k: r for k, r in one["inputRequests"].items() if not only_declared or ANSWERED_BY[r["method"]] in has}
        return {**one, "inputRequests": can}


def fits(asked, answer):
    """Whether an answer is one to what was asked."""
    if answer is None:
        return False
    if asked["method"] == "elicitation/create":
        needed = asked["params"]["requestedSchema"]["required"]
        return answer.get("action") != "accept" or all(name in (answer.get("content") or {}) for name in needed)
    return ("content" if asked["method"] == "sampling/createMessage" else "roots") in answer


def found(offers, name, kind):
    if name not in offers:
        raise MCPError(INVALID_PARAMS, f"no {kind} has the name {name}")
    return offers[name]


async def call_tool(ctx, params):
    steps = found(TOOLS, params.name, "tool")["steps"]
    return await Taken(ctx, params, params.arguments or {}).through(steps, types.CallToolResult)


async def get_prompt(ctx, params):
    steps = found(PROMPTS, params.name, "prompt")["steps"]
    return await Taken(ctx, params, params.arguments or {}).through(steps, types.GetPromptResult)


async def read_resource(ctx, params):
    uri = str(params.uri)
    if uri in RESOURCES:
        offer = RESOURCES[uri]
        contents = {"uri": uri, "mimeType": offer["resource"]["mimeType"], **offer["contents"]}
        return types.ReadResourceResult.model_validate({"contents": [contents]})
    for offer in OFFERS["templates"]:
        before, after = re.split(r"\{id\}", offer["template"]["uriTemplate"])
        if uri.startswith(before) and uri.endswith(after):
            text = offer["text"].replace("{id}", uri.removeprefix(before).removesuffix(after))
            contents = {"uri": uri, "mimeType": offer["template"]["mimeType"], "text": text}
            return types.ReadResourceResult.model_validate({"contents": [contents]})
    raise MCPError(INVALID_PARAMS, "there is no such resource", {"uri": uri})


def listing(result, member, offers, kind):
    async def listed(_ctx, _params):
        return result.model_validate({member: [offer[kind] for offer in offers]})

    return listed


async def nothing(_ctx, _params):
    return types.EmptyResult()


async def complete(_ctx, _params):
    return types.CompleteResult.model_validate({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": False}})


def served():
    with warnings.catch_warnings():
        # Levels of logging are of the revisions before 2026-07-28, which the suite asks for too.
        warnings.simplefilter("ignore")
        server = Server(
            "offers",
            version="1",
            get_tool_input_schema=lambda name: TOOLS.get(name, {}).get("tool", {}).get("inputSchema"),
            on_list_tools=listing(types.ListToolsResult, "tools", OFFERS["tools"], "tool"),
            on_call_tool=call_tool,
            on_list_resources=listing(types.ListResourcesResult, "resources", OFFERS["resources"], "resource"),
            on_list_resource_templates=listing(
                types.ListResourceTemplatesResult, "resourceTemplates", OFFERS["templates"], "template"
            ),
            on_read_resource=read_resource,
            on_subscribe_resource=nothing,
            on_unsubscribe_resource=nothing,
            on_subscriptions_listen=ListenHandler(bus),
            on_list_prompts=listing(types.ListPromptsResult, "prompts", OFFERS["prompts"], "prompt"),
            on_get_prompt=get_prompt,
            on_completion=complete,
            on_set_logging_level=nothing,
        )
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience="offers"))
    return server


def main():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(served().streamable_http_app(), log_level="info", access_log=False))

    def until_input_ends():
        sys.stdin.read()
        running.should_exit = True

    threading.Thread(target=until_input_ends, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    running.run(sockets=[listener])


if __name__ == "__main__":
    main()
