//! The web console: the files that `cargo xtask console build` made of `console/`, embedded, under a policy that lets a page run and load
//! nothing but them.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bailiwick_crypto::hash::sha256;
use rust_embed::{Embed, EmbeddedFile};

use crate::app::App;
use crate::http::outer;

/// The page, whatever its address: it finds out itself what to show.
const PAGE: &str = "index.html";
/// Addresses of pages. What is not listed is not found.
const ROUTES: [&str; 14] = [
    "/",
    "/login",
    "/approvals",
    "/approvals/{id}",
    "/agents",
    "/agents/{name}",
    "/tasks",
    "/tasks/{id}",
    "/policy",
    "/servers",
    "/servers/{server}/{tool}",
    "/leases",
    "/audit",
    "/audit/{id}",
];
/// Content Security Policy Level 3: scripts, styles and answers of this node only, nothing inline, no frames, no forms that go elsewhere.
/// Svelte makes its templates through one named policy of Trusted Types.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";
/// The rest of what a page may not.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), clipboard-read=(), display-capture=(), geolocation=(), hid=(), microphone=(), payment=(), serial=(), usb=()",
    ),
];
/// Names of assets carry a digest of their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

#[derive(Embed)]
#[folder = "../../console/dist"]
struct Built;

/// Pages and assets. They hold nothing of this node, so they are for everybody who reaches it.
pub fn routes() -> Router<Arc<App>> {
    ROUTES
        .iter()
        .fold(Router::new(), |router, path| router.route(path, get(page)))
        .route("/assets/{*path}", get(asset))
}

/// Tells one build of the console from another.
pub fn build() -> String {
    let page = Built::get(PAGE);
    let digest = page.map(|page| sha256(&[&page.data]).to_hex());
    digest.unwrap_or_default().chars().take(16).collect()
}

async fn page() -> Response {
    match Built::get(PAGE) {
        Some(file) => answer(PAGE, file, HeaderValue::from_static("no-store")),
        None => outer::not_found().await.into_response(),
    }
}

async fn asset(Path(path): Path<String>) -> Response {
    let name = format!("assets/{path}");
    match Built::get(&name) {
        Some(file) => answer(&name, file, FOR_EVER),
        None => outer::not_found().await.into_response(),
    }
}

fn answer(name: &str, file: EmbeddedFile, keep: HeaderValue) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(name)));
    headers.insert(CACHE_CONTROL, keep);
    for (header, value) in HEADERS {
        headers.insert(header, HeaderValue::from_static(value));
    }
    (headers, file.data.into_owned()).into_response()
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
