//! What a hostile reviewer of the agreement tried: each of these once went wrong.

use super::setting::Setting;
use adapters::http::Role;
use adapters::jobs::{JobKind, JobStatus};
use adapters::ports::{Direction, Timeline};
use adapters::write_path::About;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Fact};
use domain::lead::Lead;
use domain::replay::{Replay, facts_of};
use domain::score::score;
use domain::stage::Stage;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use testkit::builders::{activity, agree, delivered, email, sign, test_playbook};

fn laxer() -> Value {
    let mut playbook = test_playbook();
    playbook["marketing_qualified"]["labels"] = json!(["A1", "A2", "A3", "B1", "B2"]);
    playbook
}

async fn capacity(setting: &Setting, person: &str, daily: u64) {
    let record = json!({"name": person, "email": format!("{person}@company.example"), "team": "sales",
        "daily_capacity": daily});
    let answer = setting.call(Role::Admin, "PUT", &format!("/v1/people/{person}"), Some(&record)).await;
    assert_eq!(answer.status, 200);
}

fn capture(values: &[(&str, AttributeValue)], responded: bool) -> Fact {
    let attributes = values
        .iter()
        .map(|(n, v)| (AttributeName::parse(n).unwrap(), NewAttribute { value: v.clone(), known_at: None }));
    Fact::Captured(Box::new(Capture { attributes: attributes.collect(), responded, ..Capture::default() }))
}

async fn lead(setting: &Setting, who: &str, views: usize) -> Lead {
    let text = |t: &str| AttributeValue::Text(t.to_owned());
    let values = [
        ("company_size", AttributeValue::Number(100.0)),
        ("industry", text("Logistics")),
        ("country", text("AT")),
    ];
    setting.record(who, &format!("{who} came"), capture(&values, true)).await;
    for n in 0..views {
        let view = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
        setting.record(who, &format!("{who} looked {n}"), view).await;
    }
    setting.lead_of(who)
}

async fn held(setting: &Setting, n: usize) -> Vec<String> {
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(setting, person, 0).await;
    }
    let who: Vec<String> = (0..n).map(|n| format!("l{n}@company.example")).collect();
    for who in &who {
        lead(setting, who, 1).await;
    }
    agree(&laxer(), &setting.rescore.playbooks).await;
    setting.later(61_000);
    let job = setting.rescore.jobs.free(JobKind::Sweep).await.unwrap().pop().unwrap();
    rescore::sweep::whole(&setting.rescore, job.id(), 4).await.unwrap();
    for who in &who {
        assert!(setting.lead_of(who).held_for.is_some());
    }
    who
}

#[tokio::test]
async fn who_unsubscribes_while_it_waits_is_not_handed_to_sales_for_it() {
    let setting = Setting::new().await;
    let who = held(&setting, 1).await;
    let mut gone = delivered("bye", setting.now(), Fact::Activity(activity("unsubscribed", &[])));
    gone.by = "api:mailer".to_owned();
    setting.write_path.record(&About::Anybody(vec![email(&who[0])]), &[gone]).await.unwrap();
    let lead = setting.lead_of(&who[0]);
    assert_eq!(lead.stage, Stage::Inquiry);
}

#[tokio::test]
async fn a_nightly_crm_sync_hands_off_nobody_who_waits() {
    let setting = Setting::new().await;
    let who = held(&setting, 6).await;
    let leads: Vec<Value> =
        who.iter().map(|who| json!({"email": who, "attributes": {"crm_note": "synced"}})).collect();
    let answer = setting
        .call(Role::Marketing, "POST", "/v1/leads/batch", Some(&json!({"mode": "live", "leads": leads})))
        .await;
    assert_eq!(answer.status, 200);
    let handed = who.iter().filter(|who| setting.lead_of(who).stage == Stage::MarketingQualified).count();
    assert_eq!(handed, 0, "capacity is 0, and no lead did anything");
    assert!(who.iter().all(|who| setting.lead_of(who).held_for.is_some()));
}

