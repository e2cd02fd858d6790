//! The page that says in plain words what a client wants, and the answer to it. The answer counts once, from the browser that signed in,
//! with the form that it was shown.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_control::consents::{Consent, Offer, Wanted};
use bailiwick_core::client::{ClientId, OAuthClient, origin_of};
use bailiwick_core::scope::Grant;
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_crypto::hash::equal;
use bailiwick_identity::exchange::TokenRefusal;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::authorize::{Back, known, sign_ins, wanted};
use super::form::Form;
use super::page::{STYLE, escaped, failure, page, send_to};
use crate::app::App;
use crate::http::At;
use crate::sign_ins::{Asked, AtConsent, is_step};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(ask, answer))
        .routes(routes!(style))
}

/// What a person answers.
#[derive(Deserialize, utoipa::ToSchema)]
struct Answer {
    /// What the page was shown with.
    token: String,
    /// `allow` or `deny`.
    answer: String,
}

/// Shows what a client wants.
#[utoipa::path(get, path = "/oauth/consent/{id}", operation_id = "oauth.consent", tag = "oauth", params(("id" = String, Path)),
    responses((status = 200, description = "a page"), (status = 401, description = "a page: this browser did not sign in for that")))]
async fn ask(State(app): State<Arc<App>>, At(id): At<String>, headers: HeaderMap) -> Response {
    let shown = show(&app, &id, &headers).await;
    shown.unwrap_or_else(|problem| failure(&problem))
}

/// Takes the answer.
#[utoipa::path(post, path = "/oauth/consent/{id}", operation_id = "oauth.consent.answer", tag = "oauth", params(("id" = String, Path)),
    request_body(content = Answer, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "to the client, with `code` or `error`, `state`, `iss`"),
              (status = 401, description = "a page: this browser did not sign in for that")))]
async fn answer(State(app): State<Arc<App>>, At(id): At<String>, request: Request) -> Response {
    let taken = take(&app, &id, request).await;
    taken.unwrap_or_else(|problem| failure(&problem))
}

/// The style of the pages.
#[utoipa::path(get, path = "/oauth/page.css", operation_id = "oauth.style", tag = "oauth",
    responses((status = 200, description = "a style sheet")))]
async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css")], STYLE).into_response()
}

/// What was asked for at the start, looked up anew: client and scope can have changed while the person signed in.
pub(super) async fn asked_again(app: &App, asked: &Asked) -> Result<Wanted, Problem> {
    let gone = || Problem::new(Code::Conflict, "the client was removed meanwhile", "");
    let id: ClientId = asked.client.parse().map_err(|_| gone())?;
    let (client, document) = known(app, id).await?.ok_or_else(gone)?;
    if document != asked.document || !client.redirects_to(&asked.redirect_uri) {
        return Err(Problem::new(
            Code::Conflict,
            "the client was changed meanwhile",
            "start again from the client",
        ));
    }
    wanted(app, client, asked).map_err(|refusal| refusal.problem)
}

fn step(app: &App, id: &str, headers: &HeaderMap) -> Result<AtConsent, Problem> {
    let id = if is_step(id) { id } else { "" };
    sign_ins(app)?.step(id, headers, &*app.clock)
}

async fn show(app: &App, id: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let step = step(app, id, headers)?;
    let wanted = asked_again(app, &step.asked).await?;
    let offer = app.control.offer(&wanted).await?;
    if offer.digest != step.shown {
        return Err(Problem::new(
            Code::Conflict,
            "what the client's agent may do at most was changed meanwhile",
            "start again from the client",
        ));
    }
    let body = body(app, &step, &wanted, &offer)?;
    let origin = origin_of(&step.asked.redirect_uri);
    let id = &wanted.client.id;
    let title = format!(
        "Let {} act for you?",
        id.url().map_or(id.as_str(), origin_of)
    );
    Ok(page(StatusCode::OK, &title, &body, Some(origin)))
}

fn body(app: &App, step: &AtConsent, wanted: &Wanted, offer: &Offer) -> Result<String, Problem> {
    let client = &wanted.client;
    let mut rows = String::new();
    let mut row = |name: &str, html: &str| {
        let _ = write!(rows, "<dt>{name}</dt><dd>{html}</dd>");
    };
    row("Client", &who(client));
    row(
        "You",
        &format!(
            "{}, signed in at {}",
            escaped(step.user.as_str()),
            escaped(sign_ins(app)?.login.issuer())
        ),
    );
    row(
        "Tool server",
        &format!(
            "{} (<code>{}</code>)",
            escaped(wanted.server.as_str()),
            escaped(&step.asked.resource)
        ),
    );
    let grants: Vec<String> = offer.scope.grants().iter().map(in_words).collect();
    row(
        "What it may do",
        &format!("<ul><li>{}</li></ul>", grants.join("</li><li>")),
    );
    row(
        "Until",
        &format!(
            "{} at the latest; it can be stopped at any moment",
            escaped(&offer.until.to_string())
        ),
    );
    if step.asked.jkt.is_none() && app.authority.may_be_unbound(&client.id) {
        let what = "may be bound to no key: whoever gets hold of one can use it until it ends, within minutes";
        row("Its tokens", what);
    }
    let origin = origin_of(&step.asked.redirect_uri);
    let place = if origin.starts_with("http://") {
        "a program on the computer that this browser runs on"
    } else {
        "the place that it is registered with"
    };
    row(
        "Your answer goes to",
        &format!("<strong>{}</strong>, {place}", escaped(origin)),
    );
    Ok(format!(
        "<p>If you did not start this yourself just now, answer no.</p>\n<dl>{rows}</dl>\n<form method=\"post\">\
<input type=\"hidden\" name=\"token\" value=\"{}\">\
<button class=\"yes\" name=\"answer\" value=\"allow\">Allow</button><button name=\"answer\" value=\"deny\">Deny</button></form>\n\
<p class=\"note\">Each of its calls is decided by policy when it is made, and is on record.</p>",
        escaped(&step.token)
    ))
}

