//! `svid`: this process's own identity, as the Workload API gives it after looking at the process.

use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Problem};
use bailiwick_proto::workload::X509svid;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Failure;
use crate::workload::{Workload, certificates};
use crate::{Exit, Outcome};

/// What can be done with SVIDs.
#[derive(Debug, Subcommand)]
pub(crate) enum SvidCommand {
    /// Fetches an X.509-SVID, or with --audience a JWT-SVID.
    #[command(after_help = "Example: bailiwick svid fetch --write ./svid")]
    Fetch {
        #[command(flatten)]
        socket: SocketArg,
        /// Fetches a JWT-SVID for this audience.
        #[arg(long)]
        audience: Option<String>,
        /// Writes svid.pem, key.pem and bundle.pem into this new directory.
        #[arg(long, value_name = "DIR", conflicts_with = "audience")]
        write: Option<PathBuf>,
    },
    /// Prints each X.509-SVID as it is rotated, until Ctrl-C.
    #[command(after_help = "Example: bailiwick svid watch")]
    Watch {
        #[command(flatten)]
        socket: SocketArg,
    },
}

/// Where the Workload API is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SocketArg {
    /// The Workload API's socket. Default: that of the node which runs here.
    #[arg(long, env = "SPIFFE_ENDPOINT_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<String>,
}

impl SocketArg {
    /// The path (SPIFFE_Workload_Endpoint.md §4 writes `unix:///path`).
    pub(crate) fn path(&self, context: &Context) -> Result<PathBuf, Failure> {
        match &self.socket {
            Some(text) => Ok(PathBuf::from(
                text.strip_prefix("unix://")
                    .or_else(|| text.strip_prefix("unix:"))
                    .unwrap_or(text),
            )),
            None => context.socket("workload.sock"),
        }
    }
}

/// Does it.
pub(crate) async fn run(context: &Context, command: SvidCommand) -> Outcome {
    match command {
        SvidCommand::Fetch {
            socket,
            audience: Some(audience),
            ..
        } => {
            let mut workload = Workload::connect(&socket.path(context)?).await?;
            let svid = workload.jwt_svid(&audience).await?;
            let body = json!({"spiffe_id": svid.spiffe_id, "svid": svid.svid});
            context.out.show(&body, |_, _| svid.svid.clone());
        }
        SvidCommand::Fetch {
            socket,
            audience: None,
            write,
        } => {
            let mut workload = Workload::connect(&socket.path(context)?).await?;
            let svid = workload.x509_svid().await?;
            if let Some(dir) = write {
                write_files(&dir, &svid)?;
            }
            context.record(&public(&svid));
        }
        SvidCommand::Watch { socket } => {
            let mut workload = Workload::connect(&socket.path(context)?).await?;
            let mut stream = workload.x509_svids().await?;
            loop {
                let answer = tokio::select! {
                    answer = stream.message() => answer.map_err(|status| workload.refused(&status))?,
                    _ = tokio::signal::ctrl_c() => return Ok(Exit::INTERRUPTED),
                };
                let Some(answer) = answer else { break };
                for svid in &answer.svids {
                    if context.out.is_json() {
                        context.out.json_line(&public(svid));
                    } else {
                        context.out.line(&format!(
                            "{}  {} certificates",
                            svid.spiffe_id,
                            certificates(&svid.x509_svid).len()
                        ));
                    }
                }
                if context.out.closed() {
                    break;
                }
            }
        }
    }
    Ok(Exit::DONE)
}

/// What may be printed: everything but the key.
pub(crate) fn public(svid: &X509svid) -> Value {
    let base64 = |der: &[u8]| {
        certificates(der)
            .into_iter()
            .map(|der| STANDARD.encode(der))
            .collect::<Vec<_>>()
    };
    json!({"spiffe_id": svid.spiffe_id, "hint": svid.hint, "x509_svid": base64(&svid.x509_svid), "bundle": base64(&svid.bundle)})
}

/// PEM files as TLS programs read them; the key is readable by its owner alone.
fn write_files(dir: &Path, svid: &X509svid) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let failed = |error: std::io::Error| {
        Problem::new(
            Code::ConfigInvalid,
            format!("{} cannot be written: {error}", dir.display()),
            "name a directory that does not exist yet",
        )
    };
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let chain = |der: &[u8]| {
        certificates(der)
            .into_iter()
            .map(|der| pem("CERTIFICATE", der))
            .collect::<String>()
    };
    let files = [
        ("svid.pem", chain(&svid.x509_svid)),
        ("key.pem", pem("PRIVATE KEY", &svid.x509_svid_key)),
        ("bundle.pem", chain(&svid.bundle)),
    ];
    for (name, text) in files {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(dir.join(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(failed)?;
    }
    Ok(())
}

/// RFC 7468 §2.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
