//! The campaigns report through its route.

use super::setting::Setting;
use adapters::http::Role;
use adapters::ports::{InboxLine, LeadLists, Page, StoreError};
use async_trait::async_trait;
use domain::identity::{LeadId, Slug};
use domain::lead::Lead;
use domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

async fn setting() -> Setting {
    let setting = Setting::new().await;
    let lead = |id: &str, at: &str, channel: Value| json!({"external_id": {"system": "x", "id": id}, "occurred_at": at, "source": {"channel": channel, "landing_page": "lp"}});
    let body = json!({"mode": "history", "leads": [
        lead("1", "2026-01-31T22:59:00Z", json!("email")), lead("2", "2026-01-31T23:01:00Z", json!("email")),
        lead("3", "2026-02-10T00:00:00Z", json!("=social")), lead("4", "2026-03-01T00:00:00Z", Value::Null),
    ]});
    assert_eq!(setting.call(Role::Marketing, "POST", "/v1/leads/batch", Some(&body)).await.status, 200);
    setting
}

async fn rows(setting: &Setting, query: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", &format!("/v1/reports/campaigns{query}"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["rows"].clone()
}

#[tokio::test]
async fn dates_are_days_of_the_time_zone_and_the_end_is_not_included() {
    let setting = setting().await;
    // The playbook's zone is Vienna: its February began at 23:00 UTC.
    let february = rows(&setting, "?from=2026-02-01&to=2026-03-01").await;
    assert_eq!(february[0]["leads"], 1);
    assert_eq!(february.as_array().map(Vec::len), Some(2));
    let utc = rows(&setting, "?from=2026-02-01&to=2026-03-01&tz=UTC").await;
    assert_eq!(utc.as_array().map(Vec::len), Some(1));
    let all = rows(&setting, "?group_by=landing_page").await;
    assert_eq!(
        (&all[0]["landing_page"], &all[0]["leads"], &all[0]["win_rate"]),
        (&json!("lp"), &json!(4), &Value::Null)
    );
}

#[tokio::test]
async fn a_channel_that_nobody_knows_is_a_row_of_its_own() {
    let setting = setting().await;
    let all = rows(&setting, "").await;
    assert!(all.as_array().unwrap().iter().any(|row| row["channel"].is_null() && row["leads"] == 1));
}

#[tokio::test]
async fn csv_is_the_same_with_cells_made_harmless() {
    let setting = setting().await;
    let text = setting.call_accepting("/v1/reports/campaigns", "text/csv").await.text();
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    assert!(head.starts_with("channel,leads,won,lost,open,conversion_rate,win_rate,"), "{head}");
    assert!(lines.next().is_some_and(|line| line.starts_with("email,2,0,0,2,0.0,,")), "{text}");
    assert!(text.contains("\n'=social,1,"), "{text}");
}

#[tokio::test]
async fn every_fault_of_the_question_is_named() {
    let setting = setting().await;
    let path = "/v1/reports/campaigns?group_by=colour&basis=x&tz=Mars&from=yesterday";
    let answer = setting.call(Role::Marketing, "GET", path, None).await;
    assert_eq!(
        (answer.status, answer.pointers()),
        (422, ["/basis", "/from", "/group_by", "/tz"].map(String::from).to_vec())
    );
    let answer = setting
        .call(Role::Marketing, "GET", "/v1/reports/campaigns?from=2026-02-01&to=2026-02-01", None)
        .await;
    assert_eq!((answer.status, answer.pointers()), (422, vec!["/to".to_owned()]));
}

/// A list of leads that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl LeadLists for Silent {
    async fn scan(&self, _: u32, _: u32, _: Option<&str>) -> Result<Page<Lead>, StoreError> {
        std::future::pending().await
    }
    async fn due(&self, _: u8, _: Timestamp, _: usize) -> Result<Vec<LeadId>, StoreError> {
        std::future::pending().await
    }
    async fn inbox(&self, _: &Slug, _: usize, _: Option<&str>) -> Result<Page<InboxLine>, StoreError> {
        std::future::pending().await
    }
    async fn held(&self, _: &Slug, _: usize) -> Result<Vec<LeadId>, StoreError> {
        Ok(Vec::new())
    }

    async fn about(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn put_off(&self, _: &LeadId, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_report_that_takes_longer_than_a_caller_waits_is_a_job() {
    let setting = setting().await;
    let mut waiting = setting.insights.clone();
    waiting.lists = Arc::new(Silent);
    waiting.answer_within = Duration::ZERO;
    let api = tests::Api::of(adapters::http::split(insights::router(waiting)).0);
    let ask = || api.call("GET", "/v1/reports/campaigns").token(setting.tokens.of(Role::Sales)).send();
    let first = ask().await;
    assert_eq!(first.status, 202);
    let job = first.json()["job"].as_str().unwrap().to_owned();
    assert_eq!(setting.started.take(), std::slice::from_ref(&job));
    assert_eq!(ask().await.status, 202, "asked again, it is still counted");
    insights::run_job(&setting.insights, &job).await.unwrap();
    let done = ask().await;
    assert_eq!((done.status, done.json()["rows"].as_array().map(Vec::len)), (200, Some(3)));
}
