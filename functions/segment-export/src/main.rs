//! The Lambda `segment-export`.

use adapters::config::Environment;
use adapters::lambda_jobs::job_of;
use adapters::{http, telemetry};
use lambda_runtime::{LambdaEvent, service_fn};
use segment_export::{App, Config, export, router};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    let router = http::split(router(app.clone())).0;
    let (app, router) = (&app, &router);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        match job_of(&event.payload) {
            Some(job) => {
                export::run(app, job).await?;
                Ok::<Value, lambda_runtime::Error>(json!({ "job": job }))
            }
            None => http::lambda::answer(router.clone(), event.payload).await,
        }
    }))
    .await
}
