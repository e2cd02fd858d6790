//! What a DPoP proof costs the gateway, apart from all else: one P-256 verification, and what is around it.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::dpop::{Guard, Proof, Request, prove};
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};

use crate::timing::{percentile, time};

/// p50 of both.
pub(crate) struct Cost {
    /// A proof parsed, verified, and found fresh and new.
    pub(crate) proof: Duration,
    /// One bare P-256 verification.
    pub(crate) verification: Duration,
}

/// Measures `calls` of each, in turns.
pub(crate) fn measure(calls: usize) -> Result<Cost> {
    let key = SigningKey::generate()?;
    let verifying = key.verifying_key()?;
    let guard = Guard::new(&SystemRng);
    let token = "t".repeat(900);
    let request = Request {
        method: "POST",
        url: "http://127.0.0.1:8421/mcp/echo",
        access_token: Some(&token),
    };
    let (mut proofs, mut verifications) = (Vec::new(), Vec::new());
    for _ in 0..calls {
        let nonce = guard.nonce(&SystemClock);
        let proof = prove(&key, &request, Some(&nonce), &SystemClock, &SystemRng)?;
        let (took, admitted) = time(|| {
            let proof = Proof::verify(black_box(&proof), &request, SystemClock.wall())?;
            guard.admit(&proof, &SystemClock)
        });
        admitted?;
        proofs.push(took);

        let message = proof.as_bytes();
        let signature = key.sign(message)?;
        let (took, good) =
            time(|| verifying.verify(Algorithm::Es256, black_box(message), &signature));
        ensure!(good, "a good signature is refused");
        verifications.push(took);
    }
    Ok(Cost {
        proof: percentile(&mut proofs, 50).context("nothing was measured")?,
        verification: percentile(&mut verifications, 50).context("nothing was measured")?,
    })
}
