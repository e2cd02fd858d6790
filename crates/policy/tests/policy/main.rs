//! The policy crate from outside: bundles as text in, decisions out, and Cedar's own authorizer as the oracle.

#[cfg(test)]
mod corpus;

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]
mod differ;

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]
mod explained;

#[cfg(test)]
mod facts;

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod invariants;

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]
mod lints;

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]
mod messages;

#[cfg(test)]
mod oracle;

#[cfg(test)]
#[expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]
mod outcomes;

#[cfg(test)]
mod reach;

#[cfg(test)]
mod world;
