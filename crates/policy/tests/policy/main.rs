//! The policy crate from outside: bundles as text in, decisions out, and Cedar's own authorizer as the oracle.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]

#[cfg(test)]
mod acts;

#[cfg(test)]
mod cases;

#[cfg(test)]
mod corpus;

#[cfg(test)]
mod differ;

#[cfg(test)]
mod explained;

#[cfg(test)]
mod facts;

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod invariants;

#[cfg(test)]
mod lints;

#[cfg(test)]
mod loading;

#[cfg(test)]
mod messages;

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod outcomes;

#[cfg(test)]
mod reach;

#[cfg(test)]
mod servers;

#[cfg(test)]
mod world;
