//! The wrapped stream that tonic serves: reads go through the rewriter, writes are untouched, and the peer is known.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bailiwick_identity::peer::Peer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

use super::rewriter::Rewriter;

/// One accepted connection of the Workload API socket.
pub struct ShimStream {
    inner: UnixStream,
    peer: Peer,
    rewriter: Rewriter,
    ready: Vec<u8>,
    given: usize,
}

impl ShimStream {
    /// Wraps an accepted stream whose peer has been asked for.
    pub fn new(inner: UnixStream, peer: Peer) -> Self {
        Self {
            inner,
            peer,
            rewriter: Rewriter::default(),
            ready: Vec::new(),
            given: 0,
        }
    }
}

impl Connected for ShimStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for ShimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let waiting = this.ready.get(this.given..).unwrap_or_default();
            if !waiting.is_empty() {
                let give = waiting
                    .get(..buf.remaining().min(waiting.len()))
                    .unwrap_or_default();
                buf.put_slice(give);
                this.given += give.len();
                return Poll::Ready(Ok(()));
            }
            this.ready.clear();
            this.given = 0;
            let mut chunk = [0_u8; 8 * 1024];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.rewriter
                .feed(read.filled(), &mut this.ready)
                .map_err(|error| {
                    tracing::warn!(pid = this.peer.pid, %error, "workload API connection closed");
                    io::Error::new(io::ErrorKind::InvalidData, error)
                })?;
        }
    }
}

impl AsyncWrite for ShimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
