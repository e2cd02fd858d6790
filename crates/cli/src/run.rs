//! `run`: starts a program as an agent. The launch has an instance and a task of its own, an environment without what lies around, and
//! leases that end with it. This process stays beside it: it passes on signals, reports the end, and ends what was left running.

mod environment;
mod leases;
pub(crate) mod parked;
mod program;
mod session;

use std::ffi::OsString;
use std::path::PathBuf;

use bailiwick_core::name::{AgentName, UserId, WorkflowName};
use bailiwick_core::{Code, Problem};
use bailiwick_server::sockets::launch::protocol::{Open, VERSION};

use crate::Outcome;
use crate::context::{Context, read_file};
use crate::failure::Failure;
use environment::Environment;
use leases::LeaseArg;
use program::Program;
use session::Session;

/// What ended before the program did, or kept it from starting.
pub(crate) const OURS: u8 = 125;
/// Longest file of a task's words.
const MAX_TASK: usize = 64 << 10;
/// Longest task that is made of a command line.
const MAX_COMMAND: usize = 1_024;

/// What is started, and as whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        bailiwick run --agent coder --task \"fix issue 12\" -- claude\n  \
        bailiwick run --lease orders-ro -- psql -c 'SELECT count(*) FROM orders'\n  \
        bailiwick run --lease orders-ro=DATABASE_URL --env VIRTUAL_ENV -- python agent.py\n\n\
    Exit codes: the program's own; 128 + N if signal N ended it; 125 if the launch was refused or ended from outside, 126 if the program \
    cannot be run, 127 if there is none of this name.")]
pub(crate) struct RunArgs {
    /// The agent; default the only one that you may start.
    #[arg(long)]
    agent: Option<AgentName>,
    /// What it is started for; default the command line.
    #[arg(long, value_name = "TEXT", conflicts_with = "task_file")]
    task: Option<String>,
    /// A file with what it is started for.
    #[arg(long, value_name = "FILE")]
    task_file: Option<PathBuf>,
    /// On whose behalf, user:ISSUER:SUBJECT; default you. Another takes the right to use the admin socket.
    #[arg(long)]
    user: Option<UserId>,
    /// The workflow whose stages the task goes through.
    #[arg(long)]
    workflow: Option<WorkflowName>,
    /// Seconds it may take, at most a day.
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u64>,
    /// A credential to be leased into its environment: as PGHOST, PGUSER and so on, or as a URL in a variable. Repeatable.
    #[arg(long, value_name = "CREDENTIAL[=VARIABLE]")]
    lease: Vec<LeaseArg>,
    /// A variable that it keeps, though it is not on the list. Repeatable; the name is put on record.
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Does it.
pub(crate) async fn run(context: &Context, args: RunArgs) -> Outcome {
    let ours = |failure: Failure| {
        let exit = failure.exit.unwrap_or(OURS);
        failure.exits(exit)
    };
    launch(context, args).await.map_err(ours)
}

async fn launch(context: &Context, args: RunArgs) -> Outcome {
    leases::check(&args.lease)?;
    let environment = Environment::split(std::env::vars_os(), &args.env)?;
    let session = Session::connect(&context.socket("launch.sock")?).await?;
    let program = Program::park(&args.command, environment.kept())?;
    let open = Open {
        v: VERSION,
        pid: program.pid(),
        agent: args.agent.clone(),
        task: words(&args)?,
        user: args.user.clone(),
        workflow: args.workflow.clone(),
        ttl_s: args.ttl,
        program: args
            .command
            .first()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        kept: args.env.clone(),
        removed: u32::try_from(environment.removed().len()).unwrap_or(u32::MAX),
        secrets: u32::try_from(environment.secrets().count()).unwrap_or(u32::MAX),
        leases: args
            .lease
            .iter()
            .map(|lease| lease.credential.clone())
            .collect(),
    };
    let (session, opened) = session.open(&open).await?;
    context.out.note(&format!(
        "agent {}, task {}, until {}",
        opened.agent, opened.task, opened.deadline
    ));
    for line in environment.told().iter().chain(&opened.notes) {
        context.out.note(line);
    }
    let mut env = opened.env;
    env.extend(leases::variables(&args.lease, &opened.leases)?);
    session.run(context, program, env).await
}

/// What the task is for.
fn words(args: &RunArgs) -> Result<String, Failure> {
    if let Some(file) = &args.task_file {
        let bytes = read_file(file, MAX_TASK)?;
        return String::from_utf8(bytes).map_err(|_| {
            Problem::new(
                Code::InvalidInput,
                format!("{} is not text", file.display()),
                "",
            )
            .into()
        });
    }
    let line = || {
        let words: Vec<_> = args
            .command
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ").chars().take(MAX_COMMAND).collect()
    };
    Ok(args.task.clone().unwrap_or_else(line))
}
