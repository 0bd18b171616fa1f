//! Errors as callers see them: `application/problem+json` (RFC 9457) with a stable `type` and every fault at once.

use crate::ports::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::fault::Fault;
use domain::time::Timestamp;
use serde_json::{Value, json};

/// An answer that says what went wrong, whether to try again, and what would be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: u16,
    kind: &'static str,
    title: &'static str,
    detail: String,
    faults: Vec<Fault>,
    /// What else helps, under its name.
    more: Option<Box<(&'static str, Value)>>,
    retry_after_s: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            kind,
            title,
            detail: detail.into(),
            faults: Vec::new(),
            more: None,
            retry_after_s: None,
        }
    }

    /// What was sent is wrong; every fault at once.
    #[must_use]
    pub fn invalid(faults: Vec<Fault>) -> Self {
        let n = faults.len();
        let detail = format!("{n} {} to mend", if n == 1 { "fault" } else { "faults" });
        Self {
            faults,
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-input",
                "What was sent is not valid",
                detail,
            )
        }
    }

    /// What was sent is wrong in one place.
    #[must_use]
    pub fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Fault { pointer: pointer.into(), detail: detail.into() }])
    }

    /// The body cannot be read at all.
    #[must_use]
    pub fn unreadable(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let faults = vec![Fault { pointer: String::new(), detail: detail.clone() }];
        Self {
            faults,
            ..Self::new(StatusCode::BAD_REQUEST, "unreadable-body", "The body cannot be read", detail)
        }
    }

    /// The body is larger than allowed.
    #[must_use]
    pub fn too_large(most: usize) -> Self {
        let detail = format!("a body may hold {} KB; send less, or in several requests", most / 1024);
        let faults = vec![Fault { pointer: String::new(), detail: detail.clone() }];
        Self {
            faults,
            ..Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", detail)
        }
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    /// The address does not know the method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "this address does not know that method; see /docs";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method", detail)
    }

    /// No token, or one that is not known.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "expected the header Authorization: Bearer <token> with a token that is known and has not expired";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who are you?", detail)
    }

    /// A token whose role may not do this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not with this token", detail)
    }

    /// What was asked for makes no sense as things stand.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Not as things stand", detail)
    }

    /// A stage transition that does not exist; says what would be legal.
    #[must_use]
    pub fn illegal_transition(stage: &str, asked: &str, legal: Vec<&'static str>) -> Self {
        let detail =
            format!("a lead in stage {stage} cannot be reported as {asked}; legal now: {}", legal.join(", "));
        let problem = Self::new(StatusCode::CONFLICT, "illegal-transition", "Not in this stage", detail);
        Self { more: Some(Box::new(("legal", json!(legal)))), ..problem }
    }

    /// Somebody else took what only one can have.
    #[must_use]
    pub fn taken(owner: &str, since: Option<Timestamp>) -> Self {
        let since = since.map(|at| format!(" since {at}")).unwrap_or_default();
        let detail = format!("{owner} has this lead{since}; whoever passes it on reports it as assigned");
        let problem = Self::new(StatusCode::CONFLICT, "taken", "Somebody else has it", detail);
        Self { more: Some(Box::new(("owner", owner.into()))), ..problem }
    }

    /// Too much at once; try again.
    #[must_use]
    pub fn busy() -> Self {
        let detail = "nothing was stored; send the same request again";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much at once", detail);
        Self { retry_after_s: Some(2), ..problem }
    }

    /// A list could not be read; a cursor that is none of its own is the caller's fault.
    #[must_use]
    pub fn of_list(error: StoreError, cursor: Option<&str>) -> Self {
        match (error, cursor) {
            (StoreError::Refused(_), Some(_)) => Self::fault("/cursor", "is not a cursor of this list"),
            (error, _) => error.into(),
        }
    }

    /// Something is broken on our side.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "the fault is on our side and was logged; send the same request again later";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke", detail)
    }

    /// Gives the HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Gives the faults.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Gives the problem as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "type": format!("urn:leadloop:problem:{}", self.kind),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        });
        if let Some(map) = json.as_object_mut() {
            if !self.faults.is_empty() {
                let errors: Vec<Value> =
                    self.faults.iter().map(|f| json!({ "pointer": f.pointer, "detail": f.detail })).collect();
                map.insert("errors".to_owned(), errors.into());
            }
            if let Some((name, value)) = self.more.as_deref() {
                map.insert((*name).to_owned(), value.clone());
            }
        }
        json
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.may_retry() {
            tracing::warn!(error = %error, "store busy");
            return Self::busy();
        }
        tracing::error!(error = %error, "store failed");
        Self::internal()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
