//! What customers said about the marketing, through its route: by campaign and by content, as CSV, as a job whose workers
//! stop, and never again once it was withdrawn or the lead is gone. What counts is recounted in the domain's own tests.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::JobStatus;
use domain::change::{Fact, MarketingFeedback};
use domain::identity::Slug;
use domain::sales::DeliveryId;
use domain::time::HOUR_MS;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::Failure;

const BY_CAMPAIGN: &str = "/v1/reports/marketing-feedback";

async fn say(
    setting: &Setting,
    who: &str,
    id: &str,
    about: (&str, &str),
    like: Option<&str>,
    words: Option<&str>,
) {
    let own = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let said = MarketingFeedback {
        campaign: own(about.0),
        content: own(about.1),
        sentiment: like.map(str::to_owned),
        quote: words.map(str::to_owned),
    };
    let by = Some(Slug::parse("at-1").unwrap());
    setting.later(HOUR_MS);
    setting.record(who, id, Fact::MarketingFeedback { said, by, note: None }).await;
}

/// Three customers, of whom one takes a word back.
async fn setting() -> Setting {
    let setting = Setting::new().await;
    let (ada, bob, eve) = ("ada@company.example", "bob@other.example", "eve@third.example");
    say(&setting, ada, "1", ("spring", "wp-7"), Some("negative"), Some("Zu viele Mails – „nervig“!")).await;
    say(&setting, bob, "2", ("spring", ""), Some("positive"), None).await;
    say(
        &setting,
        bob,
        "3",
        ("=cmd|'/c calc'!A1", "wp-7"),
        None,
        Some("=1+1\n</td><script>alert(\"1\")</script>"),
    )
    .await;
    say(&setting, eve, "4", ("spring", ""), Some("negative"), Some("I never said this.")).await;
    say(&setting, eve, "5", ("", ""), Some("neutral"), Some("It was fine.")).await;
    let id = DeliveryId::new("test", "4");
    setting.record(eve, "6", Fact::Withdrawn { id, note: None }).await;
    setting
}

async fn get(setting: &Setting, path: &str) -> Value {
    let answer = setting.call(Role::Sales, "GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn counts(row: &Value) -> [&Value; 5] {
    ["said", "positive", "neutral", "negative", "unrated"].map(|name| &row[name])
}

#[tokio::test]
async fn what_customers_said_stands_by_campaign_and_content_with_their_words_and_leads() {
    let setting = setting().await;
    let report = get(&setting, BY_CAMPAIGN).await;
    assert_eq!(counts(&report["total"]), [4, 1, 1, 1, 1]);
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["campaign"]).collect();
    assert_eq!(names, [&json!("spring"), &Value::Null, &json!("=cmd|'/c calc'!A1")]);
    assert_eq!(counts(&rows[0]), [2, 1, 0, 1, 0]);
    let ada = setting.lead_of("ada@company.example");
    assert_eq!(
        rows[0]["quotes"],
        json!([{
            "lead_id": ada.id.as_str(), "fact_id": DeliveryId::new("test", "1").to_string(),
            "said_at": "2026-11-22T13:00:00Z", "sentiment": "negative", "quote": "Zu viele Mails – „nervig“!",
            "heard_by": "at-1",
        }])
    );
    assert_eq!(rows[2]["quotes"][0]["quote"], "=1+1 </td><script>alert(\"1\")</script>");
    assert!(!report.to_string().contains("never said"), "it was withdrawn");

    let hours = "from=2026-11-22T13:00:00Z&to=2026-11-22T15:00:00Z";
    let report = get(&setting, &format!("{BY_CAMPAIGN}?group_by=content&{hours}")).await;
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["content"]).collect();
    assert_eq!(names, [&Value::Null, &json!("wp-7")], "the first two hours only");
    assert_eq!(counts(&rows[0]), [1, 1, 0, 0, 0]);
    assert_eq!(counts(&rows[1]), [1, 0, 0, 1, 0]);
}

#[tokio::test]
async fn the_table_has_the_figures_of_the_report_and_starts_no_formula() {
    let setting = setting().await;
    let answer = setting.call_accepting(BY_CAMPAIGN, "text/csv").await;
    let mut table = csv::Reader::from_reader(answer.body.as_ref());
    let head: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    let lines: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let report = get(&setting, BY_CAMPAIGN).await;
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(rows) {
        let cell = |name: &str| line.get(head.iter().position(|known| known == name).unwrap()).unwrap();
        for name in ["said", "positive", "neutral", "negative", "unrated"] {
            assert_eq!(cell(name), row[name].to_string());
        }
        let plain = |cell: &str| cell.strip_prefix('\'').unwrap_or(cell).to_owned();
        assert_eq!(plain(cell("campaign")), row["campaign"].as_str().unwrap_or_default());
        assert_eq!(plain(cell("latest_quote")), row["quotes"][0]["quote"].as_str().unwrap_or_default());
        assert_eq!(cell("latest_lead_id"), row["quotes"][0]["lead_id"].as_str().unwrap_or_default());
        assert!(!line.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{line:?}");
    }
}

#[tokio::test]
async fn every_fault_of_the_question_is_named_and_only_both_teams_may_ask() {
    let setting = Setting::new().await;
    let path = "/v1/reports/marketing-feedback?group_by=colour&from=yesterday&tz=Mars";
    let answer = setting.call(Role::Marketing, "GET", path, None).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.pointers(), ["/from", "/group_by", "/tz"]);
    assert_eq!(setting.call(Role::Capture, "GET", BY_CAMPAIGN, None).await.status, 403);
    assert_eq!(get(&setting, BY_CAMPAIGN).await["rows"], json!([]), "nobody said anything");
}

#[tokio::test]
async fn a_long_report_ends_with_the_same_figures_and_shows_nothing_of_whom_is_gone_by_then() {
    let mut setting = setting().await;
    for n in 0..150 {
        let about = (["spring", "autumn"][n % 2], "");
        say(&setting, &format!("p{n}@company.example"), &format!("more {n}"), about, Some("positive"), None)
            .await;
    }
    let expected = get(&setting, BY_CAMPAIGN).await;
    setting.insights_within(Duration::ZERO);
    let first = setting.call(Role::Marketing, "GET", BY_CAMPAIGN, None).await;
    assert_eq!(first.status, 202, "{}", first.text());
    let id = first.json()["job"].as_str().unwrap().to_owned();
    let (mut calls, mut failed) = (0, 0);
    while setting.insights.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done {
        if calls == 1 {
            setting.failures.on_call(5, Failure::Throttled);
        }
        failed += usize::from(insights::run_job(&setting.insights, &id).await.is_err());
        setting.failures.take_calls();
        calls += 1;
        assert!(calls < 20, "it gets somewhere with each call");
    }
    assert!(calls > 2 && failed == 1, "{calls} calls, {failed} failed");
    let report = get(&setting, BY_CAMPAIGN).await;
    assert_eq!((&report["rows"], &report["total"]), (&expected["rows"], &expected["total"]));

    // The job holds their words still, and the report does not.
    let ada = setting.lead_of("ada@company.example");
    setting.store.forget(&ada.id);
    let id = DeliveryId::new("test", "5");
    setting.record("eve@third.example", "late", Fact::Withdrawn { id, note: None }).await;
    let report = get(&setting, BY_CAMPAIGN).await.to_string();
    assert!(!report.contains("nervig") && !report.contains("It was fine."), "{report}");
    assert!(report.contains("<script>"), "who stands is quoted");
}
