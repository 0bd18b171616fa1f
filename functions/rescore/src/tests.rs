//! Stories of ticks and sweeps, in memory.

use super::*;
use adapters::clock::SetClock;
use adapters::jobs::{Job, JobStatus, MOST_ATTEMPTS};
use async_trait::async_trait;
use domain::change::Incoming;
use domain::promise::People;
use domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use serde_json::json;
use std::sync::Mutex;
use sweep::{SEGMENTS, whole};
use testkit::builders::{NOON, a_lead, activate, activity, agree, change, delivered, email, sign, time};
use testkit::{
    FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryJobStarter, MemoryLeadStore,
    test_playbook,
};

/// Remembers what it was asked to start; fails while it is told to.
#[derive(Debug, Default)]
struct Started {
    names: Mutex<Vec<String>>,
    broken: Mutex<bool>,
}

#[async_trait]
impl SweepStarter for Started {
    async fn start(&self, _: &App, job: &str, of: u32, attempt: u64) -> Result<(), StoreError> {
        if *self.broken.lock().unwrap() {
            return Err(StoreError::Busy("injected".to_owned()));
        }
        self.names.lock().unwrap().push(format!("{job} {of} {attempt}"));
        Ok(())
    }
}

struct World {
    app: App,
    store: Arc<MemoryLeadStore>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<SetClock>,
    failures: Failures,
    started: Arc<Started>,
}

impl World {
    async fn new() -> Self {
        Self::of(&test_playbook(), Arc::new(MemoryCatalog::new())).await
    }

    async fn of(playbook: &Value, catalog: Arc<dyn Catalog>) -> Self {
        let store = Arc::new(MemoryLeadStore::new());
        let clock = Arc::new(SetClock::at(time(NOON)));
        activate(playbook, Arc::clone(&catalog), Arc::clone(&clock) as _).await;
        let (failures, started) = (Failures::none(), Arc::new(Started::default()));
        let failing = Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()));
        let app = App::new(failing, Arc::clone(&catalog), Arc::clone(&started) as _, Arc::clone(&clock) as _);
        Self { app, store, catalog, clock, failures, started }
    }

    /// Stores a lead that asked to be contacted and looked at some page that no signal listens for.
    async fn lead(&self, n: usize) -> LeadId {
        let change = a_lead().known_by(email(&format!("lead{n}@company.example"))).ready().change();
        let id = change.lead.id.clone();
        assert_eq!(self.store.commit(&change).await.unwrap(), Commit::Done);
        self.record(&id, viewed(&format!("view {n}"), "/blog")).await;
        id
    }

    async fn leads(&self, n: usize) {
        for n in 0..n {
            self.lead(n).await;
        }
    }

    async fn record(&self, id: &LeadId, fact: Incoming) {
        let change = change(&self.get(id), &[fact], self.clock.now());
        assert_eq!(self.store.commit(&change).await.unwrap(), Commit::Done);
    }

    fn get(&self, id: &LeadId) -> Lead {
        self.store.leads().into_iter().find(|lead| lead.id == *id).unwrap()
    }

    /// Activates a playbook in which a view of the blog is a signal that gives points; gives the sweep's job.
    async fn second_playbook(&self) -> String {
        let mut document = test_playbook();
        document["signals"].as_array_mut().unwrap().push(json!({
            "id": "blog_viewed", "kind": "page_viewed", "where": {"path": {"starts_with": "/blog"}},
        }));
        let points =
            json!({"id": "reads", "points": 5, "signal": "blog_viewed", "max_hits": 3, "half_life_days": 14});
        document["engagement"][1]["rules"].as_array_mut().unwrap().push(points);
        document["segments"]
            .as_array_mut()
            .unwrap()
            .push(json!({"id": "readers", "when": {"signal": "blog_viewed", "at_least": 1}}));
        self.activate(&document).await
    }

    async fn activate(&self, document: &Value) -> String {
        let number = agree(document, &self.app.playbooks).await;
        format!("sweep-{number}-{}", self.clock.now().millis())
    }

    async fn job(&self, id: &str) -> Job {
        self.app.jobs.get(id).await.unwrap().unwrap()
    }

    async fn tick(&self) -> Value {
        handle(&self.app, json!({"action": "due"})).await.unwrap()
    }

    async fn stretch(&self, job: &str, segment: u32, cursor: &Value) -> Value {
        let event =
            json!({"action": "sweep", "job": job, "segment": segment, "of": SEGMENTS, "cursor": cursor});
        handle(&self.app, event).await.unwrap()
    }

    fn versions(&self) -> Vec<u64> {
        self.store.leads().iter().map(|lead| lead.version).collect()
    }

    fn assert_all_swept(&self, version: u32) {
        for lead in self.store.leads() {
            assert_eq!(lead.playbook_version, version);
            assert!(lead.segments.iter().any(|segment| segment.as_str() == "readers"), "{:?}", lead.segments);
            let reviews = self
                .store
                .timeline(&lead.id)
                .into_iter()
                .filter(|e| e.fact == domain::change::Fact::Reviewed);
            assert_eq!(reviews.count(), 1, "each lead is reviewed once");
        }
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }
}

