//! The Lambda `rescore`.

use adapters::config::Environment;
use adapters::telemetry;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use rescore::{App, Config, handle};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    let app = &app;
    let answer = service_fn(move |event: LambdaEvent<Value>| async move {
        let done = handle(app, event.payload).await;
        // The state machine's history shows both.
        done.map_err(|error| Diagnostic {
            error_type: "RescoreError".to_owned(),
            error_message: error.to_string(),
        })
    });
    lambda_runtime::run(answer).await
}