/// A client as a person should know it, as HTML. Of one that publishes itself the host is sure, and the name is what it says.
fn who(client: &OAuthClient) -> String {
    let agent = escaped(client.agent.as_str());
    let Some(url) = client.id.url() else {
        let name = escaped(client.id.as_str());
        return format!("<strong>{name}</strong>, registered here; it acts as the agent {agent}");
    };
    let loopback = client
        .redirect_uris
        .iter()
        .all(|uri| uri.origin().starts_with("http://"));
    let doubt = if loopback {
        " It runs on your computer, where any other program could pretend to be it."
    } else {
        ""
    };
    format!(
        "<strong>{}</strong> publishes it (<code>{}</code>), and it calls itself <q>{}</q>. Nobody here has looked at it; it acts as the agent \
{agent}.{doubt}",
        escaped(origin_of(url)),
        escaped(url),
        escaped(client.name.as_deref().unwrap_or_default()),
    )
}

/// A grant as a person reads it, as HTML.
fn in_words(grant: &Grant) -> String {
    let effects: Vec<&str> = grant
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Read => "read",
            Effect::Write => "change data",
            Effect::Escalate => "change who may do what",
        })
        .collect();
    let tools: Vec<String> = grant.tool.iter().map(ToString::to_string).collect();
    let with = match tools.as_slice() {
        [all] if all == "*" => "with any of its tools".to_owned(),
        names => format!("with {}", names.join(", ")),
    };
    let limits: Vec<String> = grant.args.keys().map(ToString::to_string).collect();
    let limits = match (limits.as_slice(), grant.resources.is_some() || grant.closed) {
        ([], false) => String::new(),
        ([], true) => ", within limits".to_owned(),
        (paths, _) => format!(", within limits on {}", paths.join(", ")),
    };
    escaped(&format!("{} {with}{limits}", effects.join(" and ")))
}

async fn take(app: &App, id: &str, request: Request) -> Result<Response, Problem> {
    let sign_ins = sign_ins(app)?;
    check_origin(app, request.headers())?;
    let step = step(app, id, request.headers())?;
    let read = Form::<Answer>::read(request).await;
    let (_, form) = read.map_err(|refusal| refusal.problem)?;
    if !equal(form.token.as_bytes(), step.token.as_bytes()) {
        return Err(foreign("the form is not the one that was shown"));
    }
    let allowed = match form.answer.as_str() {
        "allow" => true,
        "deny" => false,
        _ => return Err(foreign("the answer is neither yes nor no")),
    };
    let wanted = asked_again(app, &step.asked).await?;
    sign_ins.answer(id, app.clock.wall())?;
    let back = Back::of(&step.asked);
    let forget = sign_ins.forget::<AtConsent>(id)?;
    if !allowed {
        app.control.declined(&step.user, &wanted.client.id).await?;
        let refusal =
            TokenRefusal::new("access_denied", Code::NotPermitted, "the user said no", "");
        return Ok(back.refuse(app, &refusal));
    }
    let given = Consent {
        wanted,
        user: step.user,
        shown: step.shown,
        resource: step.asked.resource.clone(),
        redirect_uri: step.asked.redirect_uri.clone(),
        challenge: step.asked.challenge.clone(),
        jkt: step.asked.jkt.clone(),
    };
    match app.control.consent(given).await {
        Ok(code) => Ok(send_to(
            &back.with(app, &[("code", code.expose())]),
            [forget],
        )),
        // The person stays here: what policy says is for them, not for the client.
        Err(problem) => Err(problem),
    }
}

/// A form that another site's page sent says so.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let ours = match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => origin.as_bytes() == app.console_url.as_bytes(),
        _ => false,
    };
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if ours && site.is_none_or(|site| site == b"same-origin") {
        Ok(())
    } else {
        Err(foreign("the answer came from another site's page"))
    }
}

fn foreign(message: &str) -> Problem {
    Problem::new(Code::OriginRefused, message, "answer on the page itself")
}