fn viewed(id: &str, path: &str) -> Incoming {
    delivered(id, time(NOON), domain::change::Fact::Activity(activity("page_viewed", &[("path", path)])))
}

#[tokio::test]
async fn a_tick_writes_what_is_due_when_it_is_due_and_nothing_else() {
    let world = World::new().await;
    let id = world.lead(1).await;
    let due = world.get(&id).due_at.unwrap();
    world.clock.set(due.plus(-1_000));
    assert_eq!(world.tick().await["read"], 0);
    world.clock.set(due);
    assert_eq!(world.tick().await["changed"], 1);
    assert!(world.get(&id).due_at.is_none_or(|next| next > due));
    let versions = world.versions();
    assert_eq!(world.tick().await["read"], 0);
    assert_eq!(world.versions(), versions);
}

#[tokio::test]
async fn ticks_over_months_leave_leads_as_a_review_of_everything_would() {
    let world = World::new().await;
    world.leads(5).await;
    for _ in 0..150 {
        world.later(DAY_MS);
        world.tick().await;
        let playbook = world.app.playbooks.version(1).await.unwrap();
        for lead in world.store.leads() {
            let missed =
                domain::change::advance(&lead, &playbook, 1, None, People::nobody(), world.clock.now());
            let missed = missed.map(|change| change.entries).filter(|entries| !entries.is_empty());
            assert_eq!(missed, None, "{}", world.clock.now());
        }
    }
    let written = world.versions().into_iter().max();
    assert!(written < Some(20), "what fades is written when a label changes, not each day: {written:?}");
}

#[tokio::test]
async fn a_lead_that_fails_is_put_off_and_holds_up_nobody() {
    let world = World::new().await;
    let (bad, good) = (world.lead(1).await, world.lead(2).await);
    let due = world.get(&good).due_at.unwrap();
    world.store.put(Lead { playbook_version: 99, ..world.get(&bad) });
    world.clock.set(due);
    let answer = world.tick().await;
    assert_eq!((&answer["changed"], &answer["failed"]), (&json!(1), &json!(1)));
    assert_eq!(world.get(&bad).due_at.map(Timestamp::secs), Some(due.plus(15 * MINUTE_MS).secs()));
    assert_eq!(world.tick().await["read"], 0);
    world.later(15 * MINUTE_MS);
    assert_eq!(world.tick().await["failed"], 1);
}

#[tokio::test]
async fn an_index_that_is_behind_costs_a_look_and_no_write() {
    let world = World::new().await;
    let id = world.lead(1).await;
    world.clock.set(world.get(&id).due_at.unwrap());
    world.store.freeze_indexes();
    assert_eq!(world.tick().await["changed"], 1);
    let versions = world.versions();
    let answer = world.tick().await;
    assert_eq!((&answer["read"], &answer["changed"]), (&json!(1), &json!(0)));
    assert_eq!(world.versions(), versions);
}

