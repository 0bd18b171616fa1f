//! The Lambda `deliver`: requests about webhooks, and the messages of the queue.

use adapters::config::Environment;
use adapters::{http, telemetry};
use deliver::{App, Config, queue, router};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    let router = http::split(router(app.clone())).0;
    let (app, router) = (&app, &router);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        if event.payload.get("Records").is_some() {
            return Ok::<Value, lambda_runtime::Error>(queue::handle(app, &event.payload).await);
        }
        http::lambda::answer(router.clone(), event.payload).await
    }))
    .await
}
