//! rmcp's streamable HTTP client over reqwest, with an authoriser's headers on every request and one retry for a new DPoP nonce.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Response;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use super::authorise::{Authorise, BoxError};
use super::sse;

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

/// Whether a 401 only asks for a proof with the nonce that came along (RFC 9449 §9).
fn wants_nonce(response: &Response) -> bool {
    let asks = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("error=\"use_dpop_nonce\""))
    };
    response.status() == StatusCode::UNAUTHORIZED
        && response
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .any(asks)
}

/// A status other than success: a JSON-RPC error in the body is the answer, all else is a refusal. An old server refuses
/// `server/discover` in many ways; each must reach rmcp as an error of that request, so that it falls back to `initialize`.
async fn rejected(
    message: &ClientJsonRpcMessage,
    response: Response,
    limits: StreamableHttpResponseLimits,
) -> Outcome<StreamableHttpPostResponse> {
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Err(refused(response, limits.max_error_response_size).await);
    }
    let (request, probe) = match message {
        ClientJsonRpcMessage::Request(request) => (
            Some(request.id.clone()),
            matches!(request.request, ClientRequest::DiscoverRequest(_)),
        ),
        _ => (None, false),
    };
    let challenge = header(&response, WWW_AUTHENTICATE.as_str());
    let body = read(response, limits.max_json_response_size).await?;
    let error = match serde_json::from_slice(&body) {
        Ok(ServerJsonRpcMessage::Error(error)) => Some(error),
        _ => None,
    };
    match error {
        // Whoever refuses a request unread cannot repeat its id.
        Some(error) => Ok(json(error.error, request)),
        None if probe && status.is_client_error() => {
            let message = format!("server/discover was answered with HTTP {status}");
            Ok(json(ErrorData::invalid_request(message, None), request))
        }
        None => {
            let body = body.get(..limits.max_error_response_size).unwrap_or(&body);
            let body = String::from_utf8_lossy(body).into_owned();
            Err(StreamableHttpError::Client(HttpError::Refused {
                status,
                challenge,
                body,
            }))
        }
    }
}

fn json(error: ErrorData, request: Option<RequestId>) -> StreamableHttpPostResponse {
    StreamableHttpPostResponse::Json(ServerJsonRpcMessage::error(error, request), None)
}

/// The refusal that a response is, with the start of its body.
async fn refused(response: Response, limit: usize) -> StreamableHttpError<HttpError> {
    let (status, challenge) = (
        response.status(),
        header(&response, WWW_AUTHENTICATE.as_str()),
    );
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        body.extend_from_slice(&chunk);
        if body.len() >= limit {
            body.truncate(limit);
            break;
        }
    }
    StreamableHttpError::Client(HttpError::Refused {
        status,
        challenge,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// A whole body, refused beyond `limit` bytes.
async fn read(response: Response, limit: usize) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| StreamableHttpError::Client(error.into()))?;
        if body.len() + chunk.len() > limit {
            return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

fn media_type(response: &Response) -> Option<String> {
    let value = header(response, CONTENT_TYPE.as_str())?;
    value
        .split(';')
        .next()
        .map(|essence| essence.trim().to_ascii_lowercase())
}

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const CONNECT: Duration = Duration::from_secs(5);
