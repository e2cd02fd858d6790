//! Everything that can be typed, and where it is done.

use std::path::PathBuf;
use std::process::ExitCode;

use bailiwick_core::{Code, Problem};
use clap::{Args, Parser, Subcommand};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Color, Format, Out};
use crate::{
    Outcome, accounts, agents, approvals, artefacts, audit, backends, clients, completion, config,
    demo, evidence, fences, findings, init, items, join_tokens, keys, leases, mcp, points,
    policies, revocations, run, scan, secrets, serve, servers, store, svid, tasks, tools, witness,
};

/// Identity, just-in-time authority, decisions and a provable record for AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "bailiwick",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Start with `bailiwick demo`. Exit codes: 0 done, 1 the answer is no, 2 usage, 3 invalid file, \
4 node unreachable, 5 not permitted, 6 no such thing or its state forbids, 7 waited too long, 70 our bug."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// How to print what was found.
    #[arg(
        long,
        global = true,
        value_enum,
        env = "BAILIWICK_OUTPUT",
        default_value = "table"
    )]
    pub(crate) output: Format,
    /// The same as `--output json`.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The node: a unix socket's path, or `https://HOST:8420` (`http` on this machine) with `BAILIWICK_TOKEN`. Default: its admin socket.
    #[arg(long, global = true, env = "BAILIWICK_NODE", value_name = "URL")]
    pub(crate) node: Option<String>,
    /// Authorities of the node's TLS certificate, in PEM. Default: those of the system.
    #[arg(long, global = true, env = "BAILIWICK_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Colour on the terminal.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// No hints and no progress on stderr.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// The format asked for.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows everything once, for real: a node, an agent and a tool server on this machine, eight steps.
    Demo(demo::DemoArgs),
    /// Makes a data directory and a configuration.
    Init(init::InitArgs),
    /// Runs a node.
    Serve(serve::ServeArgs),
    /// The store of a node that does not run.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Reads and explains the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Agents: who answers for them, which processes they are.
    #[command(subcommand)]
    Agent(agents::AgentCommand),
    /// Tokens by which agents elsewhere join, each good for one use.
    #[command(subcommand)]
    JoinToken(join_tokens::JoinTokenCommand),
    /// Clients that are not ours and get their tokens by their user's consent.
    #[command(subcommand)]
    Client(clients::ClientCommand),
    /// Tool servers behind the gateway.
    #[command(subcommand)]
    Server(servers::ServerCommand),
    /// Tools and the review of their definitions.
    #[command(subcommand)]
    Tool(tools::ToolCommand),
    /// What tools name, and the labels of what was written into it.
    #[command(subcommand)]
    Item(items::ItemCommand),
    /// Tasks: the authority for one request.
    #[command(subcommand)]
    Task(tasks::TaskCommand),
    /// The policy bundle.
    #[command(subcommand)]
    Policy(policies::PolicyCommand),
    /// Calls that wait for a person.
    #[command(subcommand)]
    Approval(approvals::ApprovalCommand),
    /// Cuts everything below a subject, at once.
    Revoke(revocations::RevokeArgs),
    /// What revocations did, and their receipts.
    #[command(subcommand)]
    Revocation(revocations::RevocationCommand),
    /// What is revoked.
    #[command(subcommand)]
    Fence(fences::FenceCommand),
    /// Enforcement points in other processes.
    #[command(subcommand)]
    Point(points::PointCommand),
    /// The keys that sign SVIDs, task tokens, receipts and heads of the feed.
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// Credentials that are leased and injected; values never come back out.
    #[command(subcommand)]
    Secret(secrets::SecretCommand),
    /// Just-in-time credentials and their life.
    #[command(subcommand)]
    Lease(leases::LeaseCommand),
    /// The systems that credentials are leased from.
    #[command(subcommand)]
    Backend(backends::BackendCommand),
    /// People and services that use the API.
    #[command(subcommand)]
    Account(accounts::AccountCommand),
    /// The record: read it, prove it, verify it.
    #[command(subcommand)]
    Audit(Box<audit::AuditCommand>),
    /// Finds the credentials that lie around: in a repository, a process, on this host.
    #[command(subcommand)]
    Scan(scan::ScanCommand),
    /// What scans found and reported: who answers for it, until when, and how it ends.
    #[command(subcommand)]
    Finding(findings::FindingCommand),
    /// Reports about the code that agents run: scans, provenance, bills of materials; what policy may ask for.
    #[command(subcommand)]
    Artefact(artefacts::ArtefactCommand),
    /// What the node shows of a framework (OWASP Agentic and NHI, MAESTRO, NIST AI RMF): each claim with what was measured, or not covered.
    Evidence(evidence::EvidenceArgs),
    /// Runs a witness: cosigns checkpoints of logs, each only if it continues the one before.
    Witness(witness::WitnessArgs),
    /// This process's own identity, from the Workload API.
    #[command(subcommand)]
    Svid(svid::SvidCommand),
    /// Starts a program as an agent: an identity and a task of its own, a clean environment, leases that end with it.
    Run(run::RunArgs),
    /// The MCP server an agent starts: joins its stdio to the gateway.
    Mcp(mcp::McpArgs),
    /// Prints a completion script for a shell.
    Completion(completion::CompletionArgs),
    /// Writes the manual pages.
    Man(completion::ManArgs),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Demo(args) => demo::run(context, args).await,
            Self::Init(args) => init::run(context, &args),
            Self::Serve(args) => serve::run(context, args).await,
            Self::Store(command) => store::run(context, command).await,
            Self::Config(command) => config::run(context, command),
            Self::Agent(command) => agents::run(context, command).await,
            Self::JoinToken(command) => join_tokens::run(context, command).await,
            Self::Client(command) => clients::run(context, command).await,
            Self::Server(command) => servers::run(context, command).await,
            Self::Tool(command) => tools::run(context, command).await,
            Self::Item(command) => items::run(context, command).await,
            Self::Task(command) => tasks::run(context, command).await,
            Self::Policy(command) => policies::run(context, command).await,
            Self::Approval(command) => approvals::run(context, command).await,
            Self::Revoke(args) => revocations::run(context, args).await,
            Self::Revocation(command) => revocations::look(context, command).await,
            Self::Fence(command) => fences::run(context, command).await,
            Self::Point(command) => points::run(context, command).await,
            Self::Key(command) => keys::run(context, command).await,
            Self::Secret(command) => secrets::run(context, command).await,
            Self::Lease(command) => leases::run(context, command).await,
            Self::Backend(command) => backends::run(context, command).await,
            Self::Account(command) => accounts::run(context, command).await,
            Self::Audit(command) => audit::run(context, *command).await,
            Self::Scan(command) => scan::run(context, &command).await,
            Self::Finding(command) => findings::run(context, command).await,
            Self::Artefact(command) => artefacts::run(context, command).await,
            Self::Evidence(args) => evidence::run(context, args).await,
            Self::Witness(args) => witness::run(context, args).await,
            Self::Svid(command) => svid::run(context, command).await,
            Self::Run(args) => run::run(context, args).await,
            Self::Mcp(args) => mcp::run(context, args).await,
            Self::Completion(args) => Ok(completion::run(context, &args)),
            Self::Man(args) => completion::manual(context, &args),
        }
    }
}

/// Says what is wrong with the arguments, or prints the help or version that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let format = crate::format_of_process();
    if error.use_stderr() && format == Format::Json {
        let text = error.to_string();
        let message = text
            .lines()
            .next()
            .unwrap_or("the arguments are not understood");
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let problem = Problem::new(Code::InvalidInput, message, "see `bailiwick --help`");
        crate::output::report::print(
            &Out::of_process(format, Color::Never, false),
            &Failure::from(problem),
        );
    } else {
        // clap chooses the stream and survives a closed one.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
