//! The Lambda `insights`: requests, jobs that it started by itself, and the schedule's daily look at the score.

use adapters::config::Environment;
use adapters::lambda_jobs::job_of;
use adapters::{http, telemetry};
use insights::{App, Config, quality, router, run_job};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    let router = http::split(router(app.clone())).0;
    let (app, router) = (&app, &router);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        if let Some(job) = job_of(&event.payload) {
            run_job(app, job).await?;
            return Ok::<Value, lambda_runtime::Error>(json!({ "job": job }));
        }
        if event.payload == json!({ "action": "watch_score" }) {
            return Ok(quality::watch(app).await?);
        }
        http::lambda::answer(router.clone(), event.payload).await
    }))
    .await
}
