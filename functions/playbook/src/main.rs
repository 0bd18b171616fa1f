//! The Lambda `playbook`.

use adapters::config::Environment;
use adapters::{http, telemetry};
use playbook::{App, Config, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let environment = Environment::read();
    telemetry::start(environment.optional("RUST_LOG").as_deref());
    let app = App::connect(&Config::from_environment(&environment)?).await;
    http::lambda::serve(http::split(router(app)).0).await
}
