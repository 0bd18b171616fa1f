//! Webhooks from the command line: what there is, how the receivers do, and what was set aside, sent once more.

use crate::api::{Api, ApiError, Body, Where};
use adapters::config::Environment;
use clap::Subcommand;
use serde_json::Value;
use std::time::Duration;

/// After how long the dead letters of other webhooks, which a look hides, are there again.
const LOOK_AGAIN: Duration = Duration::from_secs(61);

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "clap takes the text of a flattened field for the command's own")]
pub enum What {
    /// Lists the webhooks, and how their receivers do.
    List(Where),
    /// Sends a test event and says what came of it.
    Test {
        /// The webhook's id.
        webhook: String,
        #[command(flatten)]
        api: Where,
    },
    /// Sends once more what was set aside for a webhook: tried for a day, or while it was switched off.
    Replay {
        /// The webhook's id; every webhook that is on unless given.
        webhook: Option<String>,
        #[command(flatten)]
        api: Where,
    },
}

/// Does it.
///
/// # Errors
///
/// [`ApiError`].
pub async fn run(what: What, environment: &Environment) -> Result<(), ApiError> {
    match what {
        What::List(place) => {
            for webhook in all(&place.api("admin", environment)?).await? {
                println!("{}", line(&webhook));
            }
        }
        What::Test { webhook, api } => {
            let api = api.api("admin", environment)?;
            let tried = api.post(&format!("/v1/webhooks/{webhook}/test"), Body::None).await?;
            println!("{}", text(&tried, "how"));
        }
        What::Replay { webhook: Some(webhook), api } => {
            replay(&api.api("admin", environment)?, &webhook).await?;
        }
        What::Replay { webhook: None, api } => {
            let api = api.api("admin", environment)?;
            for webhook in all(&api).await?.iter().filter(|webhook| text(webhook, "state") == "on") {
                replay(&api, text(webhook, "id")).await?;
            }
        }
    }
    Ok(())
}

async fn all(api: &Api) -> Result<Vec<Value>, ApiError> {
    let answer = api.get("/v1/webhooks").await?;
    Ok(answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
}

async fn replay(api: &Api, webhook: &str) -> Result<(), ApiError> {
    let mut sum = 0;
    loop {
        let answer = api.post(&format!("/v1/webhooks/{webhook}/replay"), Body::None).await?;
        sum += answer.get("replayed").and_then(Value::as_u64).unwrap_or(0);
        if answer.get("more").and_then(Value::as_bool) != Some(true) {
            println!("{webhook}: {sum} sent once more");
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Says in a line how a webhook does.
fn line(webhook: &Value) -> String {
    let mut line = format!("{}  {}  {}", text(webhook, "id"), text(webhook, "state"), text(webhook, "url"));
    if let Some(reason) = webhook.pointer("/switched_off/reason").and_then(Value::as_str) {
        line.push_str(&format!("  ({reason})"));
    } else if let Some(since) = webhook.get("failing_since").and_then(Value::as_str) {
        let how = webhook.pointer("/last_failure/how").and_then(Value::as_str).unwrap_or_default();
        line.push_str(&format!("  (failing since {since}: {how})"));
    }
    line
}
