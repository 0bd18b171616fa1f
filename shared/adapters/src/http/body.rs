//! Bodies: at most 256 KB, read whole, parsed where JSON is expected.

use super::Problem;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use serde_json::Value;

/// The largest body that is read, in bytes.
pub const MOST_BYTES: usize = 256 * 1024;

/// The raw bytes of a body.
#[derive(Clone, Debug)]
pub struct BodyBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for BodyBytes {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Problem> {
        let declared = request.headers().get(axum::http::header::CONTENT_LENGTH);
        let declared =
            declared.and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<usize>().ok());
        if declared.is_some_and(|length| length > MOST_BYTES) {
            return Err(Problem::too_large(MOST_BYTES));
        }
        match to_bytes(request.into_body(), MOST_BYTES).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Problem::too_large(MOST_BYTES)),
        }
    }
}

/// A body of JSON.
#[derive(Clone, Debug)]
pub struct JsonBody(pub Value);

/// Reads JSON from bytes.
///
/// # Errors
///
/// A problem that says where the text stops being JSON.
pub fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // The library's message names line and column, and never quotes more than a token of the text.
        let what = if error.is_eof() { "ends too early" } else { "is not JSON" };
        Problem::unreadable(format!(
            "{what} at line {}, column {}; expected a JSON document in UTF-8",
            error.line(),
            error.column()
        ))
    })
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Problem> {
        let BodyBytes(bytes) = BodyBytes::from_request(request, state).await?;
        parse_json(&bytes).map(Self)
    }
}
