//! The API as the commands call it: with a token, with patience, and with errors in one line.

use adapters::config::Environment;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Method;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// How often a request is tried before a command stops.
const TRIES: u32 = 8;
/// How long a command waits before it asks again how far a job is.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Where the API is, and who calls.
#[derive(Clone, Debug, clap::Args)]
pub struct Where {
    /// The API; where `leadloop dev` with that data folder answers unless given.
    #[arg(long)]
    pub url: Option<String>,
    /// The token; LEADLOOP_TOKEN or the tokens of `leadloop dev` unless given.
    #[arg(long)]
    pub token: Option<String>,
    /// Where the tokens of `leadloop dev` are.
    #[arg(long, default_value = ".leadloop")]
    pub data_dir: PathBuf,
}

/// Says why the API did not do what was asked.
#[derive(Debug, Error)]
pub enum ApiError {
    /// There is no token.
    #[error("no token: give --token or LEADLOOP_TOKEN, or --data-dir of a running `leadloop dev`")]
    NoToken,
    /// The API cannot be reached.
    #[error("{0} does not answer ({1})")]
    NoAnswer(String, String),
    /// The API refused.
    #[error("the API refused: {0}")]
    Refused(String),
    /// A job was given up.
    #[error("the job {0} was given up; the logs of the function say why")]
    GivenUp(String),
}

/// The API, as one role calls it.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Nothing.
    None,
    /// A JSON document.
    Json(&'a Value),
}

impl Where {
    /// Makes the API as a role calls it, where the tokens of `leadloop dev` are used.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub fn api(&self, role: &str, environment: &Environment) -> Result<Api, ApiError> {
        let given = self.token.clone().or_else(|| environment.optional("LEADLOOP_TOKEN"));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build();
        let url = self.url.clone().or_else(|| self.dev_url());
        let url = url.unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
        Ok(Api {
            http: http.map_err(|error| ApiError::NoAnswer(url.clone(), error.to_string()))?,
            url: url.trim_end_matches('/').to_owned(),
            token: given.or_else(|| self.dev_token(role)).ok_or(ApiError::NoToken)?,
        })
    }

    fn dev_token(&self, role: &str) -> Option<String> {
        self.dev_says("tokens.json", role)
    }

    fn dev_url(&self) -> Option<String> {
        self.dev_says("endpoints.json", "api")
    }

    fn dev_says(&self, file: &str, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.data_dir.join(file)).ok()?;
        let said: Value = serde_json::from_str(&text).ok()?;
        said.get(name).and_then(Value::as_str).map(str::to_owned)
    }
}

impl Api {
    /// Asks for a document.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.send(Method::GET, path, Body::None, None).await
    }

    /// Posts a document.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub async fn post(&self, path: &str, body: Body<'_>) -> Result<Value, ApiError> {
        // One key for all tries of this call, so that a job whose answer was lost is not begun twice.
        let key = adapters::clock::new_lead_id();
        self.send(Method::POST, path, body, Some(key.as_str())).await
    }

    /// Sends a request until it is answered for good: a server that is busy or away for a moment gets time.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body<'_>,
        key: Option<&str>,
    ) -> Result<Value, ApiError> {
        let url = format!("{}{path}", self.url);
        let mut last = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(250 << attempt.min(5))).await;
            }
            let mut request = self.http.request(method.clone(), &url).bearer_auth(&self.token);
            if let Body::Json(body) = body {
                request = request.json(body);
            }
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                Err(error) => {
                    last = cause(&error);
                    continue;
                }
            };
            let status = answer.status();
            let answer: Value = match answer.json().await {
                Ok(answer) => answer,
                Err(error) => {
                    last = cause(&error);
                    continue;
                }
            };
            if status.is_success() {
                return Ok(answer);
            }
            if !(status.is_server_error() || status.as_u16() == 429) {
                return Err(ApiError::Refused(explain(&answer)));
            }
            last = explain(&answer);
        }
        Err(ApiError::NoAnswer(url, last))
    }

    /// Waits for a job, showing how far it is, and gives it as it ended.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub async fn wait(&self, mut job: Value) -> Result<Value, ApiError> {
        let id = job.get("job").and_then(Value::as_str).unwrap_or_default().to_owned();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} leads looked at, {elapsed}") {
            bar.set_style(style);
        }
        loop {
            match job.get("status").and_then(Value::as_str) {
                Some("done") => break,
                Some("failed") => return Err(ApiError::GivenUp(id)),
                _ => {}
            }
            let number = |name: &str| job.pointer(&format!("/progress/{name}")).and_then(Value::as_u64);
            bar.set_position(number("swept").or_else(|| number("leads")).unwrap_or(0));
            bar.tick();
            tokio::time::sleep(ASK_AGAIN).await;
            job = self.get(&format!("/v1/jobs/{id}")).await?;
        }
        bar.finish_and_clear();
        Ok(job)
    }
}

/// Gives the innermost cause of an HTTP error, which says the most.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Says what a problem document says, in one line.
#[must_use]
pub fn explain(problem: &Value) -> String {
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let errors = problem.get("errors").and_then(Value::as_array);
    let faults: Vec<String> = errors
        .into_iter()
        .flatten()
        .map(|fault| format!("{} {}", text(fault, "pointer"), text(fault, "detail")).trim().to_owned())
        .collect();
    if faults.is_empty() { text(problem, "detail") } else { faults.join("; ") }
}
