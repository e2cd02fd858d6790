//! The authority shim: however a stream arrives, it is rewritten alike, and never to much more than came in.

use crate::rewriter::Rewriter;

pub(crate) fn look(bytes: &[u8]) {
    let fed = |pieces: usize| {
        let (mut rewriter, mut output) = (Rewriter::default(), Vec::new());
        let mut pieces = bytes.chunks(pieces);
        let fed = pieces.try_for_each(|piece| rewriter.feed(piece, &mut output));
        (fed.is_ok(), output)
    };
    let (good, whole) = fed(bytes.len().max(1));
    let (again, output) = fed(7);
    assert_eq!(again, good);
    assert!(!good || output == whole);
    assert!(whole.len() <= bytes.len() + (1 << 20));
}
