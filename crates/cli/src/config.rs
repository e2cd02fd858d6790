//! `config`: where the configuration is found, what is wrong with it, what a key means.

use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Fault as _, Problem};
use bailiwick_policy::{Flaw, FlawCode};
use bailiwick_server::config::keys::Key;
use bailiwick_server::config::{Config, ConfigError};
use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Place};
use crate::output::table;
use crate::{Exit, Outcome};

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Lists every problem of the configuration.
    #[command(after_help = "Example: bailiwick config check --config bailiwick.toml")]
    Check {
        #[command(flatten)]
        found: ConfigArgs,
    },
    /// Says what a key does, its range and default; without one, all of them.
    #[command(after_help = "Example: bailiwick config explain console.listen")]
    Explain {
        /// SECTION.KEY
        key: Option<String>,
    },
}

/// Where configuration and data are.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The configuration. Default: bailiwick.toml in ~/.config/bailiwick, then in /etc/bailiwick.
    #[arg(long, env = "BAILIWICK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory, unless the configuration names one.
    #[arg(long, env = "BAILIWICK_DATA_DIR", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// Name of the configuration in each place.
const FILE: &str = "bailiwick.toml";

impl ConfigArgs {
    /// From the environment alone, for commands that do not take them.
    pub(crate) fn of_environment() -> Self {
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            config: path("BAILIWICK_CONFIG"),
            data: path("BAILIWICK_DATA_DIR"),
        }
    }

    /// The data directory if the configuration names none.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        let dir = match &self.data {
            Some(dir) => dir.clone(),
            None => home()
                .map(|home| home.join(".local/share/bailiwick"))
                .ok_or_else(|| {
                    Problem::new(
                        Code::ConfigInvalid,
                        "there is no data directory: HOME is not set",
                        "give --data or set BAILIWICK_DATA_DIR",
                    )
                })?,
        };
        std::path::absolute(&dir).map_err(|error| {
            Problem::new(
                Code::ConfigInvalid,
                format!("{}: {error}", dir.display()),
                "",
            )
            .into()
        })
    }

    /// The file that holds, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.config {
            return Some(file.clone());
        }
        let places = [user_dir(), Some(PathBuf::from("/etc/bailiwick"))];
        places
            .into_iter()
            .flatten()
            .map(|dir| dir.join(FILE))
            .find(|file| file.is_file())
    }

    /// The configuration that holds.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let data_dir = self.data_dir()?;
        match self.file() {
            Some(file) => Config::load(&file, &data_dir).map_err(|error| of_config(&error)),
            None => Ok(Config::defaults(&data_dir)?),
        }
    }
}

/// Where a person's own configuration is.
pub(crate) fn user_dir() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    Some(
        config
            .or_else(|| Some(home()?.join(".config")))?
            .join("bailiwick"),
    )
}

/// The runtime directory of the node that runs here.
pub(crate) fn runtime_dir() -> Result<PathBuf, Failure> {
    Ok(ConfigArgs::of_environment().load()?.node.runtime_dir)
}

/// Does it.
pub(crate) fn run(context: &Context, command: ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Check { found } => {
            let config = found.load()?;
            let file = found.file().map_or_else(
                || "(defaults)".to_owned(),
                |file| file.display().to_string(),
            );
            let body = json!({
                "file": file,
                "data_dir": config.node.data_dir,
                "runtime_dir": config.node.runtime_dir,
                "trust_domain": config.identity.trust_domain.to_string(),
                "console": config.console.listen,
                "gateway": config.gateway.listener.listen,
            });
            context.record(&body);
        }
        ConfigCommand::Explain { key } => {
            let wanted = |found: &Key| {
                key.as_deref()
                    .is_none_or(|key| key == format!("{}.{}", found.section(), found.name()))
            };
            let keys: Vec<_> = Key::ALL
                .iter()
                .copied()
                .filter(wanted)
                .map(explained)
                .collect();
            if keys.is_empty() {
                let key = key.unwrap_or_default();
                return Err(Problem::new(
                    Code::NotFound,
                    format!("there is no key `{key}`"),
                    "`bailiwick config explain` lists them",
                )
                .into());
            }
            let body = json!({"items": keys, "next": null});
            context.out.show(&body, |out, body| {
                let shown = table::items(body).iter().map(|key| table::record(out, key));
                shown.collect::<Vec<_>>().join("\n\n")
            });
        }
    }
    Ok(Exit::DONE)
}

fn explained(key: Key) -> serde_json::Value {
    json!({
        "key": format!("{}.{}", key.section(), key.name()),
        "takes": key.kind().as_str(),
        "default": key.default(),
        "range": key.range(),
        "about": key.about(),
        "why": key.why(),
    })
}

/// A configuration's problems, each with its place.
fn of_config(error: &ConfigError) -> Failure {
    let mut failure = Failure::from(error.problem());
    if let ConfigError::Flaws(flaws) = error {
        failure.places = flaws
            .flaws
            .iter()
            .map(|flaw| {
                let (line, column) = flaws.place(flaw).unwrap_or((0, 0));
                Place {
                    flaw: Flaw {
                        code: FlawCode::Syntax,
                        file: flaws.file.clone(),
                        line,
                        column,
                        span: flaw.span.clone().unwrap_or(0..0),
                        message: flaw.message.clone(),
                        help: flaw.help.clone(),
                    },
                    text: Some(flaws.text.clone()),
                }
            })
            .collect();
    }
    failure
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .filter(|home| home.is_absolute() && home != Path::new("/"))
}
