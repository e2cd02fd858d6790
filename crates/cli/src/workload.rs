//! A client of the SPIFFE Workload API on its unix socket (SPIFFE_Workload_API.md §5, §6).

use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Problem};
use bailiwick_proto::workload as api;
use bailiwick_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

/// A connection to the Workload API.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    client: SpiffeWorkloadApiClient<Channel>,
    socket: PathBuf,
}

impl Workload {
    /// Connects.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, Problem> {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The authority is never used: the socket is the address.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await;
        let channel = channel.map_err(|error| unreachable(socket, &innermost(&error)))?;
        Ok(Self {
            client: SpiffeWorkloadApiClient::new(channel),
            socket: socket.to_owned(),
        })
    }

    /// The stream of X.509-SVIDs: one now, another at each rotation.
    pub(crate) async fn x509_svids(&mut self) -> Result<Streaming<api::X509svidResponse>, Problem> {
        let answer = self
            .client
            .fetch_x509svid(request(api::X509svidRequest {}))
            .await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| self.refused(&status))
    }

    /// One X.509-SVID.
    pub(crate) async fn x509_svid(&mut self) -> Result<api::X509svid, Problem> {
        let mut stream = self.x509_svids().await?;
        let answer = stream
            .message()
            .await
            .map_err(|status| self.refused(&status))?;
        answer
            .and_then(|answer| answer.svids.into_iter().next())
            .ok_or_else(|| {
                Problem::new(
                    Code::NoIdentity,
                    "the Workload API gave no SVID",
                    "see `bailiwick agent list`",
                )
            })
    }

    /// A JWT-SVID for one audience.
    pub(crate) async fn jwt_svid(&mut self, audience: &str) -> Result<api::Jwtsvid, Problem> {
        let ask = api::JwtsvidRequest {
            audience: vec![audience.to_owned()],
            spiffe_id: String::new(),
        };
        let answer = self
            .client
            .fetch_jwtsvid(request(ask))
            .await
            .map_err(|status| self.refused(&status))?;
        answer.into_inner().svids.into_iter().next().ok_or_else(|| {
            Problem::new(
                Code::NoIdentity,
                "the Workload API gave no JWT-SVID",
                "see `bailiwick agent list`",
            )
        })
    }

    /// What a refusal says; our node puts its code before the message.
    pub(crate) fn refused(&self, status: &Status) -> Problem {
        let text = status.message();
        let named = text.split_once(": ").and_then(|(name, rest)| {
            let code = Code::ALL.iter().find(|code| code.as_str() == name)?;
            Some((*code, rest))
        });
        if let Some((code, rest)) = named {
            let (message, help) = rest.rsplit_once("; ").unwrap_or((rest, ""));
            return Problem::new(code, message, help);
        }
        match status.code() {
            tonic::Code::PermissionDenied => {
                Problem::new(Code::NoIdentity, text, "see `bailiwick agent list`")
            }
            tonic::Code::InvalidArgument => Problem::new(Code::InvalidInput, text, ""),
            _ => unreachable(&self.socket, text),
        }
    }
}

fn unreachable(socket: &Path, why: &str) -> Problem {
    let message = format!("no Workload API answers at {}: {why}", socket.display());
    Problem::new(
        Code::NodeUnreachable,
        message,
        "start the node, or name its workload.sock with --socket or SPIFFE_ENDPOINT_SOCKET",
    )
}

/// The security header that stops requests forged through a browser or proxy (§4).
fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("workload.spiffe.io", MetadataValue::from_static("true"));
    request
}

/// tonic's own words say only "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The certificates of a chain in DER, which the Workload API sends one behind the other.
pub(crate) fn certificates(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((certificate, rest)) = first_der(der) {
        found.push(certificate);
        der = rest;
    }
    found
}

/// The first DER element (X.690 §8.1.3) and what follows it.
fn first_der(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*bytes.get(1)?);
    let (header, length) = if length < 0x80 {
        (2, length)
    } else {
        let count = length & 0x7f;
        let digits = bytes
            .get(2..2_usize.checked_add(count)?)
            .filter(|_| (1..=4).contains(&count))?;
        (
            2 + count,
            digits
                .iter()
                .fold(0_usize, |value, digit| (value << 8) | usize::from(*digit)),
        )
    };
    bytes.split_at_checked(header.checked_add(length)?)
}

#[cfg(test)]
mod tests;
