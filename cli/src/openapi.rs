//! The API's description, put together from the functions' routes.

use crate::dev::queue::LocalQueue;
use adapters::clock::SystemClock;
use adapters::config::Tables;
use adapters::dynamodb::{DynamoCatalog, DynamoLeadStore};
use adapters::ports::{JobStarter, StoreError};
use adapters::s3::S3Files;
use async_trait::async_trait;
use aws_config::SdkConfig;
use std::sync::Arc;
use utoipa::openapi::{InfoBuilder, OpenApi};
use utoipa_axum::router::OpenApiRouter;

/// Starts nothing: only the routes' descriptions are asked for here.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl JobStarter for Nothing {
    async fn start(&self, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Refused("no jobs run while the API is described".to_owned()))
    }
}

/// Joins the functions' descriptions into one.
#[must_use]
pub fn join(parts: Vec<OpenApi>) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Leadloop")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Captures leads, scores them by rules that marketing and sales signed, hands the ready ones to sales and \
             brings back what sales learned. JSON in snake_case, times RFC 3339 in UTC, errors \
             application/problem+json with every fault at once.",
        ))
        .build();
    let mut whole = OpenApi::new(info, utoipa::openapi::Paths::new());
    parts.into_iter().for_each(|part| whole.merge(part));
    whole
}

/// Gives the description as JSON. The routes are wired to clients that are never called.
#[must_use]
pub fn document() -> String {
    let config = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let store = Arc::new(DynamoLeadStore::new(client.clone(), Tables::plain()));
    let catalog = Arc::new(DynamoCatalog::new(client, Tables::plain().catalog));
    let files = Arc::new(S3Files::new(adapters::s3::client(&config), "exports"));
    let (clock, starter) = (Arc::new(SystemClock), Arc::new(Nothing));
    let routers: Vec<OpenApiRouter> = vec![
        lead_capture::router(lead_capture::App::new(store.clone(), catalog.clone(), clock.clone())),
        segment_export::router(segment_export::App::new(
            store.clone(),
            catalog.clone(),
            files,
            starter.clone(),
            clock.clone(),
        )),
        sales_feedback::router(sales_feedback::App::new(store.clone(), catalog.clone(), clock.clone())),
        playbook::router(playbook::App::new(catalog.clone(), clock.clone())),
        insights::router(insights::App::new(store.clone(), catalog.clone(), starter, clock.clone())),
        nurture::router(nurture::App::new(store.clone(), catalog.clone(), None, clock.clone())),
        deliver::router(deliver::App::new(
            store,
            catalog,
            LocalQueue::in_memory(clock.clone()),
            LocalQueue::in_memory(clock.clone()),
            deliver::post::Poster::new(false),
            String::new(),
            clock,
        )),
    ];
    let whole = join(routers.into_iter().map(|router| adapters::http::split(router).1).collect());
    whole.to_pretty_json().unwrap_or_default()
}
