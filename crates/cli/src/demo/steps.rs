//! The eight steps. One that fails does not stop the others; what they build on then fails them too.

mod allow;
mod audit;
mod deny;
mod identity;
mod lease;
mod revoke;
mod step_up;
mod task_end;

use super::narrate::Narrator;
use super::setting::Setting;

/// Plays them in order.
pub(super) async fn all(narrator: &mut Narrator, setting: &mut Setting<'_>) {
    let outcome = identity::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = allow::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = deny::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = step_up::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = lease::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = revoke::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = task_end::play(narrator, setting).await;
    narrator.close(outcome);
    let outcome = audit::play(narrator, setting).await;
    narrator.close(outcome);
}
