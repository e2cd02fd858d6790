//! The authority on a real store: who gets an identity or a token, and who does not.

mod bench_authority;
mod clients;
mod exchange;
mod join;
mod keys;
mod renew;
mod restart;
mod svids;
mod tokens;
