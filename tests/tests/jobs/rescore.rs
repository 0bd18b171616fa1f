//! What changes although nothing happens.

use super::setting::Setting;
use adapters::http::Role;
use adapters::ports::StoreError;
use domain::change::{Effect, Fact, advance};
use domain::promise::People;
use domain::time::{DAY_MS, HOUR_MS};
use serde_json::{Value, json};
use testkit::Failure;
use testkit::builders::{activity, test_playbook};

fn pricing() -> Fact {
    Fact::Activity(activity("page_viewed", &[("path", "/pricing")]))
}

#[tokio::test]
async fn a_label_changes_on_the_day_on_which_its_points_have_faded_and_is_written_once() {
    let setting = Setting::new().await;
    let lead = setting.record("ada@company.example", "1", pricing()).await;
    assert_eq!(lead.score.label.to_string(), "D3");
    let due = lead.due_at.expect("the points will fade");

    let before = setting.handle(json!({"action": "due"})).await;
    assert_eq!((&before["read"], &before["changed"]), (&json!(0), &json!(0)), "nothing is due yet");

    setting.go_to(due);
    let done = setting.handle(json!({"action": "due"})).await;
    assert_eq!((&done["read"], &done["changed"]), (&json!(1), &json!(1)));
    let after = setting.lead(&lead.id);
    assert_eq!(after.score.label.to_string(), "D4");
    assert_eq!(after.version, lead.version + 1);
    let entry = setting.store.timeline(&lead.id).pop().unwrap();
    assert_eq!(entry.fact, Fact::Reviewed);
    assert!(entry.effects.iter().any(|effect| matches!(effect, Effect::ScoreChanged { .. })));

    let again = setting.handle(json!({"action": "due"})).await;
    assert_eq!(again["changed"], 0, "run twice, it changes nothing");
    assert_eq!(setting.lead(&lead.id), after);
}

#[tokio::test]
async fn hourly_ticks_for_sixty_days_leave_what_rescoring_everything_would() {
    let setting = Setting::new().await;
    for i in 0..12 {
        let who = format!("p{i}@company.example");
        for k in 0..=i % 4 {
            let fact = match (i + k) % 3 {
                0 => Fact::Activity(activity("webinar_attended", &[])),
                1 => Fact::Activity(activity("contact_requested", &[])),
                _ => pricing(),
            };
            setting.record(&who, &format!("{i} {k}"), fact).await;
            setting.later(i64::from(k) * 7 * HOUR_MS);
        }
    }
    let playbook = testkit::builders::playbook();
    let mut changed = 0;
    for _ in 0..60 * 24 {
        setting.later(HOUR_MS);
        changed += setting.handle(json!({"action": "due"})).await["changed"].as_u64().unwrap();
        // What brute force would still change is what the tick missed.
        for lead in setting.store.leads() {
            assert_eq!(
                advance(&lead, playbook, lead.playbook_version, None, People::nobody(), setting.now()),
                None
            );
        }
    }
    assert!(changed > 10, "{changed}");
}

#[tokio::test]
async fn an_index_that_lags_behind_does_no_harm() {
    let setting = Setting::new().await;
    let lead = setting.record("ada@company.example", "1", pricing()).await;
    setting.go_to(lead.due_at.unwrap());
    setting.store.freeze_indexes();
    setting.handle(json!({"action": "due"})).await;
    let after = setting.lead(&lead.id);
    let again = setting.handle(json!({"action": "due"})).await;
    assert_eq!((&again["read"], &again["changed"]), (&json!(1), &json!(0)), "it still stands in the index");
    assert_eq!(setting.lead(&lead.id), after);
    setting.store.thaw_indexes();
}

/// The tests' playbook with one more signal and other points.
fn second() -> Value {
    let mut playbook = test_playbook();
    playbook["signals"].as_array_mut().unwrap().push(json!({"id": "careers", "kind": "page_viewed",
        "where": {"path": {"starts_with": "/careers"}}}));
    playbook["engagement"][1]["rules"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": "seeks_a_job", "signal": "careers",
        "points": -5}));
    playbook["engagement"][0]["rules"][1]["points"] = json!(40);
    playbook
}

async fn activate_second(setting: &Setting) {
    for person in ["at-1", "de-1", "eu-1"] {
        let record = json!({"name": person, "email": format!("{person}@company.example"), "team": "sales"});
        let path = format!("/v1/people/{person}");
        assert_eq!(setting.call(Role::Admin, "PUT", &path, Some(&record)).await.status, 200);
    }
    let added = setting.call(Role::Sales, "POST", "/v1/playbooks", Some(&second())).await;
    assert_eq!((added.status, &added.json()["version"]), (201, &json!(2)));
    for (role, step) in
        [(Role::Marketing, "propose"), (Role::Marketing, "signoffs"), (Role::Sales, "signoffs")]
    {
        let path = format!("/v1/playbooks/2/{step}");
        assert_eq!(setting.call(role, "POST", &path, None).await.status, 200);
    }
    let active = setting.call(Role::Sales, "POST", "/v1/playbooks/2/activate", None).await;
    assert_eq!((active.status, &active.json()["status"]), (200, &json!("active")));
}

