//! Backtests, characteristics, suggested cards and score quality, through their routes, on leads whose outcome is known.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::JobStatus;
use adapters::write_path::About;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute, NewAttributes};
use domain::change::{Capture, Fact};
use domain::identity::ExternalId;
use domain::sales::Move;
use domain::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::builders::{activity, delivered, email, test_playbook, time};

pub(crate) const LEADS: usize = 240;

fn attributes(values: &[(&str, AttributeValue, Option<Timestamp>)]) -> NewAttributes {
    values
        .iter()
        .map(|(name, value, known_at)| {
            let new = NewAttribute { value: value.clone(), known_at: *known_at };
            (AttributeName::parse(name).unwrap(), new)
        })
        .collect()
}

pub(crate) async fn record(setting: &Setting, who: &str, id: &str, at: Timestamp, fact: Fact) {
    let mut incoming = delivered(&format!("{who} {id}"), at, fact);
    incoming.history = true;
    incoming.by = "form:contact".to_owned();
    setting.write_path.record(&About::Anybody(vec![email(who)]), &[incoming]).await.unwrap();
}

/// The day on which a lead was captured: one every six hours, from a year ago on.
pub(crate) fn captured(n: usize) -> Timestamp {
    time("2025-11-22T09:00:00Z").plus(n as i64 * DAY_MS / 4)
}

/// Of those of the right size 7 in 10 are won, of the others 2.
pub(crate) fn wins(n: usize) -> bool {
    n / 2 % 10 < if n.is_multiple_of(2) { 7 } else { 2 }
}

/// Leads of the right size and others. `budget` is what sales found out afterwards; `shoe_size` says nothing of its time.
pub(crate) async fn past(setting: &Setting) {
    for n in 0..LEADS {
        let (who, at) = (format!("lead{n}@company.example"), captured(n));
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let size = if n.is_multiple_of(2) { 100.0 } else { 5.0 };
        let form = attributes(&[
            ("company_size", AttributeValue::Number(size), None),
            ("industry", text("Logistics"), None),
            ("country", text(if n % 3 == 0 { "AT" } else { "DE" }), None),
        ]);
        let sent = Capture { attributes: form, responded: true, public: true, ..Capture::default() };
        record(setting, &who, "form", at, Fact::Captured(Box::new(sent))).await;
        for view in 0..n / 20 % 4 {
            let fact = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
            record(setting, &who, &format!("view{view}"), at.plus(view as i64 * DAY_MS + 1_000), fact).await;
        }
        let crm = attributes(&[("shoe_size", AttributeValue::Number(n as f64), None)]);
        let sent = Capture { attributes: crm, ..Capture::default() };
        record(setting, &who, "crm", at.plus(60_000), Fact::Captured(Box::new(sent))).await;
        // Every eighth is never worked.
        if n % 8 == 7 {
            continue;
        }
        let (contact, end) = (at.plus(10 * DAY_MS), at.plus(40 * DAY_MS));
        let follow_up = Fact::FollowUp { channel: "phone".to_owned(), result: None, by: None, note: None };
        record(setting, &who, "call", contact, follow_up).await;
        let found = if wins(n) { "large" } else { "none" };
        let found = attributes(&[("budget", text(found), Some(contact.plus(DAY_MS)))]);
        let found = Capture { attributes: found, ..Capture::default() };
        record(setting, &who, "budget", contact.plus(DAY_MS), Fact::Captured(Box::new(found))).await;
        let what = if wins(n) {
            Move::Won { deal: ExternalId::new("crm", &format!("d{n}")).unwrap(), amount: None }
        } else {
            Move::Lost { deal: None, reason: Some("no_budget".to_owned()) }
        };
        record(setting, &who, "end", end, Fact::Sales { what, by: None, note: None }).await;
    }
}

/// A playbook that also looks at what nobody can have known.
fn with_leak() -> Value {
    let mut playbook = test_playbook();
    let rules = playbook["fit"][1]["rules"].as_array_mut().unwrap();
    rules.push(json!({"id": "rich", "points": 50, "when": {"attribute": "budget", "equals": "large"}}));
    rules.push(json!({"id": "big_feet", "points": 5, "when": {"attribute": "shoe_size", "at_least": 40}}));
    playbook
}

