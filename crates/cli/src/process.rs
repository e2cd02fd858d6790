//! Small facts about this process and its children.

use bailiwick_core::Problem;

/// Ends this process when the one that started it ends, so that a child never outlives a killed parent. Closing stdin tells a
/// child the same; this holds also if it does not read.
pub(crate) fn die_with_parent() -> Result<(), Problem> {
    let signal = Some(rustix::process::Signal::TERM);
    rustix::process::set_parent_process_death_signal(signal).map_err(|error| {
        Problem::new(
            bailiwick_core::Code::Internal,
            format!("the parent's death signal cannot be set: {error}"),
            "",
        )
    })
}
