//! The Lambda `nurture`: requests, the schedule's ticks, and what the mail service tells.

use adapters::config::Environment;
use adapters::{http, telemetry};
use lambda_runtime::{LambdaEvent, service_fn};
use nurture::{App, Config, handle, router};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await?;
    let router = http::split(router(app.clone())).0;
    let (app, router) = (&app, &router);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        if let Some(done) = handle(app, &event.payload).await? {
            return Ok::<Value, lambda_runtime::Error>(done);
        }
        http::lambda::answer(router.clone(), event.payload).await
    }))
    .await
}
