//! Duties: what the enforcement point does with an allowed call. Of one kind, the strictest argument holds.

use std::collections::BTreeMap;
use std::time::Duration;

use bailiwick_core::decision::{Decision, Obligation};

use crate::annotation::{count, duration, rate};

/// Whether `token` is this duty's.
pub(crate) fn is_token(duty: &Obligation, token: &str) -> bool {
    token.split_once(':') == Some((duty.kind.as_str(), duty.argument.as_str()))
}

/// The duties to perform, sorted. Bounds are cut to the tightest; labels and names add up.
pub(crate) fn strictest<'a>(duties: impl Iterator<Item = &'a Obligation>) -> Vec<Obligation> {
    let mut kept: BTreeMap<(&str, &str), &Obligation> = BTreeMap::new();
    for duty in duties {
        let adds_up = matches!(duty.kind.as_str(), "redact" | "label" | "notify");
        let key = (
            duty.kind.as_str(),
            if adds_up { duty.argument.as_str() } else { "" },
        );
        let tightest = kept.entry(key).or_insert(duty);
        if rank(duty) < rank(tightest) {
            *tightest = duty;
        }
    }
    kept.into_values().cloned().collect()
}

/// How often a call that is decided so may be made: so many in any stretch of a time; none if that has no bound.
pub fn most_often(decision: &Decision) -> Option<(u64, Duration)> {
    let mut duties = decision.obligations.iter();
    let duty = duties.find(|duty| duty.kind == "rate")?;
    // A bound that cannot be read lets nothing through.
    Some(rate(&duty.argument).unwrap_or((0, Duration::from_secs(1))))
}

/// Smaller is stricter. The argument itself comes last, so that the order of policies never matters.
fn rank(duty: &Obligation) -> (u128, &str) {
    let argument = duty.argument.as_str();
    let amount = match duty.kind.as_str() {
        "max_ttl" => duration(argument).map(|time| u128::from(time.as_secs())),
        "max_bytes" => count(argument).map(u128::from),
        // Calls per 2^40 seconds: fine enough to tell any two written rates apart.
        "rate" => {
            rate(argument).map(|(n, per)| (u128::from(n) << 40) / u128::from(per.as_secs().max(1)))
        }
        _ => Some(0),
    };
    (amount.unwrap_or(0), argument)
}

#[cfg(test)]
mod tests;
