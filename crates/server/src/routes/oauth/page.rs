//! Pages for people: written here, without scripts, for no frame, with a policy that lets the browser load our style and nothing else.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_core::Problem;

/// The style of all pages.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h1{font-size:1.4rem}dt{font-weight:600;margin-top:.8rem}dd{margin:0;overflow-wrap:anywhere}code{overflow-wrap:anywhere}\
button{font:inherit;padding:.5rem 1.4rem;margin:1.2rem .8rem 0 0;border:1px solid #444;border-radius:.3rem;background:#fff}\
button.yes{background:#14532d;border-color:#14532d;color:#fff}.note{color:#555}";

/// Text as it stands between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Nothing that turns the direction of what follows, or hides.
            letter if letter.is_control() || is_unseen(letter) => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A page. `body` is HTML; its forms may lead here and, by what the answer is, to `form_to`.
pub(super) fn page(status: StatusCode, title: &str, body: &str, form_to: Option<&str>) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>{title} – Bailiwick</title><link rel=\"stylesheet\" href=\"/oauth/page.css\"></head>\n<body><main>\n<h1>{title}</h1>\n{body}\n</main></body></html>\n"
    );
    let forms = match form_to {
        // Browsers hold the redirect after a form against this too.
        Some(origin) => format!("'self' {origin}"),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = (status, Body::from(html)).into_response();
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    // A policy that cannot be written is the strictest one.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`, under which browsers send `Origin: null` with our own form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What went wrong, for a person who cannot be sent back anywhere.
pub(super) fn failure(problem: &Problem) -> Response {
    let status =
        StatusCode::from_u16(problem.code.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
    let help = match problem.help.as_str() {
        "" => String::new(),
        help => format!("<p>{}.</p>", escaped(help)),
    };
    let body = format!(
        "<p>{}.</p>{help}<p class=\"note\">Code: <code>{}</code></p>",
        escaped(&problem.message),
        problem.code.as_str()
    );
    page(status, "This did not work", &body, None)
}

/// Sends a browser elsewhere with GET (RFC 9110 §15.4.4), with these cookies.
pub(super) fn send_to(url: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The URL before this one can have had somebody's code in it.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests;
