//! A new playbook, or an import, makes many leads ready on one day: sales gets the best first, as many as it can answer.

use super::setting::Setting;
use adapters::clock::Clock;
use adapters::http::Role;
use adapters::playbooks::Playbooks;
use adapters::write_path::{About, WritePath};
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Fact};
use domain::lead::Lead;
use domain::stage::Stage;
use domain::time::DAY_MS;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use testkit::Failure;
use testkit::builders::{activity, agree, delivered, email, test_playbook};

/// The tests' playbook, with A3 among the labels that qualify.
fn laxer() -> Value {
    let mut playbook = test_playbook();
    playbook["marketing_qualified"]["labels"] = json!(["A1", "A2", "A3", "B1", "B2"]);
    playbook
}

async fn capacity(setting: &Setting, person: &str, daily: u64, timezone: &str) {
    let record = json!({"name": person, "email": format!("{person}@company.example"), "team": "sales",
        "timezone": timezone, "daily_capacity": daily});
    let answer = setting.call(Role::Admin, "PUT", &format!("/v1/people/{person}"), Some(&record)).await;
    assert_eq!(answer.status, 200);
}

/// A lead of fit 80 in a country, which looked at the prices so many times: A3, or A4.
async fn lead(setting: &Setting, who: &str, country: &str, views: usize) -> Lead {
    let values = [
        ("company_size", AttributeValue::Number(100.0)),
        ("industry", AttributeValue::Text("Logistics".to_owned())),
        ("country", AttributeValue::Text(country.to_owned())),
    ];
    let attributes = values
        .map(|(name, value)| (AttributeName::parse(name).unwrap(), NewAttribute { value, known_at: None }));
    let capture = Capture { attributes: attributes.into(), responded: true, ..Capture::default() };
    setting.record(who, &format!("{who} came"), Fact::Captured(Box::new(capture))).await;
    let view = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
    for n in 0..views {
        setting.record(who, &format!("{who} looked {n}"), view.clone()).await;
    }
    setting.lead_of(who)
}

async fn sweep(setting: &Setting) {
    setting.later(61_000);
    let job = setting.rescore.jobs.free(adapters::jobs::JobKind::Sweep).await.unwrap().pop().unwrap();
    rescore::sweep::whole(&setting.rescore, job.id(), 4).await.unwrap();
}

fn handed(setting: &Setting, person: &str) -> BTreeSet<String> {
    let leads = setting.store.leads().into_iter();
    let leads = leads.filter(|l| {
        l.stage == Stage::MarketingQualified && l.person.as_ref().is_some_and(|p| p.as_str() == person)
    });
    leads.map(|lead| lead.email().unwrap().as_str().split('@').next().unwrap().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn five_leads(setting: &Setting) {
    for (person, daily) in [("at-1", 2), ("de-1", 1), ("eu-1", 1)] {
        capacity(setting, person, daily, "Europe/Vienna").await;
    }
    // One view gives 10 points, two 35, three 40 and are band 2: version 1 hands that lead off at once.
    for (who, country, views) in
        [("one", "AT", 1), ("none", "AT", 0), ("other", "AT", 1), ("third", "AT", 1), ("de", "DE", 1)]
    {
        let lead = lead(setting, &format!("{who}@company.example"), country, views).await;
        assert!(!lead.ready, "{who}: {}", lead.score.label);
    }
    // The best of them.
    let title = NewAttribute { value: AttributeValue::Text("Head of Sales".to_owned()), known_at: None };
    let capture = Capture {
        attributes: [(AttributeName::parse("job_title").unwrap(), title)].into(),
        ..Capture::default()
    };
    setting.record("third@company.example", "title", Fact::Captured(Box::new(capture))).await;
}

#[tokio::test]
async fn a_laxer_version_gives_sales_the_best_first_and_no_more_than_it_can_answer() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    agree(&laxer(), &setting.rescore.playbooks).await;
    setting.later(61_000);
    let tick = setting.handle(json!({"action": "due"})).await;
    assert_eq!(tick["released"], json!(0), "nobody before every lead was looked at");
    let job = setting.rescore.jobs.list().await.unwrap().pop().unwrap();
    rescore::sweep::whole(&setting.rescore, job.id(), 4).await.unwrap();
    assert!(setting.store.leads().iter().all(|lead| !lead.stage.in_inbox()), "the sweep hands nobody off");
    let waiting = setting.store.leads().into_iter().filter(|lead| lead.held_for.is_some()).count();
    assert_eq!(waiting, 4);

    let tick = setting.handle(json!({"action": "due"})).await;
    assert_eq!(tick["released"], json!(3));
    let first = handed(&setting, "at-1");
    assert!(first.contains("third") && first.len() == 2, "{first:?}");
    assert_eq!(handed(&setting, "de-1"), names(&["de"]), "each owner has room of their own");
    let lead = setting.lead_of("third@company.example");
    assert!(lead.promise_due_at.is_some_and(|due| due > setting.now()), "the clock starts with the turn");
    for _ in 0..3 {
        setting.later(300_000);
        assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(0), "today is full");
    }
    setting.later(DAY_MS);
    assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(1));
    assert_eq!(handed(&setting, "at-1"), names(&["one", "other", "third"]));
}

