//! Signing in at the console, and out of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::session::Session;
use bailiwick_core::{Code, Problem, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::console;
use crate::http::guard::{SignedIn, who};
use crate::http::session::{forgotten, kept, own_page};
use crate::http::{Body, Refused, Via, guarded};

/// A code from a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// What stands behind `#` in the link.
    #[serde(default)]
    code: String,
}

/// A session that has begun.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BegunAnswer {
    /// The page's half of the session; sent as `X-Bailiwick-Session`. The other half is a cookie.
    session: String,
    #[serde(flatten)]
    who: WhoAnswer,
}

/// Who asks, and whom they ask.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WhoAnswer {
    /// The account, or `uid:N` over the admin socket.
    account: String,
    /// Its roles.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
    /// When the session ends if nothing is asked; none without a session.
    #[schema(value_type = Option<String>)]
    idle_until: Option<Timestamp>,
    /// When it ends at the latest; none without a session.
    #[schema(value_type = Option<String>)]
    ends_at: Option<Timestamp>,
    /// Name of the node.
    node: String,
    /// Its trust domain.
    trust_domain: String,
    /// Its release.
    version: &'static str,
    /// Its console's build: a page of another one is out of date.
    build: String,
    /// Its clock.
    #[schema(value_type = String)]
    now: Timestamp,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(open))
        .merge(guarded(app, Operation::Read, routes!(show)))
        .routes(routes!(close))
}

/// Signs in with a code. Takes only what comes from the console's own page.
#[utoipa::path(post, path = "/v1/session", operation_id = "sessions.open", tag = "sessions", request_body = CodeBody,
    responses((status = 201, description = "the session; its other half is a cookie", body = BegunAnswer)))]
async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(body): Body<CodeBody>,
) -> Result<Response, Refused> {
    if body.code.is_empty() {
        return Err(Refused::new(
            Code::NotSignedIn,
            "there is no sign-in code",
            "an admin makes a link: `bailiwick account link NAME`",
        ));
    }
    own_page(&app, &Method::POST, &headers)?;
    let begun = match app.control.sign_in(&body.code).await {
        Ok(begun) => begun,
        Err(problem) => return Err(refused(&app, problem).await),
    };
    let actor = Actor {
        name: begun.account.name.to_string(),
        roles: begun.account.roles,
        account: Some(begun.account.id),
        uid: None,
    };
    let life = begun.session.ends_at.as_micros() - begun.session.started_at.as_micros();
    let life_s = u64::try_from(life / 1_000_000).unwrap_or(0);
    let cookie = kept(&app, &begun.cookie, life_s)?;
    let answer = BegunAnswer {
        session: begun.page.expose().clone(),
        who: told(&app, actor, Some(&begun.session)),
    };
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(answer)).into_response())
}

/// Who is signed in, and at which node.
#[utoipa::path(get, path = "/v1/session", operation_id = "sessions.show", tag = "sessions",
    responses((status = 200, description = "who asks, and whom they ask", body = WhoAnswer)))]
async fn show(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Extension(SignedIn(session)): Extension<SignedIn>,
) -> Json<WhoAnswer> {
    Json(told(&app, actor, session.as_ref()))
}

/// Signs out: the session is worth nothing from then on.
#[utoipa::path(delete, path = "/v1/session", operation_id = "sessions.close", tag = "sessions",
    responses((status = 204, description = "it is over")))]
async fn close(
    State(app): State<Arc<App>>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (actor, session) = who(&app, &via, &Method::DELETE, &headers).await?;
    let session = session.ok_or_else(|| {
        Refused::new(
            Code::NotSignedIn,
            "there is no session to end",
            "an account's token ends with its time",
        )
    })?;
    app.control.sign_out(&actor, session.id).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, forgotten(&app)?)]).into_response())
}

async fn refused(app: &App, problem: Problem) -> Refused {
    let asked = "sessions.open";
    app.authority
        .refused(EventType::LoginRefused, asked, "console", &problem)
        .await;
    Refused(problem)
}

fn told(app: &App, actor: Actor, session: Option<&Session>) -> WhoAnswer {
    WhoAnswer {
        account: actor.name,
        roles: actor.roles,
        idle_until: session.map(|session| session.idle_until),
        ends_at: session.map(|session| session.ends_at),
        node: app.node.to_string(),
        trust_domain: app.authority.trust_domain().to_string(),
        version: env!("CARGO_PKG_VERSION"),
        build: console::build(),
        now: app.clock.wall(),
    }
}
