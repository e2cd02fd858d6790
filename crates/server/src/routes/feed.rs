//! The change feed, for enforcement points in other processes (ADR 24).

use std::sync::Arc;

use axum::body::Body as AnswerBody;
use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bailiwick_core::Code;
use bailiwick_core::feed::{Ask, MAX_ASK};
use bailiwick_core::name::PointName;
use bailiwick_crypto::hash::sha256;
use futures_util::stream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::guard::bearer;
use crate::http::{Body, Refused};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(follow))
}

/// The point whose token came with the request.
struct Asking(PointName);

impl FromRequestParts<Arc<App>> for Asking {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let token = bearer(&parts.headers);
        let point = token.and_then(|token| app.feed.point(sha256(&[token.expose().as_bytes()])));
        point.map(Self).ok_or_else(|| {
            Refused::new(
                Code::NotSignedIn,
                "the feed is for registered enforcement points",
                "an admin adds one: bailiwick point add NAME; send its token as Authorization: Bearer bwp_…",
            )
        })
    }
}

/// Answers a point's question: at once if there is news that narrows, else within 250 ms. The body is a signed head and what it covers.
#[utoipa::path(post, path = "/v1/feed", operation_id = "feed", tag = "revocations", request_body = Object,
    responses((status = 200, description = "a head, its signature, and changes or a snapshot, a line each; see the reference on points", body = String)))]
async fn follow(
    State(app): State<Arc<App>>,
    Asking(point): Asking,
    Body(ask): Body<Ask, MAX_ASK>,
) -> Result<Response, Refused> {
    let turn = app.feed.heard(&point, &ask)?;
    // The body is made while it is sent: a question that is held takes no place among the requests that are worked on.
    let feed = Arc::clone(&app.feed);
    let answer = stream::once(async move { feed.answer(turn, ask).await });
    let form = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((form, AnswerBody::from_stream(answer)).into_response())
}
