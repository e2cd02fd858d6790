//! `demo`: eight steps on real parts. A node in this process, and two kinds of real child processes: a scripted agent that proves
//! who it is, and a tool server that insists on a token the agent never sees. Each step checks what it claims, from outside.

mod actor;
mod child;
mod narrate;
mod place;
mod roles;
mod setting;
mod steps;

use clap::Subcommand;

use crate::context::Context;
use crate::output::Style;
use crate::{Exit, Outcome};
use narrate::Narrator;
use place::Place;
use setting::Setting;

/// How the demo is shown.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick demo --auto --no-wait",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    role: Option<Role>,
    /// Answers step 4 by itself, as a second account over the same API. Default when nobody is at a terminal.
    #[arg(long)]
    auto: bool,
    /// Ends after the last step instead of leaving the node up until Ctrl-C. Default when nobody is at a terminal.
    #[arg(long)]
    no_wait: bool,
    /// Keeps the demo's directory: the record, the journal, the logs.
    #[arg(long)]
    keep: bool,
}

/// The children of the demo.
#[derive(Debug, Subcommand)]
enum Role {
    /// The scripted agent.
    #[command(hide = true)]
    Agent(roles::AgentArgs),
    /// The tool server.
    #[command(hide = true)]
    Workspace(roles::WorkspaceArgs),
}

/// Does it.
pub(crate) async fn run(context: &Context, args: DemoArgs) -> Outcome {
    match args.role {
        Some(Role::Agent(args)) => roles::agent(context, args).await,
        Some(Role::Workspace(args)) => roles::workspace(context, args).await,
        None => guided(context, &args).await,
    }
}

async fn guided(context: &Context, args: &DemoArgs) -> Outcome {
    let terminal = context.out.is_terminal();
    let place = Place::make(args.keep)?;
    let mut narrator = Narrator::new(context.out.clone());
    narrator.opening(place.root());
    let auto = args.auto || !terminal;
    let played = tokio::select! {
        played = play(&mut narrator, &place, auto, terminal && !args.no_wait) => played,
        _ = tokio::signal::ctrl_c() => Ok(Exit::INTERRUPTED),
    };
    if args.keep {
        context
            .out
            .note(&format!("kept: {}", place.root().display()));
    }
    played
}

async fn play(narrator: &mut Narrator, place: &Place, auto: bool, wait: bool) -> Outcome {
    let mut setting = Setting::build(place, auto).await?;
    narrator.setting(&setting);
    steps::all(narrator, &mut setting).await;
    let passed = narrator.closing();
    if wait {
        let out = narrator.out();
        out.line(&format!(
            "\nThe node stays up at {} until Ctrl-C. Look around:",
            setting.console()
        ));
        out.line(&out.paint(
            Style::Command,
            &format!(
                "  export BAILIWICK_NODE={}",
                setting.admin_socket().display()
            ),
        ));
        out.line(&out.paint(Style::Command, "  bailiwick task list"));
        let _ = tokio::signal::ctrl_c().await;
    }
    setting.strike().await;
    Ok(if passed { Exit::DONE } else { Exit::NO })
}