#[tokio::test]
async fn go_live_goes_on_with_the_version_that_was_activated_meanwhile() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 20).await;
    }
    lead(&setting, "old@company.example", 0).await;
    let fact = Fact::Activity(activity("contact_requested", &[]));
    let mut asked = delivered("asked", setting.now().plus(-10 * DAY_MS), fact);
    asked.history = true;
    setting.write_path.record(&About::Anybody(vec![email("old@company.example")]), &[asked]).await.unwrap();
    assert!(setting.lead_of("old@company.example").ready);
    let answer = setting.call(Role::Admin, "POST", "/v1/go-live", None).await;
    let id = answer.json()["job"].as_str().unwrap().to_owned();
    agree(&laxer(), &setting.rescore.playbooks).await;
    setting.later(1);
    rescore::sweep::whole(&setting.rescore, &id, 2).await.unwrap();
    let job = setting.call(Role::Sales, "GET", &format!("/v1/jobs/{id}"), None).await.json();
    assert_eq!(job["progress"]["superseded"], json!(true), "{job}");
    setting.later(61_000);
    for job in setting.rescore.jobs.free(JobKind::Sweep).await.unwrap() {
        rescore::sweep::whole(&setting.rescore, job.id(), 2).await.unwrap();
    }
    for _ in 0..5 {
        setting.later(DAY_MS);
        setting.handle(json!({"action": "due"})).await;
    }
    let lead = setting.lead_of("old@company.example");
    assert_eq!((lead.stage, lead.held_for), (Stage::MarketingQualified, None));
}

#[tokio::test]
async fn keys_given_before_another_version_went_live_open_nothing() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 0).await;
    }
    let two = setting.rescore.playbooks.add(&laxer(), "t", None).await.unwrap().unwrap().number;
    sign(two, &setting.rescore.playbooks).await;
    let mut other = test_playbook();
    other["engagement"][0]["rules"][0]["points"] = json!(35);
    agree(&other, &setting.rescore.playbooks).await;
    setting.later(300 * DAY_MS);
    let answer = setting.call(Role::Marketing, "POST", &format!("/v1/playbooks/{two}/activate"), None).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("sign again"), "{}", answer.text());
}

#[tokio::test]
async fn a_longer_half_life_finds_the_days_that_were_folded_away() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 0).await;
    }
    let first = setting.rescore.playbooks.version(1).await.unwrap();
    let who = "long@company.example";
    lead(&setting, who, 3).await;
    setting.later((i64::from(first.lookback_days) + 5) * DAY_MS);
    let view = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
    setting.record(who, "again", view).await;
    for _ in 0..40 {
        setting.later(DAY_MS);
        setting.handle(json!({"action": "due"})).await;
    }
    let mut longer = test_playbook();
    for group in longer["engagement"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            if rule.get("half_life_days").is_some() {
                rule["half_life_days"] = json!(730);
            }
        }
    }
    let two = agree(&longer, &setting.rescore.playbooks).await;
    setting.later(61_000);
    let job = setting.rescore.jobs.free(JobKind::Sweep).await.unwrap().pop().unwrap();
    rescore::sweep::whole(&setting.rescore, job.id(), 4).await.unwrap();
    let playbook = setting.rescore.playbooks.version(two).await.unwrap();
    let stored = setting.lead_of(who);
    assert_eq!(stored.playbook_version, two);
    let page = setting.store.entries(&stored.id, Direction::Forward, 100, None).await.unwrap();
    let facts = facts_of(page.items);
    let mut replay = Replay::new(stored.id.clone(), &playbook, &facts);
    let played = replay.score(setting.now()).unwrap();
    let live = score(&playbook, &stored.view(setting.now().day()));
    assert_eq!(live, played, "what runs is what was backtested");
}

#[tokio::test]
async fn a_version_that_differs_in_nothing_needs_marketings_key_and_the_diff_says_so() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 0).await;
    }
    let mut same = test_playbook();
    same["marketing_qualified"]["labels"].as_array_mut().unwrap().reverse();
    let added = setting.call(Role::Marketing, "POST", "/v1/playbooks", Some(&same)).await.json();
    let two = added["version"].as_u64().unwrap();
    let diff = setting.call(Role::Sales, "GET", &format!("/v1/playbooks/{two}/diff"), None).await.json();
    setting.call(Role::Sales, "POST", &format!("/v1/playbooks/{two}/propose"), None).await;
    assert_eq!(diff["needs"], json!(["marketing"]));
    let answer = setting.call(Role::Sales, "POST", &format!("/v1/playbooks/{two}/activate"), None).await;
    assert_eq!(answer.status, 409);
    setting.call(Role::Marketing, "POST", &format!("/v1/playbooks/{two}/signoffs"), None).await;
    let answer = setting.call(Role::Sales, "POST", &format!("/v1/playbooks/{two}/activate"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_suggestion_that_never_fits_into_a_call_is_given_up() {
    let mut setting = Setting::new().await;
    for n in 0..40 {
        let who = format!("s{n}@company.example");
        let size = [("company_size", AttributeValue::Number(1.0))];
        setting.record(&who, &format!("{who} came"), capture(&size, true)).await;
    }
    setting.insights_within(std::time::Duration::ZERO);
    let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks/suggest", Some(&json!({}))).await;
    let id = answer.json()["job"].as_str().unwrap().to_owned();
    let mut calls = 0;
    while setting.insights.jobs.get(&id).await.unwrap().unwrap().status != JobStatus::Failed {
        insights::run_job(&setting.insights, &id).await.unwrap();
        calls += 1;
        assert!(calls < 30, "it is not begun for ever");
    }
}

#[tokio::test]
async fn a_sweep_that_was_given_up_is_begun_again_by_activating_once_more() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 0).await;
    }
    let two = agree(&laxer(), &setting.rescore.playbooks).await;
    let path = format!("/v1/playbooks/{two}");
    let sweep = async || setting.call(Role::Sales, "GET", &path, None).await.json()["sweep"].clone();
    let first = sweep().await;
    setting.later(61_000);
    for _ in 0..=adapters::jobs::MOST_ATTEMPTS {
        let job = setting.rescore.jobs.take(first["job"].as_str().unwrap()).await.unwrap();
        drop(job);
        setting.later(adapters::jobs::LEASE_MS + 1);
    }
    assert_eq!(sweep().await["status"], json!("failed"));
    let again = setting.call(Role::Sales, "POST", &format!("{path}/activate"), None).await;
    assert_eq!(again.status, 200);
    let second = sweep().await;
    assert_eq!(second["status"], json!("waiting"));
    assert_ne!(second["job"], first["job"]);
}