#[tokio::test]
async fn who_comes_by_itself_while_it_waits_is_not_held_up() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    capacity(&setting, "at-1", 0, "UTC").await;
    agree(&laxer(), &setting.rescore.playbooks).await;
    sweep(&setting).await;
    assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(1), "de-1 has room");
    let view = Fact::Activity(activity("page_viewed", &[("path", "/pricing")]));
    let lead = setting.record("one@company.example", "back", view).await;
    assert_eq!((lead.stage, lead.held_for), (Stage::MarketingQualified, None));
    assert!(setting.lead_of("other@company.example").held_for.is_some());
}

#[tokio::test]
async fn who_is_no_longer_ready_waits_no_longer() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    capacity(&setting, "at-1", 0, "UTC").await;
    agree(&laxer(), &setting.rescore.playbooks).await;
    sweep(&setting).await;
    // One view of the prices gives 10 points with a half-life of two weeks, and A3 begins at 10: 9.52 are 10, 9.06 are 9.
    setting.later(2 * DAY_MS);
    setting.handle(json!({"action": "due"})).await;
    let waiting = setting.store.leads().into_iter().filter(|lead| lead.held_for.is_some()).count();
    assert_eq!(waiting, 0);
    let (lead, entries) = setting.story("one@company.example").await;
    assert!(!lead.ready);
    assert!(entries.contains("held"), "the wait stands in the timeline: {entries}");
}

#[tokio::test]
async fn a_release_that_was_interrupted_goes_on_and_doubles_nobody() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    agree(&laxer(), &setting.rescore.playbooks).await;
    sweep(&setting).await;
    setting.failures.every_write(1, Failure::Throttled);
    let refused = rescore::handle(&setting.rescore, json!({"action": "due"})).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(handed(&setting, "at-1").is_empty());
    setting.failures.heal();
    assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(3));
    assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(0));
    let both = handed(&setting, "at-1");
    assert_eq!(both.len(), 2, "{both:?}");
}

#[tokio::test]
async fn a_day_is_the_owners_own() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    capacity(&setting, "at-1", 1, "Pacific/Auckland").await;
    agree(&laxer(), &setting.rescore.playbooks).await;
    // It is 12:01 on the 22nd in UTC and 01:01 on the 23rd in Auckland.
    sweep(&setting).await;
    setting.handle(json!({"action": "due"})).await;
    assert_eq!(handed(&setting, "at-1").len(), 1);
    // 22:59 in UTC on the same day is the 23rd in Auckland, too.
    setting.later(DAY_MS / 24 * 10 + 58 * 60_000);
    setting.handle(json!({"action": "due"})).await;
    assert_eq!(handed(&setting, "at-1").len(), 1);
}

#[tokio::test]
async fn go_live_lets_an_imported_base_go_to_sales_in_turn() {
    let setting = Setting::new().await;
    for (person, daily) in [("at-1", 2), ("de-1", 1), ("eu-1", 1)] {
        capacity(&setting, person, daily, "UTC").await;
    }
    for n in 0..5 {
        let who = format!("old{n}@company.example");
        lead(&setting, &who, "AT", 0).await;
        // Ten days ago: too old to hand anybody off when it arrives.
        let mut asked = delivered(
            &format!("asked {n}"),
            setting.now().plus(-10 * DAY_MS),
            Fact::Activity(activity("contact_requested", &[])),
        );
        asked.history = true;
        setting.write_path.record(&About::Anybody(vec![email(&who)]), &[asked]).await.unwrap();
        let lead = setting.lead_of(&who);
        assert!(lead.ready && lead.stage == Stage::Inquiry, "{:?}", lead.score.label);
    }
    assert_eq!(setting.handle(json!({"action": "due"})).await["released"], json!(0), "nobody asked for it");
    assert_eq!(setting.call(Role::Marketing, "POST", "/v1/go-live", None).await.status, 403);
    let answer = setting.call(Role::Admin, "POST", "/v1/go-live", None).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let id = answer.json()["job"].as_str().unwrap().to_owned();
    rescore::sweep::whole(&setting.rescore, &id, 2).await.unwrap();
    let job = setting.call(Role::Sales, "GET", &format!("/v1/jobs/{id}"), None).await.json();
    assert_eq!((&job["status"], &job["progress"]["swept"]), (&json!("done"), &json!(5)));
    assert_eq!((&job["progress"]["changed"], &job["progress"]["remaining"]), (&json!(5), &json!(0)));
    for (day, sum) in [(0, 2), (1, 4), (2, 5), (3, 5)] {
        setting.handle(json!({"action": "due"})).await;
        assert_eq!(handed(&setting, "at-1").len(), sum, "on day {day}");
        setting.later(DAY_MS);
    }
}

