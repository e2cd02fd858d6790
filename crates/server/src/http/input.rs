//! What comes with a request, parsed at the edge: path, query, JSON body. Whatever does not fit is a problem document.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bailiwick_core::Code;
use bailiwick_core::json::{Limits, check};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::{MAX_BODY, Refused};

/// Depth and size of a JSON body; duplicate names are refused at every level.
const JSON: Limits = Limits {
    bytes: usize::MAX,
    depth: 32,
    members: 100_000,
    caseless: false,
};

/// The parameters of the path.
pub struct At<T>(pub T);

impl<T, S> FromRequestParts<S> for At<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refused::new(
                Code::InvalidInput,
                format!("the path is not one of this API: {}", rejection.body_text()),
                "GET /openapi.json lists every path and its parameters",
            )),
        }
    }
}

/// The parameters of the query. Unknown ones are refused: a filter that is not applied would show too much.
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refused::new(
                Code::InvalidInput,
                format!("the query cannot be read: {}", rejection.body_text()),
                "GET /openapi.json lists the parameters of every path",
            )),
        }
    }
}

/// A JSON body of at most `LIMIT` bytes. An empty body is `{}`.
pub struct Body<T, const LIMIT: usize = MAX_BODY>(pub T);

impl<T, S, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refused;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refused> {
        let json = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(is_json);
        let bytes = read(request, LIMIT).await?;
        if !json && !bytes.is_empty() {
            return Err(Refused::new(
                Code::InvalidInput,
                "the body is not declared as JSON",
                "send it with Content-Type: application/json",
            ));
        }
        let text = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        let help = "GET /openapi.json describes the body of every operation";
        let checked = check(text, &JSON)
            .map_err(|error| Refused::new(Code::InvalidInput, error.to_string(), help))?;
        serde_json::from_str(checked.as_str())
            .map(Self)
            .map_err(|error| {
                Refused::new(
                    Code::InvalidInput,
                    format!("the body does not fit: {error}"),
                    help,
                )
            })
    }
}

/// The body of a request, if it has at most `limit` bytes.
pub async fn read(request: Request, limit: usize) -> Result<Bytes, Refused> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::new(
            Code::TooLarge,
            format!("the body is over {limit} bytes"),
            "",
        )),
        Err(error) => Err(Refused::new(
            Code::InvalidInput,
            format!("the body did not arrive: {error}"),
            "",
        )),
    }
}

/// A value from text, or a refusal that names the field.
pub fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Refused> {
    text.parse()
        .map_err(|error: T::Err| Refused::new(Code::InvalidInput, format!("{field}: {error}"), ""))
}

pub(super) fn is_json(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
