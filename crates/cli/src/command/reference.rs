//! `docs/reference/cli.md`, made from the same tree as `--help`. A test compares; `UPDATE_EXPECT=1` writes it.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

#[test]
fn the_reference_is_that_of_the_tree() {
    expect_test::expect_file!["../../../../docs/reference/cli.md"].assert_eq(&reference());
}

fn reference() -> String {
    let mut tree = Cli::command();
    tree.build();
    let mut text = HEAD.to_owned();
    text.push_str(&arguments(
        tree.get_arguments()
            .filter(|argument| argument.is_global_set()),
    ));
    for noun in tree
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let _ = write!(
            text,
            "\n## `bailiwick {}`\n\n{}\n",
            noun.get_name(),
            about(noun)
        );
        let verbs: Vec<_> = noun
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .collect();
        if verbs.is_empty() {
            text.push_str(&body(noun));
        }
        for verb in verbs {
            let _ = write!(
                text,
                "\n### `bailiwick {} {}`\n\n{}\n",
                noun.get_name(),
                verb.get_name(),
                about(verb)
            );
            let below = verb.get_subcommands();
            let below: Vec<_> = below.filter(|one| !one.is_hide_set()).collect();
            if below.is_empty() {
                text.push_str(&body(verb));
            }
            for one in below {
                let words = [noun, verb, one].map(Command::get_name).join(" ");
                let _ = write!(text, "\n#### `bailiwick {words}`\n\n{}\n", about(one));
                text.push_str(&body(one));
            }
        }
    }
    text
}

fn body(command: &Command) -> String {
    let example = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let example = example.strip_prefix("Example: ").unwrap_or(&example);
    let own = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set());
    format!("\n```sh\n{example}\n```\n{}", arguments(own))
}

fn arguments<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let shown: Vec<_> = all
        .filter(|argument| {
            !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "version")
        })
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut text = "\n| argument | what for |\n|---|---|\n".to_owned();
    for argument in shown {
        let mut name = argument.to_string();
        if let (Some(short), Some(_)) = (argument.get_short(), argument.get_long()) {
            name = format!("-{short}, {name}");
        }
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let variable = argument
            .get_env()
            .map(|name| format!(" (`{}`)", name.to_string_lossy()))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{}` | {}{variable} |",
            name.replace('|', "\\|"),
            help.replace('|', "\\|")
        );
    }
    text
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

const HEAD: &str = "# Command line

`bailiwick NOUN VERB`. stdout is data only; hints, progress and errors go to stderr. This page is made from the same tree as
`--help`, the completions and the manual pages.

With `--output json` stdout is the API's answer (followers print one object a line), and an error is one object on stderr:
`{\"code\", \"message\", \"help\", \"request_id\"}`. Ids are never shortened. What agents or tool servers wrote is printed with control,
bidirectional and zero-width characters as `⟦U+202E⟧`.

| exit code | meaning |
|---|---|
| 0 | done; the answer is yes |
| 1 | done; the answer is no: denied, a test failed, a record was altered, a step of the demo failed |
| 2 | the command was not understood |
| 3 | the configuration or a file is invalid |
| 4 | no node answers, or it cannot work now |
| 5 | not signed in, or not permitted |
| 6 | no such thing, or its state forbids this; `audit verify`: cannot tell |
| 7 | waited too long |
| 70 | a defect of Bailiwick |
| 125, 126 | `mcp` alone: the node ended the session; it could not begin |
| 130 | interrupted |

The node is found in this order: `--node` or `BAILIWICK_NODE` (a socket's path, or `https://HOST` or `http://127.0.0.1:8420` with `BAILIWICK_TOKEN`), else
the admin socket of the configuration that `BAILIWICK_CONFIG`, `~/.config/bailiwick/bailiwick.toml` or
`/etc/bailiwick/bailiwick.toml` names. On the admin socket you are your unix user; without TLS a token is sent only to this machine.

## Everywhere
";