async fn some_leads(setting: &Setting, n: usize) {
    for i in 0..n {
        let who = format!("p{i}@company.example");
        setting.record(&who, &format!("w{i}"), Fact::Activity(activity("webinar_attended", &[]))).await;
        setting
            .record(
                &who,
                &format!("c{i}"),
                Fact::Activity(activity("page_viewed", &[("path", "/careers/1")])),
            )
            .await;
    }
}

#[tokio::test]
async fn a_new_playbook_reaches_every_lead_and_counts_its_new_signals_from_the_past() {
    let setting = Setting::new().await;
    some_leads(&setting, 25).await;
    assert_eq!(setting.lead_of("p3@company.example").score.engagement, 25);
    activate_second(&setting).await;
    let first = setting.handle(json!({"action": "due"})).await;
    assert_eq!(first["sweeps"], json!([]), "until every cache has seen the new version, no lead is touched");
    assert!(setting.store.leads().iter().all(|lead| lead.playbook_version == 1));

    setting.later(61_000);
    let job = setting.rescore.jobs.free(adapters::jobs::JobKind::Sweep).await.unwrap().pop().unwrap();
    let done = rescore::sweep::whole(&setting.rescore, job.id(), 4).await.unwrap();
    assert_eq!((&done["done"], &done["stragglers"]), (&json!(true), &json!(0)));
    for lead in setting.store.leads() {
        assert_eq!(
            (lead.playbook_version, lead.score.engagement),
            (2, 35),
            "40 for the webinar, −5 for the job page"
        );
    }
    let versions: Vec<u64> = setting.store.leads().iter().map(|lead| lead.version).collect();
    rescore::sweep::whole(&setting.rescore, job.id(), 3).await.unwrap();
    let again: Vec<u64> = setting.store.leads().iter().map(|lead| lead.version).collect();
    assert_eq!(versions, again, "swept twice, nothing is written");
    assert!(setting.rescore.jobs.free(adapters::jobs::JobKind::Sweep).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sweep_goes_on_where_it_stopped_and_beside_captures() {
    let setting = Setting::new().await;
    some_leads(&setting, 12).await;
    activate_second(&setting).await;
    setting.later(61_000);
    let job = setting.rescore.jobs.free(adapters::jobs::JobKind::Sweep).await.unwrap().pop().unwrap();
    // One segment of two, with commits that lose races; then the worker dies.
    setting.failures.next_writes(3, Failure::Conflict);
    let half = json!({"action": "sweep", "job": job.id(), "segment": 0, "of": 2, "cursor": null});
    let half = setting.handle(half).await;
    assert_eq!(half["failed"], 0);
    // A capture between: it goes by the lead's own version, whichever that is.
    let between = setting
        .record(
            "p1@company.example",
            "between",
            Fact::Activity(activity("page_viewed", &[("path", "/pricing")])),
        )
        .await;
    assert!(between.playbook_version == 1 || between.playbook_version == 2);
    rescore::sweep::whole(&setting.rescore, job.id(), 2).await.unwrap();
    assert!(setting.store.leads().iter().all(|lead| lead.playbook_version == 2));
    let lead = setting.lead_of("p1@company.example");
    assert_eq!(lead.score.engagement, 45, "the capture between is neither lost nor doubled");
}

#[tokio::test]
async fn a_sweep_that_cannot_bring_everybody_along_is_not_called_done() {
    let setting = Setting::new().await;
    some_leads(&setting, 2).await;
    activate_second(&setting).await;
    setting.later(61_000);
    let job = setting.rescore.jobs.free(adapters::jobs::JobKind::Sweep).await.unwrap().pop().unwrap();
    setting.failures.every_write(1, Failure::Throttled);
    let refused = rescore::sweep::whole(&setting.rescore, job.id(), 1).await;
    assert!(matches!(refused, Err(rescore::RescoreError::Store(StoreError::Busy(_)))), "{refused:?}");
    setting.failures.heal();
    rescore::sweep::whole(&setting.rescore, job.id(), 1).await.unwrap();
    assert!(setting.store.leads().iter().all(|lead| lead.playbook_version == 2));
}

#[tokio::test]
async fn the_tick_starts_a_waiting_sweep_once() {
    let setting = Setting::new().await;
    activate_second(&setting).await;
    setting.later(61_000);
    let first = setting.handle(json!({"action": "due"})).await;
    let second = setting.handle(json!({"action": "due"})).await;
    assert_eq!(first["sweeps"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["sweeps"], json!([]));
}

#[tokio::test]
async fn time_alone_hands_a_lead_off_only_if_it_became_ready() {
    let setting = Setting::new().await;
    // Nothing in this playbook becomes ready by waiting: after half a year of ticks no lead is in sales.
    some_leads(&setting, 5).await;
    for _ in 0..180 {
        setting.later(DAY_MS);
        setting.handle(json!({"action": "due"})).await;
    }
    assert!(setting.store.leads().iter().all(|lead| !lead.stage.in_inbox()));
}
