//! Renewal over HTTP: the holder of an X.509-SVID that this node gave to an instance elsewhere gets the next one, and a JWT-SVID.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_identity::remote::renewal::{self, Shown};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    AttestAnswer, MAX_ATTESTATION, OidcEvidence, document, of_issuer, request, with_challenge,
};
use crate::app::App;
use crate::http::{Body, Detailed};

/// What an instance elsewhere shows to go on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewBody {
    /// Its X.509-SVID and the signature of its key over a challenge. Without it the refusal has a `challenge`.
    proof: Option<SvidProof>,
    /// PKCS #10 request in PEM for the same key.
    csr: Option<String>,
    /// Audiences of a JWT-SVID that is wanted too, 1 to 8.
    audiences: Option<Vec<String>>,
    /// A fresh token of the same run, for an instance that was attested by one: it lives longer by it.
    evidence: Option<OidcEvidence>,
}

/// Possession of an SVID's key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SvidProof {
    /// The X.509-SVID in PEM.
    chain: String,
    /// The challenge, as it was given, at most a minute ago.
    challenge: String,
    /// ECDSA signature of the lines `bailiwick/svid-renewal/v1`, challenge, and SHA-256 of the request's DER in hex, each with a newline;
    /// base64.
    signature: String,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(renew))
}

/// Gives an instance elsewhere its next SVIDs.
#[utoipa::path(post, path = "/v1/attest/renew", operation_id = "attest.renew", tag = "identity", request_body = RenewBody,
    responses((status = 200, description = "the same identity, anew", body = AttestAnswer)))]
async fn renew(
    State(app): State<Arc<App>>,
    Body(body): Body<RenewBody, MAX_ATTESTATION>,
) -> Result<Json<AttestAnswer>, Detailed> {
    // By instance once it has proven itself; until then whoever is refused chooses no text of the record.
    let mut asker = "renew".to_owned();
    match answer(&app, body, &mut asker).await {
        Ok(answer) => Ok(Json(answer)),
        Err(problem) => {
            let refused = EventType::InstanceRefused;
            app.authority
                .refused(refused, "attest.renew", &asker, &problem)
                .await;
            Err(with_challenge(&app, problem, true))
        }
    }
}

async fn answer(app: &App, body: RenewBody, asker: &mut String) -> Result<AttestAnswer, Problem> {
    let proof = body.proof.ok_or_else(|| {
        Problem::new(
            Code::NotSignedIn,
            "a renewal needs proof of the SVID's key",
            "send {proof: {chain, challenge, signature}, csr}; this answer has a challenge",
        )
    })?;
    let request = request(body.csr)?;
    let shown = Shown {
        chain: proof.chain,
        challenge: proof.challenge,
        signature: proof.signature,
    };
    let keyring = app.authority.keyring();
    let (now, elapsed) = (app.clock.wall(), app.clock.monotonic());
    let challenges = &app.pop_challenges;
    let held = renewal::read(keyring.bundle(), challenges, &shown, &request, now, elapsed)?;
    *asker = held.id().to_string();
    let fresh = match body.evidence {
        Some(evidence) => Some(of_issuer(app, evidence).await?),
        None => None,
    };
    let renewed = app.authority.renew(held, fresh, &request, body.audiences);
    document(app, renewed.await.map_err(|error| error.problem())?)
}