async fn setting() -> Setting {
    let setting = Setting::new().await;
    past(&setting).await;
    setting
}

async fn ask(setting: &Setting, path: &str, body: &Value) -> (u16, Value) {
    let answer = setting.call(Role::Marketing, "POST", path, Some(body)).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_backtest_says_what_a_version_would_have_done_and_names_what_it_may_not_rest_on() {
    let setting = setting().await;
    setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&with_leak())).await;
    let (status, job) = ask(&setting, "/v1/playbooks/2/backtest", &json!({})).await;
    assert_eq!((status, &job["status"]), (200, &json!("done")), "{job}");
    let result = &job["result"];
    assert_eq!((&result["leads"], &result["version"]), (&json!(LEADS), &json!(2)));
    let worked = (0..LEADS).filter(|n| n % 8 != 7);
    let won = worked.clone().filter(|n| wins(*n)).count();
    assert_eq!(result["wins"], json!(won));
    assert_eq!(result["never_worked"]["rate"], json!(0.125), "{}", result["never_worked"]);
    let refused = result["refused"].as_array().unwrap();
    let of = |name: &str| refused.iter().find(|r| r["attribute"] == name).unwrap();
    let budget = of("budget");
    let because = budget["because"].as_str().unwrap();
    assert!(
        because.starts_with("`budget` is known only after the outcome in 100 % of its values"),
        "{because}"
    );
    assert_eq!(budget["rules"], json!(["rich"]));
    assert!(of("shoe_size")["because"].as_str().unwrap().contains("undated"), "{result}");
    let auc = &result["tested"]["moments"]["day_30"]["auc"];
    let value = auc["value"].as_f64().unwrap();
    assert!((0.6..0.9).contains(&value), "honest, and no 0.98: {auc}");
    assert!(auc["low"].as_f64().unwrap() < value && value < auc["high"].as_f64().unwrap());
    let active = &result["active"]["moments"]["day_30"]["auc"];
    assert_eq!(active, auc, "without its leaks it is the active version");
    assert!(result["tested"]["hand_offs"].as_array().unwrap().iter().any(|week| week["owner"] == "at-1"));

    let path = "/v1/attributes/shoe_size";
    let declared = json!({"known_at_capture": true, "comment": "We ask for it."});
    let declared = setting.call(Role::Sales, "PUT", path, Some(&declared)).await.json();
    assert_eq!((&declared["declared_by"], &declared["name"]), (&json!("at-1"), &json!("shoe_size")));
    let (_, job) = ask(&setting, "/v1/playbooks/2/backtest", &json!({})).await;
    let refused = job["result"]["refused"].as_array().unwrap();
    assert!(refused.iter().all(|r| r["attribute"] != "shoe_size"), "somebody vouches for it: {refused:?}");
}

#[tokio::test]
async fn a_backtest_looks_at_the_leads_that_are_asked_for() {
    let setting = setting().await;
    let (from, to) = (captured(40).to_string(), captured(140).to_string());
    let asked = json!({"from": from, "to": to, "where": {"attribute": "country", "equals": "AT"}});
    let (status, job) = ask(&setting, "/v1/playbooks/1/backtest", &asked).await;
    assert_eq!(status, 200, "{job}");
    let expected = (40..140).filter(|n| n % 3 == 0).count();
    assert_eq!(job["result"]["leads"], json!(expected));
    let wrong = json!({"from": "x", "where": {"attribute": "Country"}, "horizon_days": 0, "colour": 1});
    let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks/1/backtest", Some(&wrong)).await;
    assert_eq!(answer.status, 422);
    let pointers = answer.pointers();
    for pointer in ["/from", "/where/attribute", "/horizon_days", "/colour"] {
        assert!(pointers.iter().any(|p| p == pointer), "{pointer}: {pointers:?}");
    }
    assert_eq!(ask(&setting, "/v1/playbooks/9/backtest", &json!({})).await.0, 404);
}

