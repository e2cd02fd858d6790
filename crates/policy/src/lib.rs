//! The one decision function: `Bundle::decide(&Input) -> Decision`. Pure and synchronous: no I/O, clock, randomness or async.
//!
//! A bundle is Cedar text with annotations, workflows and tests (`docs/reference/policy.md`). Cedar gives two values; soft
//! policies (`@step_up`, `@duty`) and [`decide`] give the third. Errors and bounds never widen.

mod annotation;
mod arguments;
mod bundle;
mod cases;
mod clause;
mod context;
mod decide;
mod duty;
mod entities;
mod explain;
mod fixtures;
mod flaw;
mod index;
mod input;
mod load;
mod manifest;
mod nearest;
mod nesting;
mod parties;
mod registry;
mod rule;
mod schema;
mod shape;
mod source;
pub mod starter;
mod uid;
mod validate;
mod work;
mod workflow;

pub use bundle::Bundle;
pub use cases::{CaseResult, Report};
pub use decide::{MAX_ARGUMENT_BYTES, MAX_ARGUMENT_DEPTH, MAX_CANDIDATES};
pub use fixtures::fixtures;
pub use flaw::{Flaw, PolicyErrors};
pub use input::Input;
pub use registry::Registry;
pub use source::{BundleSource, MAX_BYTES, MAX_FILES};
pub use workflow::{
    DEFAULT as DEFAULT_WORKFLOW, MAX_STAGES, Stage, Transition, Who, Workflow, Workflows,
};
