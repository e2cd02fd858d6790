//! Attestation over HTTP: evidence and a certificate request in, an X.509-SVID out. The evidence is the credential; there is no other.

mod renew;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Fault, Problem, Secret};
use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_identity::remote::{Evidence, Joined, Proven, x509pop};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::{Body, Detailed, Details};

/// Longest body of an attestation: a token of 16 KiB or a chain, and a request.
const MAX_ATTESTATION: usize = 64 << 10;

/// What somebody elsewhere shows.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestBody {
    /// How it proves itself: join_token, oidc or x509pop.
    kind: Option<String>,
    /// The proof: the join token, or `{issuer, token}` with the issuer by its configured name, or
    /// `{chain, challenge, signature}`.
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
    /// PKCS #10 request in PEM for the P-256 key that the SVID is for.
    csr: Option<String>,
    /// Audiences of a JWT-SVID that is wanted too, 1 to 8.
    audiences: Option<Vec<String>>,
}

/// An identity.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AttestAnswer {
    /// The instance.
    instance: String,
    /// Its SPIFFE ID.
    spiffe_id: String,
    /// Its X.509-SVID in PEM, leaf first.
    chain: String,
    /// The trust domain's bundle (SPIFFE Trust Domain and Bundle §4).
    #[schema(value_type = Object)]
    bundle: Value,
    /// When the X.509-SVID ends, and the instance with it.
    expires_at: String,
    /// The JWT-SVID that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_svid: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(attest))
        .merge(renew::routes())
}

/// Gives an identity to whoever shows what it is.
#[utoipa::path(post, path = "/v1/attest", operation_id = "attest", tag = "identity", request_body = AttestBody,
    responses((status = 201, description = "an identity", body = AttestAnswer)))]
async fn attest(
    State(app): State<Arc<App>>,
    Body(body): Body<AttestBody, MAX_ATTESTATION>,
) -> Result<(StatusCode, Json<AttestAnswer>), Detailed> {
    let kind = body.kind.clone().unwrap_or_default();
    match answer(&app, body).await {
        Ok(answer) => Ok((StatusCode::CREATED, Json(answer))),
        Err(problem) => {
            // By kind alone: whoever is refused chooses no text of the record, and cannot fill it.
            let asker = match KINDS.iter().find(|known| **known == kind) {
                Some(known) => format!("attest:{known}"),
                None => "attest".to_owned(),
            };
            let refused = EventType::InstanceRefused;
            app.authority
                .refused(refused, "attest", &asker, &problem)
                .await;
            let by_key = app.pop_authorities.is_some();
            Err(with_challenge(&app, problem, by_key))
        }
    }
}

/// The refusal of a request without proof; for whoever proves itself by a key it brings what to sign, as with DPoP.
fn with_challenge(app: &App, problem: Problem, by_key: bool) -> Detailed {
    let mut details = Details::default();
    if by_key && problem.code == Code::NotSignedIn {
        let challenge = app.pop_challenges.make(app.clock.monotonic(), &*app.rng);
        details.0.insert("challenge".to_owned(), challenge.into());
    }
    Detailed { problem, details }
}

/// The kinds of evidence.
const KINDS: [&str; 3] = ["join_token", "oidc", "x509pop"];

async fn answer(app: &App, body: AttestBody) -> Result<AttestAnswer, Problem> {
    let (Some(kind), Some(evidence)) = (body.kind, body.evidence) else {
        return Err(Problem::new(
            Code::NotSignedIn,
            "an attestation needs evidence",
            format!(
                "send {{kind, evidence, csr}}; kinds are {}",
                KINDS.join(", ")
            ),
        ));
    };
    let request = request(body.csr)?;
    let evidence = match kind.as_str() {
        "join_token" => Evidence::JoinToken(Secret::new(read(evidence)?)),
        "oidc" => Evidence::Proven(of_issuer(app, read(evidence)?).await?),
        "x509pop" => {
            let authorities = app.pop_authorities.as_ref().ok_or_else(|| {
                Problem::new(
                    Code::InvalidInput,
                    "certificates are no evidence here",
                    "an operator names their authorities in [identity] x509pop_ca",
                )
            })?;
            let (now, elapsed) = (app.clock.wall(), app.clock.monotonic());
            let shown = read(evidence)?;
            let challenges = &app.pop_challenges;
            let proven = x509pop::read(authorities, challenges, &shown, &request, now, elapsed)?;
            Evidence::Proven(proven)
        }
        _ => {
            return Err(Problem::new(
                Code::InvalidInput,
                "this kind of evidence is not known here",
                format!("kinds are {}", KINDS.join(", ")),
            ));
        }
    };
    let joined = app.authority.join(evidence, &request, body.audiences).await;
    document(app, joined.map_err(|error| error.problem())?)
}

/// A token of an outside issuer.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcEvidence {
    /// The issuer's configured name.
    issuer: String,
    /// Its token.
    token: String,
}

async fn of_issuer(app: &App, shown: OidcEvidence) -> Result<Proven, Problem> {
    app.issuers.read(&shown.issuer, &shown.token).await
}

fn request(csr: Option<String>) -> Result<CertificateRequest, Problem> {
    let csr = csr.ok_or_else(|| {
        Problem::new(
            Code::InvalidInput,
            "the certificate request is missing",
            "send it as `csr` in PEM; its key is what the SVID is for",
        )
    })?;
    CertificateRequest::from_pem(&csr).map_err(|error| error.problem())
}

fn read<T: DeserializeOwned>(evidence: Value) -> Result<T, Problem> {
    // serde's words could repeat the evidence.
    serde_json::from_value(evidence).map_err(|_| {
        Problem::new(
            Code::InvalidInput,
            "the evidence is not of the form of its kind",
            "join_token: the token; oidc: {issuer, token}; x509pop: {chain, challenge, signature}",
        )
    })
}

fn document(app: &App, joined: Joined) -> Result<AttestAnswer, Problem> {
    let keyring = app.authority.keyring();
    let bundle = keyring.bundle().to_json();
    Ok(AttestAnswer {
        instance: joined.attested.instance.id.to_string(),
        spiffe_id: joined.attested.id.to_string(),
        chain: joined.svid.chain_pem().to_owned(),
        bundle: bundle.map_err(|error| error.problem())?,
        expires_at: joined.svid.not_after().to_string(),
        jwt_svid: joined.jwt_svid.map(|token| token.expose().clone()),
    })
}
