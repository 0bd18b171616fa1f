//! The way into Lambda: the same router that `leadloop dev` mounts, and jobs that the function sends to itself.

use axum::Router;
use axum::body::Body;
use lambda_http::request::RequestContext;
use lambda_http::{Error, RequestExt};
use tower::{ServiceBuilder, ServiceExt};

/// Serves a router to API Gateway, REST or HTTP.
///
/// # Errors
///
/// Where the runtime's own API cannot be reached.
pub async fn serve(router: Router) -> Result<(), Error> {
    lambda_http::run(ServiceBuilder::new().map_request(without_stage).service(router)).await
}

/// Answers one API Gateway event that was read from JSON.
///
/// # Errors
///
/// Where the event is none of API Gateway's.
pub async fn answer(router: Router, event: serde_json::Value) -> Result<serde_json::Value, Error> {
    use lambda_http::lambda_runtime::LambdaEvent;
    let request: lambda_http::request::LambdaRequest = serde_json::from_value(event)?;
    let service = ServiceBuilder::new().map_request(without_stage).service(router);
    let adapter = lambda_http::Adapter::from(service);
    let response = adapter.oneshot(LambdaEvent::new(request, lambda_http::Context::default())).await?;
    Ok(serde_json::to_value(response)?)
}

/// API Gateway puts the stage before the path, which no route knows.
fn without_stage(mut request: lambda_http::Request) -> lambda_http::Request {
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.clone(),
        _ => None,
    };
    let prefix = format!("/{}", stage.unwrap_or_default());
    let path = request.uri().path();
    if let Some(rest) = path.strip_prefix(&prefix).filter(|rest| rest.starts_with('/')) {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(uri) = format!("{rest}{query}").parse() {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// The body type of requests, for those who build one.
pub type RequestBody = Body;
