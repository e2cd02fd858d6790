//! rmcp's streamable HTTP client over reqwest, with an authoriser's headers on every request and one retry for a new DPoP nonce.

mod response;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Response;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use super::authorise::{Authorise, BoxError};
use super::sse;
use response::{header, media_type, read, refused, rejected, wants_nonce};

/// Why an HTTP request of the agent failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The authoriser has no credentials.
    #[error("no credentials for the request")]
    Authorise(#[source] BoxError),
    /// The exchange failed.
    #[error("the HTTP exchange failed")]
    Exchange(#[from] reqwest::Error),
    /// The server answered with a status other than success.
    #[error("HTTP {status}: {body}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// `WWW-Authenticate`, if it came.
        challenge: Option<String>,
        /// The start of the body.
        body: String,
    },
}

type Outcome<T> = Result<T, StreamableHttpError<HttpError>>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// The HTTP side of the agent's MCP connection.
#[derive(Clone)]
pub struct AuthorisedHttp {
    client: reqwest::Client,
    authoriser: Arc<dyn Authorise>,
}

impl AuthorisedHttp {
    /// A client that follows no redirect and uses no proxy: its credentials are for one address.
    pub fn new(authoriser: Arc<dyn Authorise>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()?;
        Ok(Self { client, authoriser })
    }

    /// Sends one request; a second time if the server only wanted its nonce in the proof (RFC 9449 §9).
    async fn send(
        &self,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, HttpError> {
        let mut nonce_asked = false;
        loop {
            for (name, mut value) in self
                .authoriser
                .headers(&method, url)
                .await
                .map_err(HttpError::Authorise)?
            {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            let mut request = self
                .client
                .request(method.clone(), url)
                .headers(headers.clone());
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            let response = request.send().await?;
            let nonce = response
                .headers()
                .get(&DPOP_NONCE)
                .and_then(|nonce| nonce.to_str().ok());
            if let Some(nonce) = nonce {
                self.authoriser.learn_nonce(nonce);
            }
            if nonce_asked || nonce.is_none() || !wants_nonce(&response) {
                return Ok(response);
            }
            nonce_asked = true;
        }
    }

    async fn post(
        &self,
        url: &str,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        custom: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Outcome<StreamableHttpPostResponse> {
        let mut headers = headers(session.as_deref(), custom)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        let body = serde_json::to_vec(&message)?;
        let response = self
            .send(Method::POST, url, headers, Some(body.into()))
            .await
            .map_err(StreamableHttpError::Client)?;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        let new_session = header(&response, "mcp-session-id");
        if !status.is_success() {
            return rejected(&message, response, limits).await;
        }
        match media_type(&response).as_deref() {
            Some(EVENT_STREAM) => Ok(StreamableHttpPostResponse::Sse(
                sse::events(response.bytes_stream(), limits.max_sse_event_size),
                new_session,
            )),
            Some(JSON) => {
                let body = read(response, limits.max_json_response_size).await?;
                Ok(StreamableHttpPostResponse::Json(
                    serde_json::from_slice(&body)?,
                    new_session,
                ))
            }
            _ if !matches!(message, ClientJsonRpcMessage::Request(_)) => {
                Ok(StreamableHttpPostResponse::Accepted)
            }
            other => Err(StreamableHttpError::UnexpectedContentType(
                other.map(str::to_owned),
            )),
        }
    }
}

impl StreamableHttpClient for AuthorisedHttp {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Outcome<StreamableHttpPostResponse> {
        self.post(
            &uri,
            message,
            session_id,
            custom_headers,
            StreamableHttpResponseLimits::default(),
        )
        .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Outcome<StreamableHttpPostResponse> {
        self.post(&uri, message, session_id, custom_headers, limits)
            .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Outcome<()> {
        let headers = headers(Some(&session_id), custom_headers)?;
        let response = self
            .send(Method::DELETE, &uri, headers, None)
            .await
            .map_err(StreamableHttpError::Client)?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                Err(StreamableHttpError::ServerDoesNotSupportDeleteSession)
            }
            status if status.is_success() => Ok(()),
            _ => Err(refused(
                response,
                StreamableHttpResponseLimits::default().max_error_response_size,
            )
            .await),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Outcome<Events> {
        let limit = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            limit,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        _last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Outcome<Events> {
        let headers = headers(session_id.as_deref(), custom_headers)?;
        let response = self
            .send(Method::GET, &uri, headers, None)
            .await
            .map_err(StreamableHttpError::Client)?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if !status.is_success() => Err(refused(
                response,
                StreamableHttpResponseLimits::default().max_error_response_size,
            )
            .await),
            _ => match media_type(&response).as_deref() {
                Some(EVENT_STREAM) => Ok(sse::events(response.bytes_stream(), max_sse_event_size)),
                other => Err(StreamableHttpError::UnexpectedContentType(
                    other.map(str::to_owned),
                )),
            },
        }
    }
}

fn headers(session: Option<&str>, custom: HashMap<HeaderName, HeaderValue>) -> Outcome<HeaderMap> {
    let mut headers: HeaderMap = custom.into_iter().collect();
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    );
    if let Some(session) = session {
        headers.insert("mcp-session-id", value(session)?);
    }
    Ok(headers)
}

fn value(text: &str) -> Outcome<HeaderValue> {
    let unfit = |_| {
        StreamableHttpError::UnexpectedServerResponse(
            "the server gave an id that fits no header".into(),
        )
    };
    HeaderValue::from_str(text).map_err(unfit)
}

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const CONNECT: Duration = Duration::from_secs(5);