#[tokio::test]
async fn what_came_by_itself_takes_room_in_the_day() {
    let setting = Setting::new().await;
    let who = held(&setting, 3).await;
    capacity(&setting, "at-1", 2).await;
    // Somebody asks to be contacted and is handed off at once, whatever the capacity.
    let asks = Fact::Activity(activity("contact_requested", &[]));
    lead(&setting, "own@company.example", 0).await;
    let own = setting.record("own@company.example", "asks", asks).await;
    assert_eq!(own.stage, Stage::MarketingQualified);
    setting.handle(json!({"action": "due"})).await;
    let handed = who.iter().filter(|who| setting.lead_of(who).stage == Stage::MarketingQualified).count();
    assert_eq!(handed, 1, "one of two places was taken");
}

#[tokio::test]
async fn who_vouches_for_an_attribute_stands_in_what_is_signed() {
    let setting = Setting::new().await;
    lead(&setting, "one@company.example", 1).await;
    let declare = async |known: bool| {
        let body = json!({"known_at_capture": known});
        setting.call(Role::Marketing, "PUT", "/v1/attributes/industry", Some(&body)).await.json()
    };
    declare(true).await;
    let job =
        setting.call(Role::Marketing, "POST", "/v1/playbooks/1/backtest", Some(&json!({}))).await.json();
    assert_eq!(job["result"]["declared"], json!(["industry"]), "{job}");
    assert!(job["result"]["caution"].to_string().contains("vouches"), "{}", job["result"]["caution"]);
    let taken_back = declare(false).await;
    assert_eq!(taken_back["earlier"][0]["known_at_capture"], json!(true), "nothing is lost: {taken_back}");
    assert_eq!(taken_back["earlier"][0]["declared_by"], json!("mia"));
}

#[tokio::test]
async fn leads_are_not_chosen_by_their_outcome() {
    let setting = Setting::new().await;
    for condition in [json!({"stage": "customer"}), json!({"label": "A1"}), json!({"segment": "newsletter"})]
    {
        let body = json!({"where": condition});
        let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks/1/backtest", Some(&body)).await;
        assert_eq!(answer.status, 422, "{condition}: {}", answer.text());
    }
    let long = json!({"where": {"attribute": "industry", "in": vec!["a long word"; 1_000]}});
    let answer = setting.call(Role::Marketing, "POST", "/v1/playbooks/1/backtest", Some(&long)).await;
    assert_eq!(answer.pointers(), ["/where"]);
}

#[tokio::test]
async fn a_signature_can_be_taken_back_until_the_version_is_live() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 0).await;
    }
    let two = setting.rescore.playbooks.add(&laxer(), "t", None).await.unwrap().unwrap().number;
    sign(two, &setting.rescore.playbooks).await;
    let path = format!("/v1/playbooks/{two}/signoffs");
    let left = setting.call(Role::Sales, "DELETE", &path, None).await.json();
    assert_eq!(left["sign_offs"].as_array().map(Vec::len), Some(1));
    let activate = format!("/v1/playbooks/{two}/activate");
    assert_eq!(setting.call(Role::Sales, "POST", &activate, None).await.status, 409);
    assert_eq!(setting.call(Role::Sales, "POST", &path, None).await.status, 200);
    assert_eq!(setting.call(Role::Sales, "POST", &activate, None).await.status, 200);
    assert_eq!(setting.call(Role::Sales, "DELETE", &path, None).await.status, 409);
}

