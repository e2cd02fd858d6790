//! Which events: the conditions that `search`, `tail` and exports share.

use bailiwick_audit::filter::Filter;
use bailiwick_core::{Code, Problem};

use crate::failure::Failure;

/// Conditions, all of which must hold. Each is a flag, or `KEY=VALUE`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FilterArgs {
    /// Conditions in short: agent=coder decision=deny. Also takes id, actor and node, which have no flag.
    #[arg(value_name = "KEY=VALUE")]
    conditions: Vec<String>,
    /// Events of this type, such as tool.intent, or of all below it, such as tool.
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Events of this task, or that name it as root, as parent or in the chain.
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Events of this agent, or with it in the chain.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Events of this instance, or with it in the chain.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Events on behalf of this user, by pseudonym.
    #[arg(long, value_name = "USR")]
    user: Option<String>,
    /// Events at this tool server.
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Events about this tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// read, write or escalate.
    #[arg(long)]
    effect: Option<String>,
    /// allow, deny or step_up.
    #[arg(long)]
    decision: Option<String>,
    /// Events that ended with this code.
    #[arg(long)]
    code: Option<String>,
    /// Events of tasks that carried this label.
    #[arg(long)]
    label: Option<String>,
    /// Events of this lease.
    #[arg(long, value_name = "ID")]
    lease: Option<String>,
    /// Calls that named this in their arguments, exactly.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Events that this event set off.
    #[arg(long, value_name = "EVENT")]
    cause: Option<String>,
    /// All of these words in tool, server, operation, code, policies or reasons.
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// Not before this instant or day, UTC: 2026-11-23T09:00:00Z, 2026-11-23.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before this instant or day.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

impl FilterArgs {
    /// As key and value, checked.
    pub(crate) fn pairs(&self) -> Result<Vec<(&str, String)>, Failure> {
        let flags = [
            ("type", &self.r#type),
            ("task", &self.task),
            ("agent", &self.agent),
            ("instance", &self.instance),
            ("user", &self.user),
            ("server", &self.server),
            ("tool", &self.tool),
            ("effect", &self.effect),
            ("decision", &self.decision),
            ("code", &self.code),
            ("label", &self.label),
            ("lease", &self.lease),
            ("resource", &self.resource),
            ("cause", &self.cause),
            ("text", &self.text),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let mut pairs = Vec::new();
        for condition in &self.conditions {
            let (key, value) = condition.split_once('=').ok_or_else(|| {
                Problem::new(
                    Code::BadFilter,
                    format!("`{condition}` is not KEY=VALUE"),
                    "for example agent=coder decision=deny",
                )
            })?;
            pairs.push((key, value.to_owned()));
        }
        let given = flags
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)));
        pairs.extend(given);
        let mut filter = Filter::default();
        for (key, value) in &pairs {
            filter.set(key, value)?;
        }
        Ok(pairs)
    }

    /// As a filter over leaves, which cannot look at what is sealed.
    pub(crate) fn read(&self) -> Result<Filter, Failure> {
        let mut filter = Filter::default();
        for (key, value) in self.pairs()? {
            if key == "resource" {
                let message = "resources are in no leaf: a node finds them in its index";
                return Err(Problem::new(Code::BadFilter, message, "ask without --dir").into());
            }
            filter.set(key, &value)?;
        }
        Ok(filter)
    }
}
