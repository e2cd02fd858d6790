//! A reference: `OpenBao` with its file audit device, which does not sync. Clients look up their own token; each request leaves two
//! lines in the file, as a tool call leaves two events in ours.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock;
use bailiwick_crypto::system::SystemClock;

/// More clients make it no faster, since the server has the machine to itself and them.
const CLIENTS: usize = 32;
const STARTING: Duration = Duration::from_secs(30);
const REQUEST: &[u8] =
    b"GET /v1/auth/token/lookup-self HTTP/1.1\r\nHost: bench\r\nX-Vault-Token: root\r\n\r\n";

/// Lines per second of the audit file, over a turn. Nothing is claimed of it.
pub(crate) fn reference(dir: &Path, turn: Duration, is_bench: bool) -> Result<()> {
    if !is_bench {
        return Ok(());
    }
    let server = Server::start(dir)?;
    let before = server.lines()?;
    let over = AtomicBool::new(false);
    let start = SystemClock.monotonic();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| ask(server.address, &over)))
            .collect();
        thread::park_timeout(turn);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let took = SystemClock.monotonic().saturating_sub(start);
    let lines = u32::try_from(server.lines()? - before)?;
    ensure!(lines > 0, "OpenBao wrote nothing into its audit file");
    crate::figure(
        "openbao_file_audit_for_reference",
        f64::from(lines) / took.as_secs_f64(),
        "events/s",
        ">=0",
    )
}

/// Requests over one connection until the turn is over.
fn ask(address: SocketAddr, over: &AtomicBool) -> Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    while !over.load(Ordering::Relaxed) {
        stream.get_mut().write_all(REQUEST)?;
        answer(&mut stream)?;
    }
    Ok(())
}

fn answer(stream: &mut BufReader<TcpStream>) -> Result<()> {
    let mut length = None;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200"), "OpenBao answers {line}");
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
    }
    let mut body = vec![0; length.context("an answer without length")?];
    Ok(stream.read_exact(&mut body)?)
}

struct Server {
    process: Child,
    address: SocketAddr,
    file: PathBuf,
}

impl Server {
    fn start(dir: &Path) -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/openbao/bao");
        ensure!(program.exists(), "OpenBao is missing: run `ci/deps bench`");
        let file = dir.join("openbao-audit.log");
        let configuration = dir.join("openbao.hcl");
        let path = file.display();
        std::fs::write(
            &configuration,
            format!("audit \"file\" \"bench\" {{ options {{ file_path = \"{path}\" }} }}\n"),
        )?;
        // Bound and given back: nothing else here takes ports in the meantime.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let process = Command::new(program)
            .args([
                "server",
                "-dev",
                "-dev-no-store-token",
                "-dev-root-token-id=root",
            ])
            .arg(format!("-dev-listen-address={address}"))
            .arg(format!("-config={}", configuration.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("OpenBao did not start")?;
        let mut server = Self {
            process,
            address,
            file,
        };
        server.wait()?;
        Ok(server)
    }

    /// Until it answers.
    fn wait(&mut self) -> Result<()> {
        let end = SystemClock.monotonic() + STARTING;
        loop {
            let asked = TcpStream::connect(self.address).map_err(anyhow::Error::from);
            let answered = asked.and_then(|stream| {
                let mut stream = BufReader::new(stream);
                stream.get_mut().write_all(REQUEST)?;
                answer(&mut stream)
            });
            if answered.is_ok() {
                return Ok(());
            }
            let ended = self.process.try_wait()?;
            ensure!(ended.is_none(), "OpenBao ended: {ended:?}");
            ensure!(
                SystemClock.monotonic() < end,
                "OpenBao does not answer: {answered:?}"
            );
            thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn lines(&self) -> Result<usize> {
        Ok(BufReader::new(File::open(&self.file)?).lines().count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
