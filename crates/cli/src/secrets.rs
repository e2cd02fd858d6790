//! `secret`: credentials that are leased and injected. A value goes in and never comes back out.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use bailiwick_core::name::CredentialName;
use bailiwick_core::{Code, Problem, Secret};
use clap::Subcommand;

use crate::context::{Context, Page, read_file};
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// Bytes of a secret.
const LARGEST: usize = 64 << 10;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Stores a secret from stdin, a file or a variable; never from an argument, which every process of this machine could read.
    #[command(
        after_help = "Example: bailiwick secret set orders-api --from-file /run/secrets/orders-api"
    )]
    Set {
        /// Its name.
        name: CredentialName,
        /// An environment variable that holds it.
        #[arg(long, value_name = "VARIABLE", conflicts_with = "from_file")]
        from_env: Option<String>,
        /// A file that holds it.
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// Lists the names of secrets.
    #[command(after_help = "Example: bailiwick secret list")]
    List(Page),
    /// Removes a secret.
    #[command(after_help = "Example: bailiwick secret remove orders-api")]
    Remove {
        /// Its name.
        name: CredentialName,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: SecretCommand) -> Outcome {
    let api = context.api()?;
    match command {
        SecretCommand::Set {
            name,
            from_env,
            from_file,
        } => {
            let value = value(from_env, from_file)?;
            api.put_bytes(&format!("/v1/secrets/{name}"), value.expose().clone())
                .await?;
            context
                .out
                .note(&format!("secret {name} is stored; no command prints it"));
        }
        SecretCommand::List(page) => {
            let body = api.query("/v1/secrets", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no secrets: bailiwick secret set NAME < FILE",
            );
        }
        SecretCommand::Remove { name } => {
            api.delete(&format!("/v1/secrets/{name}")).await?;
            context.out.note(&format!("secret {name} is removed"));
        }
    }
    Ok(Exit::DONE)
}

/// The value without the line end that editors and `echo` add.
fn value(from_env: Option<String>, from_file: Option<PathBuf>) -> Result<Secret<Vec<u8>>, Failure> {
    let mut bytes = match (from_env, from_file) {
        (Some(name), _) => std::env::var(&name)
            .map_err(|_| {
                Problem::new(
                    Code::InvalidInput,
                    format!("the variable {name} is not set, or not text"),
                    "",
                )
            })?
            .into_bytes(),
        (None, Some(path)) => read_file(&path, LARGEST)?,
        (None, None) if std::io::stdin().is_terminal() => {
            let help = "pipe it in, or give --from-file or --from-env";
            return Err(Problem::new(
                Code::InvalidInput,
                "a secret is not typed where it can be seen",
                help,
            )
            .into());
        }
        (None, None) => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .take(LARGEST as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|error| {
                    Problem::new(
                        Code::InvalidInput,
                        format!("stdin cannot be read: {error}"),
                        "",
                    )
                })?;
            bytes
        }
    };
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    let value = Secret::new(bytes);
    match value.expose().len() {
        0 => Err(Problem::new(Code::InvalidInput, "the secret is empty", "").into()),
        length if length > LARGEST => {
            Err(Problem::new(Code::TooLarge, "the secret is over 64 KiB", "").into())
        }
        _ => Ok(value),
    }
}

const COLUMNS: [(&str, &str); 2] = [("NAME", "/name"), ("CHANGED", "/updated_at")];
