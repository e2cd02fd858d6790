//! Server-sent events (WHATWG HTML §9.2), both ways. Streams of upstreams are parsed and written anew, one JSON-RPC message an event:
//! nothing that a server writes can start an event of its own, an id or a retry at our client.

use bytes::Bytes;

/// Longest event, and longest line, in bytes: the bound on one answer.
pub const MAX_EVENT: usize = 16 << 20;

/// Splits a byte stream into the data of its events. Ids, retry hints, names and comments are dropped.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    started: bool,
}

/// An event over [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is over {MAX_EVENT} bytes")]
pub struct TooLong;

impl Parser {
    /// Takes in bytes; gives the data of every event that ended in them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            // A line ends with CR, LF or CRLF.
            let ends = match byte {
                b'\n' if std::mem::take(&mut self.after_cr) => continue,
                b'\n' => true,
                b'\r' => {
                    self.after_cr = true;
                    true
                }
                other => {
                    self.after_cr = false;
                    self.line.push(*other);
                    false
                }
            };
            if ends {
                events.extend(self.end_line());
            }
            if self.line.len() > MAX_EVENT || self.data.len() > MAX_EVENT {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Bytes> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            // Priming events have an id and no data.
            return (std::mem::take(&mut self.has_data) && !data.is_empty())
                .then(|| Bytes::from(data));
        }
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        if field == b"data" {
            let value = value.strip_prefix(b":").unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
        }
        None
    }
}

/// One message as one event. The message has been checked and is on one line ([`super::splice::on_one_line`]).
pub fn event(message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(message.len() + 24);
    out.extend_from_slice(b"event: message\ndata: ");
    // A line break here would let a message continue as a field of its own.
    out.extend(message.iter().map(|byte| {
        if matches!(byte, b'\n' | b'\r') {
            b' '
        } else {
            *byte
        }
    }));
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

/// A comment, to keep the connection and its proxies awake.
pub fn keep_alive() -> Bytes {
    Bytes::from_static(b": wait\n\n")
}

#[cfg(test)]
mod tests;