#[tokio::test]
async fn what_no_time_is_left_for_is_counted_and_done_by_the_next_tick() {
    let mut world = World::new().await;
    world.leads(3).await;
    world.later(400 * DAY_MS);
    world.app.work_for = Duration::ZERO;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let answer = world.tick().await;
    assert_eq!((&answer["read"], &answer["remaining"]), (&json!(0), &json!(3)));
    world.app.work_for = WORK_FOR;
    let answer = world.tick().await;
    assert_eq!((&answer["changed"], &answer["remaining"]), (&json!(3), &json!(0)));
}

#[tokio::test]
async fn races_and_lost_answers_of_a_tick_change_each_lead_once() {
    for failure in [Failure::Conflict, Failure::TimedOutAfterWrite, Failure::Throttled] {
        let world = World::new().await;
        world.leads(6).await;
        world.later(400 * DAY_MS);
        world.failures.every_write(2, failure);
        let answer = world.tick().await;
        assert_eq!(answer["failed"], 0, "{failure:?}");
        world.failures.heal();
        for lead in world.store.leads() {
            assert_eq!(lead.version, 3, "{failure:?}: captured, looked at a page, reviewed");
        }
    }
}

#[tokio::test]
async fn a_sweep_waits_for_the_caches_and_is_started_once() {
    let world = World::new().await;
    let job = world.second_playbook().await;
    assert_eq!(world.tick().await["sweeps"], json!([]));
    world.later(MINUTE_MS);
    assert_eq!(world.tick().await["sweeps"], json!([job]));
    assert_eq!(world.tick().await["sweeps"], json!([]));
    assert_eq!(*world.started.names.lock().unwrap(), [format!("{job} 8 1")]);
    // Nobody gave a sign of life: it is started again, under a name of its own.
    world.later(5 * MINUTE_MS);
    world.tick().await;
    assert_eq!(world.started.names.lock().unwrap()[1], format!("{job} 8 2"));
}

#[tokio::test]
async fn a_sweep_that_cannot_be_started_fails_the_tick_but_not_what_is_due_and_costs_no_attempt() {
    let world = World::new().await;
    world.leads(2).await;
    let job = world.second_playbook().await;
    world.later(400 * DAY_MS);
    *world.started.broken.lock().unwrap() = true;
    for _ in 0..2 * MOST_ATTEMPTS {
        assert!(handle(&world.app, json!({"action": "due"})).await.is_err());
    }
    assert!(world.store.leads().iter().all(|lead| lead.version == 3), "what was due is done");
    *world.started.broken.lock().unwrap() = false;
    assert_eq!(world.tick().await["sweeps"], json!([job]));
    assert_eq!(world.job(&job).await.attempts, 1);
}

#[tokio::test]
async fn a_sweep_that_dies_again_and_again_is_given_up_loudly_and_once() {
    let world = World::new().await;
    let job = world.second_playbook().await;
    for _ in 0..MOST_ATTEMPTS {
        world.later(5 * MINUTE_MS);
        assert_eq!(world.tick().await["sweeps"], json!([job]));
    }
    world.later(5 * MINUTE_MS);
    let error = handle(&world.app, json!({"action": "due"})).await.unwrap_err();
    assert!(error.to_string().contains(&job), "{error}");
    assert_eq!(world.job(&job).await.status, JobStatus::Failed);
    world.tick().await;
}

#[tokio::test]
async fn other_jobs_are_resumed_where_somebody_is_there_to_resume_them() {
    let mut world = World::new().await;
    let exports = Arc::new(MemoryJobStarter::new());
    world.app.jobs.add("export-1", JobKind::Export, &json!({})).await.unwrap();
    assert_eq!(world.tick().await["resumed"], json!([]));
    world.app.resumers = vec![(JobKind::Export, Arc::clone(&exports) as _)];
    assert_eq!(world.tick().await["resumed"], json!(["export-1"]));
    assert_eq!(exports.take(), ["export-1"]);
}

