//! What every command gets: where to print, and which node to ask.

use std::path::PathBuf;

use bailiwick_core::{Code, Problem, Secret};
use serde_json::Value;

use crate::client::{Client, Target};
use crate::command::Global;
use crate::config;
use crate::failure::Failure;
use crate::output::{Out, table};

/// A command's surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Where to print.
    pub(crate) out: Out,
    node: Option<String>,
    token: Option<Secret<String>>,
    ca: Option<PathBuf>,
}

/// Longest file of authorities.
const MAX_AUTHORITIES: usize = 1 << 20;

impl Context {
    /// From what every command takes, and `BAILIWICK_TOKEN`.
    pub(crate) fn new(out: Out, global: &Global) -> Self {
        Self {
            out,
            node: global.node.clone(),
            token: std::env::var("BAILIWICK_TOKEN")
                .ok()
                .filter(|token| !token.is_empty())
                .map(Secret::new),
            ca: global.ca.clone(),
        }
    }

    /// The API of the node that was named, or of the one that runs here.
    pub(crate) fn api(&self) -> Result<Client, Failure> {
        let target = match &self.node {
            Some(node) => {
                Target::trusting(node, self.token.clone(), self.authorities()?.as_deref())?
            }
            None => Target::Unix(self.socket("admin.sock")?),
        };
        Ok(Client::new(target))
    }

    /// The authorities of TLS that were named, in PEM.
    pub(crate) fn authorities(&self) -> Result<Option<Vec<u8>>, Failure> {
        let read = |file: &PathBuf| read_file(file, MAX_AUTHORITIES);
        self.ca.as_ref().map(read).transpose()
    }

    /// The token for a URL: only if it is one of the node that the token is for.
    pub(crate) fn bearer_for(&self, url: &str) -> Option<Secret<String>> {
        let node = self.node.as_deref()?.trim_end_matches('/');
        let of_node = node.starts_with("http") && url.strip_prefix(node)?.starts_with('/');
        self.token.clone().filter(|_| of_node)
    }

    /// A socket in the runtime directory of the node that runs here.
    pub(crate) fn socket(&self, name: &str) -> Result<PathBuf, Failure> {
        if let Some(Ok(Target::Unix(admin))) =
            self.node.as_deref().map(|node| Target::parse(node, None))
        {
            // `--node` names a socket: the others lie beside it.
            return Ok(admin.with_file_name(name));
        }
        Ok(config::runtime_dir()?.join(name))
    }

    /// Prints a list answer as a table with these columns.
    pub(crate) fn list(&self, body: &Value, columns: &[table::Column], empty: &str) {
        self.out
            .show(body, |out, body| table::list(out, body, columns, empty));
    }

    /// Prints one thing.
    pub(crate) fn record(&self, body: &Value) {
        self.out.show(body, table::record);
    }
}

/// The page of a list.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Page {
    /// Most entries, 1 to 1,000.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) limit: u32,
    /// Go on behind this cursor, as the last page named it.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

impl Page {
    /// As query parameters.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.after.clone().map(|after| ("after", after)));
        query
    }
}

/// Reads a whole file of the user's, bounded.
pub(crate) fn read_file(path: &std::path::Path, most: usize) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| {
        Problem::new(
            Code::ConfigInvalid,
            format!("{} cannot be read: {error}", path.display()),
            "name a file that you may read",
        )
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > most {
        let message = format!("{} is over {most} bytes", path.display());
        return Err(Problem::new(Code::TooLarge, message, "").into());
    }
    Ok(bytes)
}

/// Asks a yes-or-no question on the terminal. Without one the answer must have been given as `--yes`.
pub(crate) async fn confirm(out: &Out, question: &str) -> Result<bool, Failure> {
    use std::io::IsTerminal as _;
    if !std::io::stdin().is_terminal() {
        let help = "give --yes when nobody is there to ask";
        return Err(Problem::new(
            Code::InvalidInput,
            format!("{question} needs an answer, and stdin is not a terminal"),
            help,
        )
        .into());
    }
    out.error_line(&format!("{question} Type yes to go on:"));
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = line.await.ok().and_then(Result::ok).unwrap_or_default();
    Ok(line.trim() == "yes")
}
