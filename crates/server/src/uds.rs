//! gRPC over a unix socket for every SPIFFE client.
//!
//! gRPC C-core and Java send the percent-encoded socket path as `:authority`, which h2 answers with RST_STREAM. So the
//! accepted stream is wrapped for reading and the header is rewritten before h2 sees it (02 §2). An error closes the one
//! connection it came on.

mod rewriter;
mod stream;

pub use rewriter::ShimError;
pub use stream::ShimStream;
