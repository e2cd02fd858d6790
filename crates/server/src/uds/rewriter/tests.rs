//! Trap 5 of the identity design: C-core's authority works; hostile framing costs one connection and bounded memory.

#[path = "../../../../../conformance/replay.rs"]
mod replay;

use super::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PADDED, PREFACE, PRIORITY, Rewriter, ShimError,
    push_field, push_frame,
};

const STREAM: [u8; 4] = [0, 0, 0, 1];

fn block(authority: &[u8]) -> Vec<u8> {
    let mut encoded = vec![0x83]; // :method POST, indexed
    push_field(&mut encoded, b":authority", authority);
    encoded
}

fn feed(frames: &[u8]) -> Result<Vec<u8>, ShimError> {
    let mut output = Vec::new();
    let mut all = PREFACE.to_vec();
    all.extend_from_slice(frames);
    Rewriter::default().feed(&all, &mut output)?;
    Ok(output)
}

fn decode(output: &[u8]) -> Vec<(String, String)> {
    let frame = &output[PREFACE.len()..];
    assert_eq!(frame[3], HEADERS);
    let fields = loona_hpack::Decoder::new().decode(&frame[9..]).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    fields
        .into_iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

#[test]
fn trap_05_authority_and_hpack() {
    let mut frames = Vec::new();
    push_frame(
        &mut frames,
        HEADERS,
        END_HEADERS | END_STREAM,
        STREAM,
        &block(b"%2Frun%2Fworkload.sock"),
    );
    let output = feed(&frames).unwrap();
    assert_eq!(
        decode(&output),
        [
            (":method".into(), "POST".into()),
            (":authority".into(), "localhost".into())
        ]
    );
    assert_eq!(output[PREFACE.len() + 4], END_HEADERS | END_STREAM);
}

#[test]
fn any_split_gives_the_same_bytes() {
    let mut frames = Vec::new();
    push_frame(&mut frames, 0x4, 0, [0; 4], &[]);
    push_frame(&mut frames, HEADERS, 0, STREAM, &block(b"a"));
    push_frame(&mut frames, CONTINUATION, END_HEADERS, STREAM, &block(b"b"));
    push_frame(&mut frames, 0x0, END_STREAM, STREAM, b"body");
    let whole = feed(&frames).unwrap();
    let mut rewriter = Rewriter::default();
    let mut output = Vec::new();
    for byte in PREFACE.iter().chain(&frames) {
        rewriter.feed(&[*byte], &mut output).unwrap();
    }
    assert_eq!(output, whole);
}

#[test]
fn padding_and_priority_are_taken_off() {
    let mut payload = vec![3, 0, 0, 0, 0, 9];
    payload.extend_from_slice(&block(b"x"));
    payload.extend_from_slice(&[0, 0, 0]);
    let mut frames = Vec::new();
    push_frame(
        &mut frames,
        HEADERS,
        END_HEADERS | PADDED | PRIORITY,
        STREAM,
        &payload,
    );
    assert_eq!(decode(&feed(&frames).unwrap())[1].1, "localhost");
    for short in [&[][..], &[9][..], &[1, 0, 0][..]] {
        let mut frames = Vec::new();
        push_frame(
            &mut frames,
            HEADERS,
            END_HEADERS | PADDED | PRIORITY,
            STREAM,
            short,
        );
        assert_eq!(feed(&frames), Err(ShimError::Truncated));
    }
}

#[test]
fn the_dynamic_table_is_followed() {
    // Literal with incremental indexing of `x: 1`, then the same by index 62.
    let mut frames = Vec::new();
    push_frame(
        &mut frames,
        HEADERS,
        END_HEADERS,
        STREAM,
        &[0x40, 1, b'x', 1, b'1'],
    );
    push_frame(&mut frames, HEADERS, END_HEADERS, [0, 0, 0, 3], &[0xbe]);
    let output = feed(&frames).unwrap();
    let expected = [0x10, 1, b'x', 1, b'1'];
    assert_eq!(
        output
            .windows(5)
            .filter(|window| *window == expected)
            .count(),
        2
    );
}

#[test]
fn hostile_framing_is_refused() {
    let interleaved = {
        let mut frames = Vec::new();
        push_frame(&mut frames, HEADERS, 0, STREAM, &block(b"a"));
        push_frame(&mut frames, 0x6, 0, [0; 4], &[0; 8]);
        frames
    };
    assert_eq!(feed(&interleaved), Err(ShimError::Sequence));
    let mut stray = Vec::new();
    push_frame(&mut stray, CONTINUATION, END_HEADERS, STREAM, &[]);
    assert_eq!(feed(&stray), Err(ShimError::Sequence));
    let mut flood = Vec::new();
    push_frame(&mut flood, HEADERS, 0, STREAM, &[]);
    for _ in 0..17 {
        push_frame(&mut flood, CONTINUATION, 0, STREAM, &[]);
    }
    assert_eq!(
        feed(&flood),
        Err(ShimError::Bound("more than 16 CONTINUATION frames"))
    );
    assert_eq!(
        feed(&[0x00, 0x40, 0x01, HEADERS, 0, 0, 0, 0, 1]),
        Err(ShimError::FrameTooLarge(16_385))
    );
    assert_eq!(
        Rewriter::default().feed(b"GET / HTTP/1.1\r\n", &mut Vec::new()),
        Err(ShimError::Preface)
    );
    let mut many = Vec::new();
    push_frame(&mut many, HEADERS, END_HEADERS, STREAM, &[0x83; 129]);
    assert_eq!(feed(&many), Err(ShimError::Bound("more than 128 fields")));
}

#[test]
fn truncated_and_random_blocks_never_panic() {
    let good = block(b"authority-of-some-length");
    for cut in 0..good.len() {
        let mut frames = Vec::new();
        push_frame(&mut frames, HEADERS, END_HEADERS, STREAM, &good[..cut]);
        // Either it decodes (cut at a field's end) or the connection is closed.
        let _ = feed(&frames);
    }
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..48)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            })
            .collect();
        let mut frames = Vec::new();
        push_frame(&mut frames, HEADERS, END_HEADERS, STREAM, &bytes);
        let _ = feed(&frames);
    }
}

#[test]
fn a_table_bomb_is_bounded() {
    // One 4,000-byte entry, then as many references to it as fit a frame.
    let mut payload = vec![0x40, 1, b'x'];
    super::push_string(&mut payload, &[b'y'; 4_000]);
    payload.resize(16_000, 0xbe);
    let mut frames = Vec::new();
    push_frame(&mut frames, HEADERS, END_HEADERS, STREAM, &payload);
    assert!(matches!(feed(&frames), Err(ShimError::Bound(_))));
}

#[test]
fn corpus_uds_shim() {
    replay::replay("uds_shim", |name, bytes| {
        let fed = |pieces: usize| {
            let (mut rewriter, mut output) = (Rewriter::default(), Vec::new());
            let fed = bytes
                .chunks(pieces)
                .try_for_each(|piece| rewriter.feed(piece, &mut output));
            (fed.is_ok(), output)
        };
        let (good, whole) = fed(bytes.len().max(1));
        if let Some(name) = name {
            assert_eq!(good, name.starts_with("good-"), "{name}");
        }
        // However it arrives, and never much more than came in: a block may grow by its table, up to its bound.
        for pieces in [1, 7] {
            let (again, output) = fed(pieces);
            assert_eq!(again, good);
            assert!(!good || output == whole);
        }
        assert!(whole.len() <= bytes.len() + (1 << 20));
    });
}
