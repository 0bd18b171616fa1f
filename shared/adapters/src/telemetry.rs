//! Logs: one JSON object a line, with ids and never with addresses, names, bodies or tokens.

use tracing_subscriber::EnvFilter;

/// Starts logging to standard output as JSON; `filter` is the text of `RUST_LOG`, such as `info`.
pub fn start(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or("info")).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_current_span(false)
        .with_span_list(false)
        .without_time()
        .with_target(false)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
