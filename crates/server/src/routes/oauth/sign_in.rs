//! Where the OpenID provider sends people back to: who signed in is on record before they are shown what the client wants.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bailiwick_core::Problem;
use bailiwick_core::client::{ClientId, origin_of};
use bailiwick_crypto::pkce;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authorize::sign_ins;
use super::consent::asked_again;
use super::page::{failure, send_to};
use crate::app::App;
use crate::http::Query;
use crate::login::{Returned, Started};
use crate::sign_ins::{AtConsent, AtProvider, MAX_PAUSE, is_step};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

/// Takes people back from the OpenID provider.
#[utoipa::path(get, path = "/oauth/login", operation_id = "oauth.login", tag = "oauth",
    params(("state" = String, Query), ("code" = Option<String>, Query), ("error" = Option<String>, Query), ("iss" = Option<String>, Query)),
    responses((status = 303, description = "to the page that asks for consent"),
              (status = 401, description = "a page: this browser started no such login, or the provider's answer is not to be believed")))]
async fn sign_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    returned: Result<Query<Returned>, crate::http::Refused>,
) -> Response {
    let returned = match returned {
        Ok(Query(returned)) => returned,
        Err(refused) => return failure(&refused.0),
    };
    match come_back(&app, &headers, &returned).await {
        Ok(response) => response,
        Err(problem) => failure(&problem),
    }
}

async fn come_back(
    app: &App,
    headers: &HeaderMap,
    returned: &Returned,
) -> Result<Response, Problem> {
    let sign_ins = sign_ins(app)?;
    let state = returned.state.as_str();
    // The cookie's name is the `state`: another browser, or none, started the login that this answers.
    let state = if is_step(state) { state } else { "" };
    let step: AtProvider = sign_ins.step(state, headers, &*app.clock)?;
    let started = Started {
        state,
        nonce: &step.nonce,
        verifier: &step.verifier,
    };
    let user = match sign_ins.login.finish(&started, returned).await {
        Ok(user) => user,
        Err(problem) => {
            // By host where clients publish themselves: there are as many URLs as somebody likes.
            let client = &step.asked.client;
            let client = if client.contains(':') {
                origin_of(client)
            } else {
                client
            };
            app.authority.sign_in_refused(client, &problem).await;
            return Err(problem);
        }
    };
    let wanted = asked_again(app, &step.asked).await?;
    let client: ClientId = wanted.client.id.clone();
    let offer = app.control.offer(&wanted).await?;
    app.control.signed_in(&user, &client).await?;
    let id = pkce::fresh(&*app.rng);
    let next = AtConsent {
        asked: step.asked,
        user,
        shown: offer.digest,
        token: pkce::fresh(&*app.rng).expose().clone(),
        ends: app.clock.wall().plus(MAX_PAUSE),
    };
    let cookies = [
        sign_ins.forget::<AtProvider>(state)?,
        sign_ins.keep(id.expose(), &next, &*app.rng)?,
    ];
    let url = format!("{}/oauth/consent/{}", app.console_url, id.expose());
    Ok(send_to(&url, cookies))
}
