//! The Lambda `insights`: requests, jobs that it started by itself, and what the schedules ask for once a day.

use adapters::config::Environment;
use adapters::lambda_jobs::job_of;
use adapters::{http, telemetry};
use insights::{App, Config, router, run_job, scheduled};
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
        if let Some(done) = scheduled(app, &event.payload).await? {
            return Ok(done);
        }
        http::lambda::answer(router.clone(), event.payload).await
    }))
    .await
}
