//! The Lambda `notify`: messages of the queue, and the schedule of digests.

use adapters::config::Environment;
use adapters::telemetry;
use lambda_runtime::{LambdaEvent, service_fn};
use notify::{App, Config, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await?;
    let app = &app;
    let answer = service_fn(move |event: LambdaEvent<Value>| async move {
        handle(app, &event.payload).await.map_err(lambda_runtime::Error::from)
    });
    lambda_runtime::run(answer).await
}
