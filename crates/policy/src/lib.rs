//! The one decision function: `Bundle::decide(&Input) -> Decision`. Pure and synchronous: no I/O, clock, randomness or async.
//!
//! A bundle is Cedar text with annotations, workflows and tests (`docs/reference/policy.md`). Cedar gives two values; soft
//! policies (`@step_up`, `@duty`) and [`decide`] give the third. Errors and bounds never widen.

pub mod act;
mod annotation;
pub mod api;
mod arguments;
mod bundle;
mod call;
mod cases;
mod clause;
mod context;
mod decide;
mod diff;
mod duty;
mod entities;
mod explain;
mod facts;
mod fixtures;
mod flaw;
mod fold;
mod forms;
mod include;
mod index;
mod input;
mod lint;
mod load;
mod manifest;
mod nearest;
mod nesting;
mod outcome;
mod parties;
mod reach;
mod recorded;
mod registry;
mod replay;
mod rule;
mod sample;
mod schema;
mod shadow;
mod shape;
mod source;
mod stage;
pub mod starter;
mod tally;
mod uid;
mod validate;
mod work;
mod workflow;

pub use bundle::Bundle;
pub use cases::{Case, CaseError, CaseResult, Report, Untried};
pub use decide::{DIVERGED, MAX_ARGUMENT_BYTES, MAX_ARGUMENT_DEPTH, MAX_CANDIDATES};
pub use diff::{Access, Change, Diff, MAX_PAIRS, MAX_REPORTED, Permission, Way, diff};
pub use duty::most_often;
pub use explain::{Because, Explanation, Remedy, Shown, Step};
pub use facts::{
    Attested, BudgetLeft, Evidence, Facts, FirstUse, History, ItemIds, Items, NO_FACTS, Provenance,
    RequestFacts, Session,
};
pub use fixtures::fixtures;
pub use flaw::{Flaw, FlawCode, PolicyErrors};
pub use input::Input;
pub use reach::Reach;
pub use recorded::{Recorded, RecordedError, RecordedTask};
pub use registry::Registry;
pub use replay::{Past, replay};
pub use shadow::shadow;
pub use source::{BundleSource, MAX_BYTES, MAX_FILES};
pub use stage::StageRefusal;
pub use tally::{Example, Group, MAX_EXAMPLES, MAX_GROUPS, Shift, Tally, Terms};
pub use workflow::{
    DEFAULT as DEFAULT_WORKFLOW, MAX_STAGES, Stage, Transition, Who, Workflow, Workflows,
};