#[tokio::test]
async fn a_backtest_whose_worker_stops_goes_on_and_ends_with_the_same_figures() {
    let mut setting = setting().await;
    let (_, whole) = ask(&setting, "/v1/playbooks/1/backtest", &json!({})).await;
    // Now nobody waits, and each call stops after its first page.
    setting.insights_within(Duration::ZERO);
    let (status, started) = ask(&setting, "/v1/playbooks/1/backtest", &json!({})).await;
    assert_eq!(status, 202);
    let id = started["job"].as_str().unwrap().to_owned();
    let mut calls = 0;
    while setting.insights.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Done {
        let before = setting.call(Role::Sales, "GET", &format!("/v1/jobs/{id}"), None).await.json();
        assert!(before["progress"]["leads"].as_u64().is_some(), "progress is visible: {before}");
        insights::run_job(&setting.insights, &id).await.unwrap();
        calls += 1;
        assert!(calls < 100, "it gets somewhere with each call");
    }
    let job = setting.call(Role::Sales, "GET", &format!("/v1/jobs/{id}"), None).await.json();
    let mut figures = (whole["result"].clone(), job["result"].clone());
    for result in [&mut figures.0, &mut figures.1] {
        result.as_object_mut().unwrap().remove("as_of");
    }
    assert_eq!(figures.0, figures.1);
}

#[tokio::test]
async fn a_signature_keeps_the_figures_that_its_signer_saw() {
    let setting = setting().await;
    setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&with_leak())).await;
    let (_, job) = ask(&setting, "/v1/playbooks/2/backtest", &json!({})).await;
    let (_, other) = ask(&setting, "/v1/playbooks/1/backtest", &json!({})).await;
    setting.call(Role::Marketing, "POST", "/v1/playbooks/2/propose", None).await;
    let sign = async |backtest: &Value| {
        let body = json!({"backtest": backtest});
        setting.call(Role::Sales, "POST", "/v1/playbooks/2/signoffs", Some(&body)).await
    };
    assert_eq!(sign(&json!("backtest-none")).await.pointers(), ["/backtest"]);
    assert_eq!(sign(&other["job"]).await.pointers(), ["/backtest"], "it was about another content");
    let signed = sign(&job["job"]).await.json();
    let shown = &signed["sign_offs"][0]["backtest"];
    assert_eq!((&shown["job"], &shown["leads"]), (&job["job"], &json!(LEADS)));
    assert_eq!(shown["auc"]["day_30"], job["result"]["tested"]["moments"]["day_30"]["auc"]);
    assert!(!shown.to_string().contains("lead_id"), "no lead stays behind: {shown}");
}

#[tokio::test]
async fn characteristics_tell_best_from_worst_and_leave_leaks_out() {
    let setting = setting().await;
    let report = setting.call(Role::Marketing, "GET", "/v1/reports/characteristics", None).await.json();
    let best = report["best"].as_array().unwrap();
    assert_eq!(best[0]["attribute"], json!("company_size"), "{report}");
    let worst = &report["worst"][0];
    assert_eq!(worst["attribute"], json!("company_size"));
    let right = (0..LEADS).filter(|n| n % 2 == 0).count();
    assert_eq!(best[0]["leads"].as_u64().unwrap(), right as u64);
    let rate = best[0]["rate"].as_f64().unwrap();
    assert!((rate - 0.7).abs() < 0.02, "{rate}");
    assert!(best[0]["interval"]["low"].as_f64().unwrap() < rate && best[0]["lift"].as_f64().unwrap() > 1.3);
    let left_out: Vec<&str> =
        report["left_out"].as_array().unwrap().iter().map(|l| l["attribute"].as_str().unwrap()).collect();
    assert!(left_out.contains(&"budget") && left_out.contains(&"shoe_size"), "{left_out:?}");
    let csv = setting.call_accepting("/v1/reports/characteristics", "text/csv").await;
    assert!(csv.text().starts_with("side,says,leads,wanted,rate,lift,weight_of_evidence\nbest,"));
    let wrong =
        setting.call(Role::Sales, "GET", "/v1/reports/characteristics?target=rich&tz=Mars&from=x", None);
    assert_eq!(wrong.await.pointers().len(), 3);
    let few =
        setting.call(Role::Sales, "GET", "/v1/reports/characteristics?target=retained", None).await.json();
    assert!(few["caution"][0].as_str().unwrap().contains("too few"), "{}", few["caution"]);
}

