//! `witness`: a C2SP witness for any transparency log, ours or not. It needs no node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_audit::disk::SystemDisk;
use bailiwick_audit::witness::Witness;
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::cosignature::CosignatureSigner;
use bailiwick_crypto::system::SystemClock;
use bailiwick_server::config::{Log, LogFormat};
use bailiwick_server::witness;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::audit::log_key;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::table;
use crate::{Exit, Outcome};

/// How.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick witness --state /var/lib/witness --name witness.example/w1 --log log.vkey --listen 127.0.0.1:8422"
)]
pub(crate) struct WitnessArgs {
    /// Directory with the witness's key and what it has cosigned; made at the first start. Never copy it to run a second witness.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The witness's name, a URL without scheme. With the key it is its identity.
    #[arg(long)]
    name: String,
    /// A log to cosign for: its public key or a file with it. May be given several times.
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8422")]
    listen: SocketAddr,
}

/// Does it. With JSON, one line on stdout says that the witness is ready, where, and under which key.
pub(crate) async fn run(context: &Context, args: WitnessArgs) -> Outcome {
    bailiwick_server::telemetry::init(&Log {
        format: LogFormat::Text,
        filter: "info".into(),
    })?;
    let failed =
        |error: std::io::Error| Failure::internal(format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let logs = args
        .logs
        .iter()
        .map(|log| log_key(log))
        .collect::<Result<Vec<_>, Failure>>()?;
    let key = witness::open_or_create(&args.state)?;
    let signer = CosignatureSigner::new(&args.name, key)?;
    let witness = Witness::open(
        &args.state,
        signer,
        logs,
        Arc::new(SystemDisk),
        Arc::new(SystemClock),
    )?;
    let unusable = |error: std::io::Error| {
        let message = format!("{} cannot be listened on: {error}", args.listen);
        Failure::from(Problem::new(
            Code::PortInUse,
            message,
            "choose another --listen",
        ))
    };
    let listener = TcpListener::bind(args.listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let ready = json!({
        "ready": true,
        "witness": witness.name(),
        "url": format!("http://{address}"),
        "vkey": witness.vkey()?,
        "logs": witness.origins().collect::<Vec<_>>(),
    });
    if context.out.is_json() {
        context.out.json_line(&ready);
    } else {
        context.out.line(&table::record(&context.out, &ready));
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = witness::serve(Arc::new(witness), listener, stop).await;
    served.map_err(|error| Failure::internal(format!("the witness stopped: {error}")))?;
    Ok(Exit::DONE)
}
