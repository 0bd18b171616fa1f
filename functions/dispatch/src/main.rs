//! The Lambda `dispatch`.

use adapters::config::Environment;
use adapters::telemetry;
use dispatch::{App, Config, handle};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    let app = &app;
    let answer = service_fn(move |event: LambdaEvent<Value>| async move {
        Ok::<Value, lambda_runtime::Error>(handle(app, &event.payload).await)
    });
    lambda_runtime::run(answer).await
}