#[tokio::test]
async fn a_suggested_card_is_a_draft_that_finds_what_wins() {
    let setting = setting().await;
    let (status, job) = ask(&setting, "/v1/playbooks/suggest", &json!({"rules": 4, "precision": 0.6})).await;
    assert_eq!(status, 200, "{job}");
    let result = &job["result"];
    let rules = result["rules"].as_array().unwrap();
    assert!((1..=4).contains(&rules.len()), "{rules:?}");
    assert!(rules.iter().all(|rule| rule["points"].as_i64().unwrap() % 5 == 0));
    assert!(rules.iter().any(|rule| rule["says"].as_str().unwrap().starts_with("Company size")), "{rules:?}");
    let text = result["document"]["fit"].to_string() + &result["document"]["engagement"].to_string();
    assert!(!text.contains("budget") && !text.contains("shoe_size"), "{text}");
    assert_eq!(result["document"]["territories"], test_playbook()["territories"], "the rest stays as it is");
    let version = setting.call(Role::Sales, "GET", "/v1/playbooks/2", None).await.json();
    assert_eq!((&version["status"], &version["needs"]), (&json!("draft"), &json!(["marketing", "sales"])));
    assert!(
        version["comment"].as_str().unwrap().starts_with("Suggested from 240 leads"),
        "{}",
        version["comment"]
    );
    let (_, tested) = ask(&setting, "/v1/playbooks/2/backtest", &json!({})).await;
    let auc =
        |version: &str| tested["result"][version]["moments"]["day_30"]["auc"]["value"].as_f64().unwrap();
    assert!(auc("tested") >= auc("active") - 0.02, "{} {}", auc("tested"), auc("active"));

    let wrong = json!({"rules": 0, "precision": 2, "hand_offs_per_week": 5, "behaviour": ["Visits"]});
    let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks/suggest", Some(&wrong)).await;
    assert_eq!((answer.status, answer.pointers().len()), (422, 4), "{}", answer.text());
    let (_, none) = ask(&setting, "/v1/playbooks/suggest", &json!({"to": "2025-12-01"})).await;
    assert!(none["result"]["because"].as_str().unwrap().contains("too few"), "{none}");
    assert_eq!(none["result"]["version"], Value::Null);
}

#[tokio::test]
async fn score_quality_is_told_by_month_with_the_rules_behind_rejections() {
    let setting = setting().await;
    for n in 0..12 {
        let who = format!("given-back{n}@company.example");
        let at = captured(100 + n);
        let form = attributes(&[
            ("company_size", AttributeValue::Number(100.0), None),
            ("industry", AttributeValue::Text("Logistics".to_owned()), None),
        ]);
        let sent = Capture {
            attributes: form,
            responded: true,
            public: true,
            activity: Some(activity("contact_requested", &[])),
            ..Capture::default()
        };
        record(&setting, &who, "form", at, Fact::Captured(Box::new(sent))).await;
        let reason = Some("wrong_size".to_owned());
        let rejected = Fact::Sales { what: Move::Rejected { reason }, by: None, note: None };
        record(&setting, &who, "back", at.plus(2 * DAY_MS), rejected).await;
    }
    let report = setting.call(Role::Sales, "GET", "/v1/reports/score-quality", None).await.json();
    let months = report["months"].as_array().unwrap();
    assert!(months.len() >= 2 && months.iter().any(|month| month["auc"]["value"].is_number()), "{report}");
    assert_eq!(report["playbook_version"], json!(1));
    let rules = report["rejected"]["rules"].as_array().unwrap();
    let size =
        rules.iter().find(|rule| rule["rule"] == "size_right").expect("without it they were not ready");
    assert_eq!(size["reasons"][0], json!({"reason": "wrong_size", "leads": 12}), "{size}");
    assert!(report["alarm"].is_boolean() && report["drift"].is_object());
    let watched = insights::quality::watch(&setting.insights).await.unwrap();
    let job = format!("/v1/jobs/{}", watched["job"].as_str().unwrap());
    let looked = setting.call(Role::Sales, "GET", &job, None).await.json();
    assert_eq!(looked["result"], report, "what is watched is what is shown");
    insights::quality::watch(&setting.insights).await.unwrap();
}