#[tokio::test]
async fn a_sweep_counts_new_signals_from_the_timeline_and_keeps_the_old_counts() {
    let world = World::new().await;
    let id = world.lead(1).await;
    world.record(&id, viewed("prices", "/pricing")).await;
    let before = world.get(&id);
    let job = world.second_playbook().await;
    let answer = whole(&world.app, &job, SEGMENTS).await.unwrap();
    assert_eq!((&answer["done"], &answer["changed"], &answer["read"]), (&json!(true), &json!(1), &json!(1)));
    world.assert_all_swept(2);
    let after = world.get(&id);
    assert_eq!(after.ledger.iter().count(), before.ledger.iter().count() + 1);
    for (key, counts) in before.ledger.iter() {
        let kept = after.ledger.get(key).unwrap();
        assert_eq!((kept.total, kept.first, kept.days), (counts.total, counts.first, counts.days));
    }
    assert!(after.score.engagement > before.score.engagement);
    assert_eq!(world.job(&job).await.status, JobStatus::Done);
}

/// A playbook in which clicks on links of mails give points.
fn with_mails(withhold: Option<Value>) -> Value {
    let mut document = test_playbook();
    document["signals"].as_array_mut().unwrap().push(json!({"id": "clicks", "kind": "email_clicked"}));
    let points = json!({"id": "follows", "points": 5, "signal": "clicks"});
    document["engagement"][1]["rules"].as_array_mut().unwrap().push(points);
    if let Some(rules) = withhold {
        document["machines"] = json!({ "withhold": rules });
    }
    document
}

impl World {
    /// Records a click on a link of a mail, now, as it is recorded when it is followed.
    async fn click(&self, id: &LeadId, n: usize) {
        use domain::attribute::AttributeValue;
        let mut clicked = activity("email_clicked", &[("url", &format!("https://company.example/{n}"))]);
        clicked.properties.insert("message".to_owned(), AttributeValue::Number(1.0));
        let fact = domain::change::Fact::Activity(clicked);
        let fact = Incoming {
            by: "mail".to_owned(),
            occurred_at: self.clock.now(),
            ..delivered(&format!("click {n}"), self.clock.now(), fact)
        };
        let lead = self.get(id);
        let playbook = self.app.playbooks.version(lead.playbook_version).await.unwrap();
        let subject = domain::change::Subject::Existing(Box::new(lead));
        let (people, now) = (People::nobody(), self.clock.now());
        let change = domain::change::decide(subject, Vec::new(), &[], &[fact], &playbook, people, now);
        assert_eq!(self.store.commit(&change).await.unwrap(), Commit::Done);
    }
}

#[tokio::test]
async fn what_was_withheld_from_machines_comes_back_by_the_sweep_to_a_playbook_that_lets_it_count() {
    let world = World::of(&with_mails(None), Arc::new(MemoryCatalog::new())).await;
    let id = world.lead(1).await;
    let before = world.get(&id);
    for n in 0..3 {
        world.click(&id, n).await;
        world.later(200);
    }
    let withheld = world.get(&id);
    assert_eq!(withheld.score, before.score);
    assert!(!withheld.machines.withheld.is_empty());

    let given = with_mails(Some(json!(["head", "too_soon"])));
    let job = world.activate(&given).await;
    assert_eq!(whole(&world.app, &job, SEGMENTS).await.unwrap()["done"], true);
    let counted = world.get(&id);
    assert_eq!(counted.playbook_version, 2);
    assert_eq!(counted.score.engagement, withheld.score.engagement + 15);
    assert!(counted.machines.withheld.is_empty());

    world.later(1_000);
    let job = world.activate(&with_mails(Some(json!(["many_links"])))).await;
    assert_eq!(whole(&world.app, &job, SEGMENTS).await.unwrap()["done"], true);
    let again = world.get(&id);
    assert_eq!((again.score, again.machines.withheld.iter().count()), (withheld.score, 1));
}

