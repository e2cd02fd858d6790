//! What a task token and its DPoP proof cost an enforcement point to verify, beside the two signatures that are in them.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::dpop::{Guard, Proof, Request, prove};
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_crypto::token::task::TaskToken;
use bailiwick_crypto::token::{KeySet, TaskKeys, Verifier};

use crate::harness::world::World;
use crate::timing::{percentile, time};

/// p50 of both.
pub(crate) struct Cost {
    /// A token of the node and a proof of its holder, verified, and the proof found fresh and new.
    pub(crate) both: Duration,
    /// One bare P-256 verification.
    pub(crate) verification: Duration,
}

/// Measures `times` of each, in turns.
pub(crate) fn measure(world: &World, times: usize) -> Result<Cost> {
    let task = world.task();
    let token = world.agent.token(&task, "workspace");
    let token = token.map_err(|refused| anyhow!("no token: {refused:?}"))?;
    let jwks = world.node.api("GET", "/oauth/jwks", None).to_string();
    let keys = KeySet::<TaskKeys>::from_jwks(jwks.as_bytes())?;
    let verifier = Verifier::<TaskToken>::new(
        keys,
        world.node.ready("console").to_owned(),
        "e2e.internal".parse()?,
    );
    let resource = world.agent.resource("workspace");
    let request = Request {
        method: "POST",
        url: &resource,
        access_token: Some(&token),
    };
    let (key, guard) = (&world.agent.key, Guard::new(&SystemRng));
    let verifying = key.verifying_key()?;
    let (mut both, mut verifications) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let nonce = guard.nonce(&SystemClock);
        let proof = prove(key, &request, Some(&nonce), &SystemClock, &SystemRng)?;
        let (took, both_good) = time(|| -> Result<()> {
            let now = SystemClock.wall();
            let token = verifier.verify(black_box(&token), &resource, now)?;
            let proof = Proof::verify(black_box(&proof), &request, now)?;
            ensure!(Some(proof.jkt()) == token.claims().key(), "another key");
            Ok(guard.admit(&proof, &SystemClock)?)
        });
        both_good?;
        both.push(took);

        let message = proof.as_bytes();
        let signature = key.sign(message)?;
        let (took, good) =
            time(|| verifying.verify(Algorithm::Es256, black_box(message), &signature));
        ensure!(good, "a good signature is refused");
        verifications.push(took);
    }
    Ok(Cost {
        both: percentile(&mut both, 50).context("nothing was measured")?,
        verification: percentile(&mut verifications, 50).context("nothing was measured")?,
    })
}
