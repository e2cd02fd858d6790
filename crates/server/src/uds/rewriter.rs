//! The byte transformer: HTTP/2 frames from a client in, the same frames with `:authority: localhost` out (RFC 9113 §4, §6;
//! RFC 7541). Pure: no I/O.

use loona_hpack::Decoder;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER: usize = 9;
/// RFC 9113 §4.2: the size every receiver takes; we never announce more.
const MAX_FRAME: usize = 16_384;
/// Longest header block, joined from its frames.
const MAX_BLOCK: usize = 64 * 1024;
/// Most CONTINUATION frames of one block.
const MAX_CONTINUATIONS: usize = 16;
/// Most fields of one block.
const MAX_FIELDS: usize = 128;
/// Longest block after decoding: names and values.
const MAX_DECODED: usize = 64 * 1024;
/// RFC 7541 §4.2: dynamic table of the announced default size.
const HPACK_TABLE: usize = 4_096;
/// Payload of a frame we write.
const CHUNK: usize = 16_000;

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShimError {
    /// Not HTTP/2 with prior knowledge.
    #[error("the client did not start with the HTTP/2 preface")]
    Preface,
    /// A frame over 16,384 bytes.
    #[error("a frame has {0} bytes, over 16,384")]
    FrameTooLarge(usize),
    /// CONTINUATION without its HEADERS, or another frame inside a header block.
    #[error("the frames of a header block are not consecutive")]
    Sequence,
    /// Padding or priority fields do not fit the frame.
    #[error("a HEADERS frame is shorter than its padding and priority fields")]
    Truncated,
    /// A header block over a bound.
    #[error("a header block is over its bound: {0}")]
    Bound(&'static str),
    /// The header block does not decode.
    #[error("a header block is not valid HPACK")]
    Hpack,
}

#[derive(Debug)]
struct Block {
    stream: [u8; 4],
    end_stream: bool,
    continuations: usize,
    fragments: Vec<u8>,
}

/// Rewrites one connection's incoming bytes.
pub(super) struct Rewriter {
    preface_left: usize,
    input: Vec<u8>,
    block: Option<Block>,
    decoder: Decoder<'static>,
}

impl Default for Rewriter {
    fn default() -> Self {
        let mut decoder = Decoder::new();
        decoder.set_max_allowed_table_size(HPACK_TABLE);
        Self {
            preface_left: PREFACE.len(),
            input: Vec::new(),
            block: None,
            decoder,
        }
    }
}

impl Rewriter {
    /// Takes bytes as they arrive, in any pieces, and appends what h2 should see to `output`. After an error nothing more may
    /// be fed. Holds at most one frame and one header block.
    pub(super) fn feed(&mut self, mut bytes: &[u8], output: &mut Vec<u8>) -> Result<(), ShimError> {
        while self.preface_left > 0 {
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            let at = PREFACE.len() - self.preface_left;
            if PREFACE.get(at) != Some(byte) {
                return Err(ShimError::Preface);
            }
            output.push(*byte);
            self.preface_left -= 1;
            bytes = rest;
        }
        self.input.extend_from_slice(bytes);
        let mut consumed = 0;
        loop {
            let rest = self.input.get(consumed..).unwrap_or_default();
            let Some((header, payload)) = rest.split_first_chunk::<FRAME_HEADER>() else {
                break;
            };
            let [a, b, c, kind, flags, stream @ ..] = *header;
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if length > MAX_FRAME {
                return Err(ShimError::FrameTooLarge(length));
            }
            let Some(payload) = payload.get(..length) else {
                break;
            };
            let payload = payload.to_vec();
            self.frame(kind, flags, stream, &payload, output)?;
            consumed += FRAME_HEADER + length;
        }
        self.input.drain(..consumed);
        Ok(())
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: [u8; 4],
        payload: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), ShimError> {
        match (kind, self.block.take()) {
            (HEADERS, None) => {
                let block = Block {
                    stream,
                    end_stream: flags & END_STREAM != 0,
                    continuations: 0,
                    fragments: fragment(flags, payload)?.to_vec(),
                };
                self.block_frame(block, flags, output)
            }
            (CONTINUATION, Some(mut block)) if block.stream == stream => {
                block.continuations += 1;
                if block.continuations > MAX_CONTINUATIONS {
                    return Err(ShimError::Bound("more than 16 CONTINUATION frames"));
                }
                block.fragments.extend_from_slice(payload);
                self.block_frame(block, flags, output)
            }
            (CONTINUATION, _) | (_, Some(_)) => Err(ShimError::Sequence),
            (_, None) => {
                push_frame(output, kind, flags, stream, payload);
                Ok(())
            }
        }
    }

    fn block_frame(
        &mut self,
        block: Block,
        flags: u8,
        output: &mut Vec<u8>,
    ) -> Result<(), ShimError> {
        if block.fragments.len() > MAX_BLOCK {
            return Err(ShimError::Bound("over 64 KiB"));
        }
        if flags & END_HEADERS == 0 {
            self.block = Some(block);
            return Ok(());
        }
        let encoded = self.reencode(&block.fragments)?;
        write_block(output, block.stream, block.end_stream, &encoded);
        Ok(())
    }

    /// Decodes with the connection's dynamic table and encodes anew, without any table.
    fn reencode(&mut self, fragments: &[u8]) -> Result<Vec<u8>, ShimError> {
        let mut encoded = Vec::with_capacity(fragments.len() + 64);
        let (mut fields, mut decoded) = (0_usize, 0_usize);
        self.decoder
            .decode_with_cb(fragments, |name, value| {
                fields += 1;
                decoded += name.len() + value.len();
                // Beyond a bound nothing is copied any more; the block is refused below.
                if fields <= MAX_FIELDS && decoded <= MAX_DECODED {
                    let value: &[u8] = if *name == *b":authority" {
                        b"localhost"
                    } else {
                        &value
                    };
                    push_field(&mut encoded, &name, value);
                }
            })
            .map_err(|_| ShimError::Hpack)?;
        if fields > MAX_FIELDS {
            return Err(ShimError::Bound("more than 128 fields"));
        }
        if decoded > MAX_DECODED {
            return Err(ShimError::Bound("over 64 KiB decoded"));
        }
        Ok(encoded)
    }
}

/// The block fragment of a HEADERS frame: its payload without padding and priority (RFC 9113 §6.2).
fn fragment(flags: u8, mut payload: &[u8]) -> Result<&[u8], ShimError> {
    let mut padding = 0;
    if flags & PADDED != 0 {
        let (length, rest) = payload.split_first().ok_or(ShimError::Truncated)?;
        (padding, payload) = (usize::from(*length), rest);
    }
    if flags & PRIORITY != 0 {
        payload = payload.get(5..).ok_or(ShimError::Truncated)?;
    }
    let end = payload
        .len()
        .checked_sub(padding)
        .ok_or(ShimError::Truncated)?;
    payload.get(..end).ok_or(ShimError::Truncated)
}

fn write_block(output: &mut Vec<u8>, stream: [u8; 4], end_stream: bool, encoded: &[u8]) {
    let end_stream = if end_stream { END_STREAM } else { 0 };
    let mut chunks = encoded.chunks(CHUNK).peekable();
    let first = chunks.next().unwrap_or_default();
    let end = |last: bool| if last { END_HEADERS } else { 0 };
    push_frame(
        output,
        HEADERS,
        end_stream | end(chunks.peek().is_none()),
        stream,
        first,
    );
    while let Some(chunk) = chunks.next() {
        push_frame(
            output,
            CONTINUATION,
            end(chunks.peek().is_none()),
            stream,
            chunk,
        );
    }
}

fn push_frame(output: &mut Vec<u8>, kind: u8, flags: u8, stream: [u8; 4], payload: &[u8]) {
    // Payloads are at most MAX_FRAME bytes, so three bytes hold the length.
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    output.extend_from_slice(length.get(1..).unwrap_or_default());
    output.extend_from_slice(&[kind, flags]);
    output.extend_from_slice(&stream);
    output.extend_from_slice(payload);
}

/// Literal never indexed, new name, no Huffman (RFC 7541 §6.2.3).
fn push_field(encoded: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    encoded.push(0x10);
    push_string(encoded, name);
    push_string(encoded, value);
}

/// RFC 7541 §5.1 and §5.2: length as a 7-bit prefix integer, then the bytes.
fn push_string(encoded: &mut Vec<u8>, text: &[u8]) {
    let low = |value: usize| u8::try_from(value & 0x7f).unwrap_or(0);
    if text.len() < 0x7f {
        encoded.push(low(text.len()));
    } else {
        encoded.push(0x7f);
        let mut rest = text.len() - 0x7f;
        while rest >= 0x80 {
            encoded.push(low(rest) | 0x80);
            rest >>= 7;
        }
        encoded.push(low(rest));
    }
    encoded.extend_from_slice(text);
}

#[cfg(test)]
mod tests;