#[tokio::test]
async fn a_click_hands_a_lead_over_by_the_tick_that_finds_that_no_other_came() {
    let mut document = with_mails(None);
    document["engagement"][1]["rules"].as_array_mut().unwrap().last_mut().unwrap()["points"] = json!(100);
    for clicks in [1, 2] {
        let world = World::of(&document, Arc::new(MemoryCatalog::new())).await;
        let text = |text: &str| domain::attribute::AttributeValue::Text(text.to_owned());
        let one_of_ours = a_lead().with("country", text("AT")).with("job_title", text("Head of Sales"));
        let one_of_ours = one_of_ours.with("company_size", domain::attribute::AttributeValue::Number(120.0));
        let change = one_of_ours.known_by(email("bob@company.example")).change();
        let id = change.lead.id.clone();
        assert_eq!(world.store.commit(&change).await.unwrap(), Commit::Done);
        for n in 0..clicks {
            world.click(&id, n).await;
        }
        let stage = world.get(&id).stage;
        assert_ne!(stage, domain::stage::Stage::MarketingQualified, "not yet");
        assert_eq!(world.tick().await["changed"], 0);
        world.later(5 * MINUTE_MS);
        world.tick().await;
        let handed = world.get(&id).stage == domain::stage::Stage::MarketingQualified;
        assert_eq!(handed, clicks == 1, "{clicks} links at once are a machine's");
        let version = world.get(&id).version;
        world.later(5 * MINUTE_MS);
        world.tick().await;
        assert_eq!(world.get(&id).version, version, "it is settled once");
    }
}