#[tokio::test]
async fn progress_is_visible_while_a_sweep_runs() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    let number = agree(&laxer(), &setting.rescore.playbooks).await;
    let path = format!("/v1/playbooks/{number}");
    let before = setting.call(Role::Sales, "GET", &path, None).await.json();
    assert_eq!(before["sweep"]["status"], json!("waiting"));
    setting.later(61_000);
    let job = before["sweep"]["job"].as_str().unwrap().to_owned();
    let mut swept = 0;
    for segment in 0..4 {
        let stretch = json!({"action": "sweep", "job": job, "segment": segment, "of": 4, "cursor": null});
        swept += setting.handle(stretch).await["read"].as_u64().unwrap();
        let now = setting.call(Role::Sales, "GET", &path, None).await.json();
        assert_eq!(now["sweep"]["swept"], json!(swept));
        assert_eq!(now["sweep"]["remaining"], json!(5 - swept), "{}", now["sweep"]);
    }
    setting.handle(json!({"action": "sweep_finish", "job": job})).await;
    let done = setting.call(Role::Sales, "GET", &path, None).await.json();
    let done = &done["sweep"];
    assert_eq!(
        (&done["status"], &done["remaining"], &done["changed"]),
        (&json!("done"), &json!(0), &json!(5))
    );
}

#[tokio::test]
async fn warm_functions_with_old_caches_and_new_ones_never_contradict_each_other() {
    let setting = Setting::new().await;
    five_leads(&setting).await;
    // Two functions that have been warm for different times, on one store.
    let clock: Arc<dyn Clock> = Arc::clone(&setting.clock) as _;
    let warm = |_| {
        let playbooks = Arc::new(Playbooks::new(Arc::clone(&setting.catalog), Arc::clone(&clock)));
        WritePath::new(Arc::clone(&setting.store) as _, playbooks, Arc::clone(&clock))
    };
    let [old, new] = [warm(0), warm(1)];
    let view = |n: usize| {
        Fact::Activity(activity("page_viewed", &[("path", if n == 0 { "/" } else { "/pricing" })]))
    };
    let record = async |path: &WritePath, who: &str, n: usize| {
        let fact = delivered(&format!("{who} {n} {}", setting.now()), setting.now(), view(n));
        path.record(&About::Anybody(vec![email(who)]), &[fact]).await.unwrap().lead
    };
    // `old` reads the pointer just before it moves, `new` just after.
    assert_eq!(record(&old, "a@company.example", 0).await.playbook_version, 1);
    let second = agree(&laxer(), &setting.rescore.playbooks).await;
    setting.later(1_000);
    assert_eq!(record(&new, "b@company.example", 0).await.playbook_version, second);
    assert_eq!(record(&old, "c@company.example", 0).await.playbook_version, 1, "its cache is a second old");
    // An existing lead is evaluated with its own version, whoever handles it: no label flaps.
    for path in [&old, &new, &old, &new] {
        setting.later(1_000);
        assert_eq!(record(path, "b@company.example", 1).await.playbook_version, second);
        assert_eq!(record(path, "c@company.example", 1).await.playbook_version, 1);
    }
    // Before any lead is swept every cache has seen the switch.
    setting.later(adapters::playbooks::POINTER_MS);
    assert_eq!(record(&old, "d@company.example", 0).await.playbook_version, second);
    sweep(&setting).await;
    assert!(setting.store.leads().iter().all(|lead| lead.playbook_version == second), "no straggler");
    for path in [&old, &new] {
        assert_eq!(record(path, "c@company.example", 1).await.playbook_version, second);
    }
}
