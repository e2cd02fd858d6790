"""Checks a log with PyPI's aics-tlog: the note, every tile and every leaf, and that the log continues a checkpoint seen before.

tlog_verify.py DIR VKEY [--seen FILE] [--note FILE --witness VKEY]...
"""

import argparse
import sys
from pathlib import Path

from aics_tlog import parse_note, parse_vkey, verify_checkpoint, verify_consistency
from aics_tlog.tiles import FileSystemTileReader, consistency_proof_from_tiles
from aics_tlog.verified import VerifiedTileReader, audit_tiles


def fail(what: str, why: object) -> None:
    print(f"{what}: {why}")
    sys.exit(1)


def opened(path: Path, key, witnesses=()):
    note = parse_note(path.read_text("utf-8"))
    result = verify_checkpoint(note, key, list(witnesses) or None, len(witnesses), expected_origin=key.name)
    if not result.ok:
        fail("checkpoint", result.error)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dir", type=Path)
    parser.add_argument("vkey")
    parser.add_argument("--seen", type=Path)
    parser.add_argument("--note", type=Path)
    parser.add_argument("--witness", action="append", default=[])
    args = parser.parse_args()
    key = parse_vkey(args.vkey)
    if args.note:
        head = opened(args.note, key, [parse_vkey(text) for text in args.witness])
        print(f"cosigned {head.size}")
        return
    try:
        head = opened(args.dir / "checkpoint", key)
        reader = FileSystemTileReader(args.dir)
        if args.seen:
            seen = opened(args.seen, key)
            if seen.size > head.size:
                fail("rolled back", f"{head.size} events, {seen.size} seen before")
            proven = VerifiedTileReader(reader, head.size, head.root)
            proof = consistency_proof_from_tiles(proven, seen.size, head.size)
            if not verify_consistency(seen.size, head.size, seen.root, head.root, proof):
                fail("consistency", "the log does not continue what was seen")
        audit_tiles(reader, head.size, head.root)
    except (ValueError, OSError) as error:
        fail(type(error).__name__, error)
    print(f"proven {head.size}")


main()