#[tokio::test]
async fn a_sweep_back_to_an_earlier_version_ends_where_it_began() {
    let world = World::new().await;
    world.leads(5).await;
    let before: Vec<_> =
        world.store.leads().into_iter().map(|l| (l.ledger, l.score, l.segments, l.due_at)).collect();
    let there = world.second_playbook().await;
    whole(&world.app, &there, SEGMENTS).await.unwrap();
    world.later(1_000);
    sign(1, &world.app.playbooks).await;
    world.app.playbooks.activate(1, "the tests").await.unwrap().unwrap();
    whole(&world.app, &format!("sweep-1-{}", world.clock.now().millis()), SEGMENTS).await.unwrap();
    let after: Vec<_> =
        world.store.leads().into_iter().map(|l| (l.ledger, l.score, l.segments, l.due_at)).collect();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_sweep_that_runs_twice_writes_once() {
    let world = World::new().await;
    world.leads(25).await;
    let job = world.second_playbook().await;
    let (one, other) = tokio::join!(whole(&world.app, &job, SEGMENTS), whole(&world.app, &job, SEGMENTS));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    world.assert_all_swept(2);
    let versions = world.versions();
    assert_eq!(whole(&world.app, &job, SEGMENTS).await.unwrap()["done"], true);
    assert_eq!(world.versions(), versions);
}

#[tokio::test]
async fn races_and_lost_answers_of_a_sweep_change_each_lead_once() {
    for failure in [Failure::Conflict, Failure::TimedOutAfterWrite, Failure::Throttled] {
        let world = World::new().await;
        world.leads(25).await;
        let job = world.second_playbook().await;
        world.failures.every_write(2, failure);
        whole(&world.app, &job, SEGMENTS).await.unwrap();
        world.assert_all_swept(2);
    }
}

#[tokio::test]
async fn a_worker_that_died_is_followed_by_one_that_goes_on_where_it_stood() {
    let mut world = World::new().await;
    world.leads(200).await;
    let job = world.second_playbook().await;
    // One page at a time.
    world.app.work_for = Duration::ZERO;
    let first = world.stretch(&job, 0, &Value::Null).await;
    assert_eq!((&first["done"], &first["read"], &first["changed"]), (&json!(false), &json!(10), &json!(10)));
    let (mut read, mut cursor) = (10, Value::Null);
    for _ in 0..100 {
        let next = world.stretch(&job, 0, &cursor).await;
        read += next["read"].as_u64().unwrap();
        // Whoever comes without a cursor, as a new execution does, goes on all the same.
        cursor = if read % 20 == 0 { Value::Null } else { next["cursor"].clone() };
        if next["done"] == true {
            break;
        }
    }
    let swept = world.store.leads().iter().filter(|lead| lead.playbook_version == 2).count();
    assert_eq!(usize::try_from(read).unwrap(), swept, "no lead was read twice");
    let again = world.stretch(&job, 0, &Value::Null).await;
    assert_eq!((&again["done"], &again["read"]), (&json!(true), &json!(0)));
    whole(&world.app, &job, SEGMENTS).await.unwrap();
    world.assert_all_swept(2);
    assert_eq!(world.job(&job).await.state["read"], 200);
    assert_eq!(world.job(&job).await.state["changed"], 200);
}

#[tokio::test]
async fn the_finish_brings_stragglers_along() {
    let world = World::new().await;
    world.leads(12).await;
    let job = world.second_playbook().await;
    for segment in 0..SEGMENTS {
        assert_eq!(world.stretch(&job, segment, &Value::Null).await["done"], true);
    }
    world.lead(99).await;
    let answer = handle(&world.app, json!({"action": "sweep_finish", "job": job})).await.unwrap();
    assert_eq!((&answer["stragglers"], &answer["looked_at"]), (&json!(1), &json!(13)));
    world.assert_all_swept(2);
    // Called again, as a state machine may, it says the same.
    assert_eq!(handle(&world.app, json!({"action": "sweep_finish", "job": job})).await.unwrap(), answer);
}

#[tokio::test]
async fn a_finish_without_time_goes_on_when_it_is_called_again() {
    let mut world = World::new().await;
    world.leads(35).await;
    let job = world.second_playbook().await;
    world.app.work_for = Duration::ZERO;
    let event = json!({"action": "sweep_finish", "job": job});
    let mut calls = 0;
    let answer = loop {
        calls += 1;
        let answer = handle(&world.app, event.clone()).await.unwrap();
        if answer["done"] == true {
            break answer;
        }
        assert_ne!(world.job(&job).await.status, JobStatus::Done);
    };
    assert_eq!((calls, &answer["looked_at"]), (4, &json!(35)));
    world.assert_all_swept(2);
}

#[tokio::test]
async fn a_sweep_is_not_done_while_a_lead_may_still_be_brought_along() {
    let world = World::new().await;
    world.leads(3).await;
    let job = world.second_playbook().await;
    let event = json!({"action": "sweep_finish", "job": job});
    world.failures.every_write(1, Failure::Throttled);
    assert!(handle(&world.app, event.clone()).await.is_err());
    assert_ne!(world.job(&job).await.status, JobStatus::Done);
    world.failures.heal();
    assert_eq!(handle(&world.app, event).await.unwrap()["done"], true);
    world.assert_all_swept(2);
}

#[tokio::test]
async fn a_lead_that_cannot_be_read_is_counted_and_holds_up_no_sweep() {
    let world = World::new().await;
    world.leads(3).await;
    let bad = world.lead(99).await;
    world.store.put(Lead { playbook_version: 99, ..world.get(&bad) });
    let job = world.second_playbook().await;
    let answer = whole(&world.app, &job, SEGMENTS).await.unwrap();
    assert_eq!((&answer["changed"], &answer["failed"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn a_sweep_whose_version_is_no_longer_active_pulls_nobody_back() {
    let world = World::new().await;
    world.leads(3).await;
    let old = world.second_playbook().await;
    world.later(1_000);
    let mut document = test_playbook();
    document["name"] = json!("Third");
    let new = world.activate(&document).await;
    whole(&world.app, &new, SEGMENTS).await.unwrap();
    let versions = world.versions();
    let answer = whole(&world.app, &old, SEGMENTS).await.unwrap();
    assert_eq!((&answer["superseded"], &answer["changed"]), (&json!(true), &json!(0)));
    assert_eq!(world.versions(), versions);
    assert!(world.store.leads().iter().all(|lead| lead.playbook_version == 3));
}

#[tokio::test]
async fn a_sweep_on_one_machine_runs_beside_the_tick() {
    let world = World::new().await;
    world.leads(12).await;
    let job = world.second_playbook().await;
    world.later(MINUTE_MS);
    let app = App::on_one_machine(
        Arc::clone(&world.store),
        Arc::clone(&world.catalog),
        Arc::clone(&world.clock) as _,
    );
    handle(&app, json!({"action": "due"})).await.unwrap();
    while world.job(&job).await.status != JobStatus::Done {
        tokio::task::yield_now().await;
    }
    world.assert_all_swept(2);
}

#[tokio::test]
async fn what_is_no_sweep_is_refused_by_name() {
    let world = World::new().await;
    world.app.jobs.add("export-1", JobKind::Export, &json!({})).await.unwrap();
    for job in ["export-1", "sweep-9-9"] {
        let event = json!({"action": "sweep", "job": job, "segment": 0, "of": 8});
        let error = handle(&world.app, event).await.unwrap_err();
        assert!(matches!(&error, RescoreError::Event(text) if text.contains(job)), "{error}");
    }
}

/// The test playbook with exports that are made by themselves.
fn with_exports(exports: Value) -> Value {
    let mut document = test_playbook();
    document["timezone"] = json!("Europe/Vienna");
    document["exports"] = exports;
    document
}

#[tokio::test]
async fn an_export_of_the_playbook_is_ordered_once_for_each_day_and_started() {
    let document = with_exports(json!([
        {"id": "daily", "segment": "newsletter", "preset": "google_customer_match", "since": "last", "every": "day", "at": "14:00"},
        {"id": "weekly", "segment": "newsletter", "format": "csv", "purpose": "marketing", "every": "week",
            "weekday": "monday", "at": "00:15"},
    ]));
    let mut world = World::of(&document, Arc::new(MemoryCatalog::new())).await;
    let exports = Arc::new(MemoryJobStarter::new());
    world.app.resumers = vec![(JobKind::Export, Arc::clone(&exports) as _)];
    // Sunday, 13:00 in Vienna.
    assert_eq!(world.tick().await["ordered"], json!([]));
    // The ticks from 14:00 on were missed; two come at once afterwards.
    world.later(3 * 60 * MINUTE_MS);
    let (one, other) = tokio::join!(world.tick(), world.tick());
    let daily = "export-daily-2026-11-22";
    assert!([&one, &other].iter().any(|tick| tick["ordered"] == json!([daily])), "{one} {other}");
    assert!(exports.take().iter().all(|id| id == daily));
    let job = world.job(daily).await;
    assert_eq!((&job.request["scheduled"], &job.request["since"]), (&json!("daily"), &json!("last")));
    assert_eq!(
        (&job.request["segment"], &job.request["playbook_version"]),
        (&json!("newsletter"), &json!(1))
    );
    let mut taken = world.app.jobs.take(daily).await.unwrap().unwrap();
    assert!(world.app.jobs.finish(&mut taken, Value::Null).await.unwrap());
    assert_eq!(world.tick().await["ordered"], json!([]), "it is made already");
    assert!(exports.take().is_empty());
    // Monday, a quarter past midnight in Vienna.
    world.clock.set(time(NOON).plus((11 * 60 + 15) * MINUTE_MS));
    assert_eq!(world.tick().await["ordered"], json!(["export-weekly-2026-11-23"]));
    assert_eq!(exports.take(), ["export-weekly-2026-11-23"]);
    world.clock.set(time(NOON).plus(25 * 60 * MINUTE_MS));
    assert_eq!(world.tick().await["ordered"], json!(["export-daily-2026-11-23"]));
}

#[tokio::test]
async fn an_export_that_could_not_be_ordered_is_ordered_by_the_next_tick() {
    let daily = json!({"id": "daily", "segment": "newsletter", "format": "csv", "purpose": "marketing", "every": "day", "at": "00:00"});
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite] {
        let memory = Arc::new(MemoryCatalog::new());
        let mut world = World::of(&with_exports(json!([daily])), Arc::clone(&memory) as _).await;
        let catalog: Arc<dyn Catalog> = Arc::new(FailingCatalog::new(memory, world.failures.clone()));
        world.app.jobs = Jobs::new(catalog, Arc::clone(&world.clock) as _);
        let exports = Arc::new(MemoryJobStarter::new());
        world.app.resumers = vec![(JobKind::Export, Arc::clone(&exports) as _)];
        world.failures.on_write(1, failure);
        assert!(due::run(&world.app).await.is_err(), "it is reported");
        world.tick().await;
        assert_eq!(exports.take(), ["export-daily-2026-11-22"]);
    }
}
