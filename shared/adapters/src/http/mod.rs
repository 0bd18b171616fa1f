//! What every HTTP function needs: problems, tokens and roles, bodies, OpenAPI, and the way into Lambda.

pub mod auth;
pub mod body;
pub mod lambda;
pub mod problem;
pub mod query;
pub mod versioned;

pub use auth::{Caller, Role, Tokens};
pub use body::{BodyBytes, JsonBody};
pub use problem::Problem;
pub use query::Query;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

/// Turns documented routes into a router and their documentation.
pub fn split(routes: utoipa_axum::router::OpenApiRouter) -> (axum::Router, OpenApi) {
    let (router, mut api) = routes.split_for_parts();
    let token = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token from POST /v1/tokens; each operation names the roles that may call it.",
            ))
            .build(),
    );
    api.components.get_or_insert_with(Components::new).add_security_scheme("token", token);
    (finish(router), api)
}

/// Answers with JSON.
pub fn json(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers with a page that may load nothing and run nothing, whatever is in it.
#[must_use]
pub fn page(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = axum::response::Html(page).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Answers with a page whose forms post to where it came from; its looks are exactly `style`. It loads and runs nothing, and
/// what it shows is nobody else's business: no cache keeps it, no search engine lists it, no page frames it, and no address of
/// it goes to where somebody leads next.
#[must_use]
pub fn form_page(status: StatusCode, page: String, style: &str) -> Response {
    let hash = data_encoding::BASE64.encode(&<sha2::Sha256 as sha2::Digest>::digest(style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = (status, page).into_response();
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    add(header::CONTENT_TYPE, "text/html; charset=utf-8");
    add(header::CONTENT_SECURITY_POLICY, &policy);
    add(header::CACHE_CONTROL, "no-store");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(HeaderName::from_static("x-robots-tag"), "noindex");
    response
}

/// Makes a text harmless in HTML, between tags and in an attribute's double quotes.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Gives a router its answers for what it does not know.
pub fn finish(router: axum::Router) -> axum::Router {
    router
        .fallback(|| async { Problem::not_found("no such address; see /docs for the list of them") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
}
