//! End-to-end tests: a real node as a child process, real tool servers, and other people's clients.
//!
//! Each test has a directory, ports and processes of its own. What is not installed fails the test with the line to run.

#[cfg(test)]
mod harness;

#[cfg(test)]
mod artefacts;
#[cfg(test)]
mod attest;
#[cfg(test)]
mod audit_chain;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod bad_config;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bad_tokens;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod cli_basics;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod console;
#[cfg(test)]
mod delegation;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod frameworks;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod gateway_http;
#[cfg(test)]
mod gateway_stdio;
#[cfg(test)]
mod index;
#[cfg(test)]
mod introspection;
#[cfg(test)]
mod keyed_clients;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kill_nine;
#[cfg(test)]
mod labels;
#[cfg(test)]
mod launch;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod log_life;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod mtls;
#[cfg(test)]
mod oauth_client;
#[cfg(test)]
mod oauth_conformance;
#[cfg(test)]
mod outside_verifiers;
#[cfg(test)]
mod points;
#[cfg(test)]
mod policy_life;
#[cfg(test)]
#[path = "../servers/postgres.rs"]
mod postgres;
#[cfg(test)]
mod published_clients;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod rightsize;
#[cfg(test)]
mod rotations;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod ship;
#[cfg(test)]
mod spiffe_clients;
#[cfg(test)]
mod step_up;
#[cfg(test)]
mod store_postgres;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod webhook;
#[cfg(test)]
mod witness;