#[tokio::test]
async fn odd_ids_and_documents_are_answered_and_not_stumbled_over() {
    let world = tests::World::on_dynamo().await;
    let long = "x".repeat(3_000);
    for path in [format!("/v1/jobs/{long}"), format!("/v1/people/{long}")] {
        assert_eq!(world.call(Role::Marketing, "GET", &path).send().await.status, 404);
    }
    let mut large = test_playbook();
    let values: Vec<String> = (0..30_000).map(|n| format!("value {n:06}")).collect();
    large["segments"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "all", "when": {"attribute": "a", "in": values}}));
    let refused = world.call(Role::Marketing, "POST", "/v1/playbooks").json(&large).send().await;
    assert!(matches!(refused.status, 413 | 422), "a record has room for the agreement beside the document");
}

#[tokio::test]
async fn a_date_that_many_share_floods_nobody() {
    let setting = Setting::new().await;
    for person in ["at-1", "de-1", "eu-1"] {
        capacity(&setting, person, 2).await;
    }
    let mut dated = test_playbook();
    let ends = json!({"id": "ends_soon", "points": 60, "when": {"attribute": "contract_ends", "within_next_days": 10}});
    dated["fit"][1]["rules"].as_array_mut().unwrap().push(ends);
    dated["marketing_qualified"]["labels"] = json!(["A4", "B4"]);
    dated["fit"][0]["rules"] = json!([]);
    agree(&dated, &setting.rescore.playbooks).await;
    // New leads take the new version once the caches have seen it.
    setting.later(61_000);
    let day = setting.now().plus(40 * DAY_MS).to_string();
    let who: Vec<String> = (0..5).map(|n| format!("c{n}@company.example")).collect();
    for who in &who {
        let values = [
            ("contract_ends", AttributeValue::Text(day.clone())),
            ("country", AttributeValue::Text("AT".to_owned())),
        ];
        setting.record(who, &format!("{who} came"), capture(&values, true)).await;
        assert!(!setting.lead_of(who).ready);
    }
    let job = setting.rescore.jobs.free(JobKind::Sweep).await.unwrap().pop().unwrap();
    rescore::sweep::whole(&setting.rescore, job.id(), 2).await.unwrap();
    let handed = || who.iter().filter(|who| setting.lead_of(who).stage == Stage::MarketingQualified).count();
    setting.later(35 * DAY_MS);
    setting.handle(json!({"action": "due"})).await;
    assert_eq!(handed(), 0, "all are ready, and wait for their turn");
    assert!(who.iter().all(|who| setting.lead_of(who).held_for.is_some()));
    setting.later(300_000);
    setting.handle(json!({"action": "due"})).await;
    assert_eq!(handed(), 2);
    setting.later(DAY_MS);
    setting.handle(json!({"action": "due"})).await;
    assert_eq!(handed(), 4);
}

#[tokio::test]
async fn a_lead_that_a_person_sends_by_itself_is_a_response_of_this_moment() {
    let setting = Setting::new().await;
    let who = held(&setting, 1).await;
    let lead = json!({"email": who[0], "attributes": {"budget": "large"}});
    let answer = setting.call(Role::Sales, "POST", "/v1/leads", Some(&lead)).await;
    assert!(answer.status < 300, "{}", answer.text());
    assert_eq!(setting.lead_of(&who[0]).stage, Stage::MarketingQualified, "somebody spoke with it just now");
}

#[tokio::test]
async fn a_question_that_is_still_worked_on_is_not_begun_anew() {
    let setting = Setting::new().await;
    lead(&setting, "one@company.example", 1).await;
    let zone = setting.rescore.playbooks.active().await.unwrap().playbook.timezone.clone();
    let query = insights::request::SpanQuery { from: None, to: None, tz: None };
    let asked = insights::request::span("score-quality", &query, &zone).unwrap();
    let id = insights::request::report_id(&asked, setting.now(), 0);
    setting.insights.jobs.add(&id, JobKind::Report, &asked).await.unwrap();
    let ask = async || setting.call(Role::Sales, "GET", "/v1/reports/score-quality", None).await;
    setting.later(25 * 60_000);
    let later = ask().await;
    assert_eq!(
        (later.status, &later.json()["job"]),
        (202, &json!(id)),
        "half an hour later it is the same job"
    );
    insights::run_job(&setting.insights, &id).await.unwrap();
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn a_backtest_that_failed_while_its_caller_waited_is_free_for_the_next() {
    let setting = Setting::new().await;
    lead(&setting, "one@company.example", 1).await;
    let ask =
        async || setting.call_with_key("POST", "/v1/playbooks/1/backtest", "the-same", &json!({})).await;
    setting.failures.on_call(1, testkit::Failure::Throttled);
    assert_eq!(ask().await.status, 503);
    let again = ask().await;
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("done")), "{}", again.text());
}
