//! Sessions over HTTP: a cookie half that the page cannot read, a page half that no other port receives, and requests that come from our
//! own pages. What another site makes a browser send lacks at least one of them.

use axum::http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bailiwick_control::Actor;
use bailiwick_core::session::Session;
use bailiwick_core::{Code, Secret};

use super::Refused;
use super::input::is_json;
use crate::app::App;

/// The header with the page's half.
const PAGE: HeaderName = HeaderName::from_static("x-bailiwick-session");
/// Set by the page on what it asks by itself: that somebody is there it does not show.
const BACKGROUND: HeaderName = HeaderName::from_static("x-bailiwick-background");
/// Fetch Metadata: where the page is that made the browser ask.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who the halves of a request stand for; none if it came with neither.
pub(super) async fn actor(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<(Actor, Session)>, Refused> {
    let cookie = cookie(headers, &cookie_name(app));
    let page = headers.get(PAGE).and_then(|half| half.to_str().ok());
    let (cookie, page) = match (cookie, page) {
        (None, None) => return Ok(None),
        (Some(cookie), Some(page)) => (cookie, page),
        _ => return Err(over()),
    };
    own_page(app, method, headers)?;
    let active = !headers.contains_key(BACKGROUND);
    let found = app.control.session_actor(cookie, page, active).await?;
    found.map(Some).ok_or_else(over)
}

/// Refuses what does not come from a page of this node. What changes something has to name its origin, and be JSON, which no form is.
pub fn own_page(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let one = |name: &HeaderName| {
        let mut all = headers.get_all(name).iter();
        let value = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(value)
    };
    if one(&SITE) != Some("same-origin") {
        return Err(foreign("the request does not come from the console's page"));
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    if !one(&ORIGIN).is_some_and(|origin| app.origins.contains(origin)) {
        return Err(foreign("the request comes from another origin"));
    }
    if !one(&CONTENT_TYPE).is_some_and(is_json) {
        return Err(foreign("a request of the console is JSON"));
    }
    Ok(())
}

/// The cookie half, for the browser to keep until `life` is over.
pub fn kept(app: &App, half: &Secret<String>, life_s: u64) -> Result<HeaderValue, Refused> {
    let name = cookie_name(app);
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let text = format!(
        "{name}={}; Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict{secure}",
        half.expose()
    );
    HeaderValue::from_str(&text)
        .map_err(|error| Refused::new(Code::Internal, format!("no cookie: {error}"), ""))
}

/// What makes the browser forget it.
pub fn forgotten(app: &App) -> Result<HeaderValue, Refused> {
    kept(app, &Secret::new(String::new()), 0)
}

/// By port where there is no TLS: nodes on one host share their cookies.
fn cookie_name(app: &App) -> String {
    if is_secure(app) {
        // No other host and no page in the clear can have set it (RFC 6265bis §4.1.3.2).
        return "__Host-bailiwick-session".to_owned();
    }
    let port = app.console_url.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    format!("bailiwick-session-{}", port.unwrap_or("80"))
}

fn is_secure(app: &App) -> bool {
    app.console_url.starts_with("https://")
}

/// The cookie of this name, if there is one alone: which of two is ours could not be told.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let mut found = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(known, value)| (known == name).then_some(value));
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

fn over() -> Refused {
    Refused::new(
        Code::NotSignedIn,
        "this session is over, or the request has only half of it",
        "sign in again; an admin makes a link: `bailiwick account link NAME`",
    )
}

fn foreign(message: &str) -> Refused {
    Refused::new(
        Code::OriginRefused,
        message,
        "open the console at its own URL; programs use an account's token",
    )
}
