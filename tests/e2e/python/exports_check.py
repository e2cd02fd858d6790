"""Reads exports of one log with other people's readers, and compares them with the plain one.

exports_check.py DIR        DIR holds jsonl, ocsf, otlp, prov (files) and parquet (a directory)
"""

import base64
import datetime
import hashlib
import json
import sys
from pathlib import Path

import duckdb
import jsonschema
from google.protobuf import json_format
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity


def plain(path: Path) -> list[dict]:
    """Every line parses, and its leaf's own bytes give the leaf's hash."""
    events = []
    for line in path.read_bytes().splitlines():
        event = json.loads(line)
        raw = line[line.index(b'"leaf":') + len(b'"leaf":') : -1]
        assert json.loads(raw) == event["leaf"]
        digest = hashlib.sha256(b"\0" + raw).hexdigest()
        assert event["leaf_hash"] == f"sha256:{digest}", event["index"]
        events.append(event)
    assert [event["index"] for event in events] == list(range(len(events)))
    return events


def ocsf(path: Path, events: list[dict]) -> None:
    """Every event is valid in its class of the published schema, with its profiles and nothing the schema does not know."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    validators = {}
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == len(events)
    for event, plain_event in zip(lines, events):
        profiles = event["metadata"]["profiles"]
        key = (event["class_uid"], tuple(profiles))
        if key not in validators:
            name = schema.lookup_class_name_from_uid(event["class_uid"])
            validators[key] = jsonschema.Draft202012Validator(schema.get_class_schema(name, profiles))
        kind = plain_event["leaf"]["type"]
        errors = [f"{kind}: {error.json_path}: {error.message}" for error in validators[key].iter_errors(event)]
        assert not errors, errors
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"], kind
        assert event["unmapped"]["bailiwick"] == plain_event, kind
        assert event["metadata"]["uid"] == plain_event["leaf"]["id"]


def otlp(path: Path, events: list[dict]) -> None:
    """Every line is a request that the protocol's own message reads, ids in hex."""
    records = []
    for line in path.read_text("utf-8").splitlines():
        body = json.loads(line)
        for record in (
            record for one in body["resourceLogs"] for scope in one["scopeLogs"] for record in scope["logRecords"]
        ):
            # The protobuf JSON mapping has base64 where OTLP has hex; what is decoded here is what a collector decodes.
            for name, size in (("traceId", 16), ("spanId", 8)):
                if name in record:
                    assert len(bytes.fromhex(record[name])) == size
                    record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
        request = json_format.ParseDict(body, ExportLogsServiceRequest(), ignore_unknown_fields=False)
        for resource in request.resource_logs:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            assert named["service.name"] == "bailiwick"
            for scope in resource.scope_logs:
                assert (scope.scope.name, scope.scope.version) == ("bailiwick.audit", "1")
                records.extend(scope.log_records)
    assert len(records) == len(events)
    calls = {}
    for record, event in zip(records, events):
        leaf = event["leaf"]
        attributes = {pair.key: pair.value for pair in record.attributes}
        assert record.event_name == f"bailiwick.{leaf['type']}"
        assert json.loads(record.body.string_value) == leaf
        assert attributes["bailiwick.log.index"].int_value == event["index"]
        tool = leaf.get("action", {}).get("tool")
        if tool:
            assert attributes["gen_ai.operation.name"].string_value == "execute_tool"
            assert attributes["gen_ai.tool.name"].string_value == tool
            assert attributes["mcp.method.name"].string_value == "tools/call"
            assert attributes["jsonrpc.request.id"].string_value == leaf["action"]["request_id"]
            calls.setdefault(attributes["gen_ai.tool.call.id"].string_value, []).append((leaf["type"], record))
    # An intent and its result are one call in one trace.
    pairs = [pair for pair in calls.values() if {kind for kind, _ in pair} == {"tool.intent", "tool.result"}]
    assert pairs
    for (_, first), (_, second) in pairs:
        assert first.trace_id == second.trace_id and first.span_id == second.span_id and len(first.span_id) == 8


def parquet(path: Path, events: list[dict]) -> None:
    """DuckDB finds the same events, with origin and day from the directories."""
    query = f"SELECT * REPLACE (epoch_us(ts) AS ts) FROM read_parquet('{path}/*/*/*.parquet', hive_partitioning = true) ORDER BY idx"
    rows = duckdb.connect().execute(query)
    names = [column[0] for column in rows.description]
    rows = [dict(zip(names, row)) for row in rows.fetchall()]
    assert len(rows) == len(events)
    for row, event in zip(rows, events):
        leaf = event["leaf"]
        assert (row["idx"], row["leaf_hash"], row["id"], row["type"]) == (
            event["index"],
            event["leaf_hash"],
            leaf["id"],
            leaf["type"],
        )
        assert row["origin"] == event["origin"]
        assert str(row["date"]) == leaf["ts"][:10]
        at = datetime.datetime.fromisoformat(leaf["ts"].replace("Z", "+00:00"))
        assert row["ts"] == (at - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
        assert row["tool"] == leaf.get("action", {}).get("tool")
        assert row["agent"] == leaf.get("agent", {}).get("id")
        assert row["root_task"] == leaf.get("task", {}).get("root")
        assert row["outcome"] == leaf.get("outcome", {}).get("status")


def prov(path: Path, events: list[dict]) -> None:
    """The document parses, and says what led to what."""
    document = ProvDocument.deserialize(str(path), format="json")
    assert len({record.identifier for record in document.get_records(ProvActivity)}) == len(
        {event["leaf"]["id"] for event in events}
    )
    assert list(document.get_records(ProvAgent)) and list(document.get_records(ProvEntity))
    text = document.get_provn()
    for relation in ("wasInformedBy", "actedOnBehalfOf", "wasAssociatedWith", "used", "wasGeneratedBy"):
        assert relation in text, relation
    informed = sum(len({event["leaf"].get("cause")} - {None} | {parent["id"] for parent in event["leaf"].get("parents", [])}) for event in events)
    assert text.count("wasInformedBy(") == informed


def main() -> None:
    home = Path(sys.argv[1])
    events = plain(home / "jsonl")
    ocsf(home / "ocsf", events)
    otlp(home / "otlp", events)
    parquet(home / "parquet", events)
    prov(home / "prov", events)
    print(json.dumps({"events": len(events), "types": len({event["leaf"]["type"] for event in events})}))


main()
