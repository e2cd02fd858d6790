"""An agent that uses the MCP project's own client: lists the tools, makes the calls it is told to make, and says what it got.

The one argument is JSON: {"opening": "client" | "session", "url"?, "socket"?, "issuer"?, "task"?, "command"?, "args"?,
"env"?, "environ"?, "calls": [{"tool", "arguments"}]}. With a url it speaks streamable HTTP with DPoP, otherwise the command is its server over stdio.
"""

import asyncio
import json
import os
import pathlib
import sys

from mcp import Client, ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from dpop import DpopAuth, Key, task_token


def say(**members) -> None:
    print(json.dumps(members), flush=True)


def transport(told):
    if "url" not in told:
        return stdio_client(StdioServerParameters(command=told["command"], args=told["args"], env=told["env"]))
    key = Key()
    token = task_token(key, told["socket"], told["issuer"], told["task"], told["url"])
    http = create_mcp_http_client(auth=DpopAuth(key, token))
    return streamable_http_client(told["url"], http_client=http)


def environments() -> list[str]:
    """The environment of this process and of those it started, as the kernel shows them."""
    found = []
    own = os.getpid()
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if own in (parent, int(process.name)):
                found.append((process / "environ").read_text(errors="replace"))
        except OSError:
            pass  # gone meanwhile
    return found


async def work(session, told) -> None:
    listed = await session.list_tools()
    say(tools=[tool.name for tool in listed.tools], hidden=listed.meta)
    for call in told["calls"]:
        try:
            result = await session.call_tool(call["tool"], call["arguments"])
        except Exception as error:  # the test judges what came
            say(tool=call["tool"], raised=f"{type(error).__name__}: {error}")
            continue
        texts = [block.text for block in result.content if block.type == "text"]
        say(tool=call["tool"], error=result.is_error, text="\n".join(texts), meta=result.meta)
    if told.get("environ"):
        say(environ=environments())


async def main() -> None:
    told = json.loads(sys.argv[1])
    if told["opening"] == "client":
        async with Client(transport(told), read_timeout_seconds=60) as client:
            say(opened=client.protocol_version)
            await work(client, told)
    else:
        async with transport(told) as (read, write), ClientSession(read, write) as session:
            opened = await session.initialize()
            say(opened=opened.protocol_version)
            await work(session, told)
    say(done=True)


asyncio.run(main())
