//! Server-sent events of a response body, each bounded in size before it is parsed.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};

use super::authorise::BoxError;

/// The events of `body`; one of more than `limit` bytes ends the stream with an error.
pub(super) fn events<E>(
    body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    limit: usize,
) -> BoxStream<'static, Result<Sse, SseError>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut size = EventSize::default();
    let bounded = body.map(move |chunk| {
        let chunk = chunk.map_err(|error| Failed(error.into()))?;
        if size.after(&chunk, limit) {
            Ok(chunk)
        } else {
            Err(Failed(format!("an event is over {limit} bytes").into()))
        }
    });
    // With an id or a `retry` rmcp would wait and resume a stream that was cut. A script must see the cut, at once.
    let unresumable = |event: Sse| Sse {
        id: None,
        retry: None,
        ..event
    };
    SseStream::from_bytes_stream(bounded)
        .map(move |event| event.map(unresumable))
        .boxed()
}

/// Why the events ended early.
#[derive(Debug, thiserror::Error)]
#[error("the event stream failed")]
struct Failed(#[source] BoxError);

/// Bytes since the last blank line.
#[derive(Default)]
struct EventSize {
    bytes: usize,
    line_is_empty: bool,
}

impl EventSize {
    /// Counts a chunk; false once an event is over the limit.
    fn after(&mut self, chunk: &[u8], limit: usize) -> bool {
        for byte in chunk {
            self.bytes += 1;
            match byte {
                b'\n' if self.line_is_empty => self.bytes = 0,
                b'\n' => self.line_is_empty = true,
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
            if self.bytes > limit {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
