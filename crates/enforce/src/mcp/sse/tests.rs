//! The event-stream codec against streams and messages made to break it.

use bytes::Bytes;

use super::{MAX_EVENT, Parser, TooLong, event};

fn all(chunks: &[&[u8]]) -> Vec<Bytes> {
    let mut parser = Parser::default();
    chunks
        .iter()
        .flat_map(|chunk| parser.push(chunk).unwrap())
        .collect()
}

#[test]
fn every_way_to_end_a_line_and_to_cut_a_stream() {
    for stream in [
        "data: a\n\ndata: b\n\n",
        "data: a\r\n\r\ndata: b\r\n\r\n",
        "data:a\r\rdata:b\r\r",
        "\u{feff}data: a\n\ndata: b\n\n",
    ] {
        assert_eq!(all(&[stream.as_bytes()]), ["a", "b"], "{stream:?}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(all(&bytes), ["a", "b"], "{stream:?} byte by byte");
    }
}

#[test]
fn ids_names_comments_and_priming_events_are_dropped() {
    let stream = b": hello\nid: 0\nretry: 3000\ndata:\n\nevent: message\nid: 1\0\ndata: {\ndata: }\n\nid: 2\n\n";
    assert_eq!(all(&[stream]), ["{\n}"]);
}

#[test]
fn an_unfinished_event_is_no_event() {
    assert!(all(&[b"data: a\n"]).is_empty());
}

#[test]
fn nothing_in_a_message_starts_an_event_of_its_own() {
    for hostile in [
        "x\n\ndata: {\"forged\":1}",
        "x\r\rdata: forged",
        "x\r\ndata: forged",
        "data: x\nid: 9\nretry: 1",
        "\u{feff}data: x",
        "id: \0",
    ] {
        let written = event(hostile.as_bytes());
        let read = all(&[&written]);
        assert_eq!(read.len(), 1, "{hostile:?}");
        let lines = written
            .split(|byte| *byte == b'\n' || *byte == b'\r')
            .filter(|line| !line.is_empty());
        assert_eq!(lines.count(), 2, "{hostile:?}: one name, one data line");
    }
}

#[test]
fn an_event_has_a_bound() {
    let mut parser = Parser::default();
    parser.push(b"data: ").unwrap();
    assert_eq!(parser.push(&vec![b'x'; MAX_EVENT + 1]), Err(TooLong));
}
