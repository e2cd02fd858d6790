//! What an HTTP response means to the MCP client: a refusal, a JSON-RPC error, a bounded body, a call for a nonce.

use futures_util::StreamExt as _;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use reqwest::Response;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorData, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};

use super::{HttpError, Outcome};

/// Whether a 401 only asks for a proof with the nonce that came along (RFC 9449 §9).
pub(super) fn wants_nonce(response: &Response) -> bool {
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
pub(super) async fn rejected(
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
pub(super) async fn refused(response: Response, limit: usize) -> StreamableHttpError<HttpError> {
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
pub(super) async fn read(response: Response, limit: usize) -> Outcome<Vec<u8>> {
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

pub(super) fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

pub(super) fn media_type(response: &Response) -> Option<String> {
    let value = header(response, CONTENT_TYPE.as_str())?;
    value
        .split(';')
        .next()
        .map(|essence| essence.trim().to_ascii_lowercase())
}
