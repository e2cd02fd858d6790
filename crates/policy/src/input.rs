//! Everything one decision depends on, beside the bundle. With both, it replays byte for byte.

use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::Versions;
use bailiwick_core::definition::Tool;
use bailiwick_core::instance::Instance;
use bailiwick_core::server::Server;
use bailiwick_core::task::Task;
use bailiwick_core::{Effect, Timestamp};

use crate::facts::Facts;

/// One call to be decided. Fences, task state, scope and budget were checked before.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The agent that acts: the Cedar principal.
    pub agent: &'a Agent,
    /// The process that acts, if it is known.
    pub instance: Option<&'a Instance>,
    /// Who acts for whom, presenter first.
    pub chain: &'a Chain,
    /// The task it acts in.
    pub task: &'a Task,
    /// The tool's server: the Cedar resource.
    pub server: &'a Server,
    /// The tool: the Cedar action.
    pub tool: &'a Tool,
    /// What this call does: the tool's effect, or a raised one.
    pub effect: Effect,
    /// The arguments as received: the text of one JSON object.
    pub arguments: &'a str,
    /// Wall time of the decision.
    pub now: Timestamp,
    /// Tokens that are discharged for exactly this call: `approval:<who>` of an approval at hand.
    pub discharged: &'a [String],
    /// Kinds of duty that this enforcement point performs (`label`, `max_bytes`, …). Any other duty is a deny.
    pub performs: &'a [&'a str],
    /// What the task has used before this call.
    pub usage: &'a Usage,
    /// What else is known of the call; [`crate::NO_FACTS`] if nothing is.
    pub facts: &'a Facts,
    /// What the decision is made on; copied into it.
    pub versions: Versions,
}
