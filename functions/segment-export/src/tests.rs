//! Stories of previews and exports, in memory.

mod changes;
mod shared;
mod twins;

use super::*;
use adapters::clock::SetClock;
use adapters::jobs::{JobStatus, LEASE_MS, MOST_ATTEMPTS};
use adapters::ports::{InboxLine, Page, StoreError, Upload};
use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use domain::attribute::{Attribute, AttributeName, AttributeValue};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{LeadId, Slug};
use domain::time::{DAY_MS, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Mutex;
use testkit::builders::{NOON, a_lead, activate, email, phone, time};
use testkit::memory::MemoryFile;
use testkit::{
    FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryFiles, MemoryJobStarter,
    MemoryLeadStore, RoleTokens, test_playbook,
};
use tokio::sync::Notify;
use tower::ServiceExt;

/// So many leads, each with long attributes; every third one has not consented, every fifth is in no segment.
#[derive(Debug)]
struct Many {
    leads: usize,
    template: Lead,
    /// Stands in every row, and may change meanwhile.
    says: Mutex<&'static str>,
    /// Every lead whose number can be divided by this is there no more.
    without: Mutex<Option<usize>>,
}

impl Many {
    fn new(leads: usize) -> Self {
        let mut template = lead(0).ready().lead();
        let text = "x".repeat(1_000);
        for n in 0..COLUMNS {
            template.attributes.insert(name(&format!("n{n}")), value(AttributeValue::Text(text.clone())));
        }
        consent(&mut template, ConsentStatus::Confirmed);
        Self { leads, template, says: Mutex::new("at first"), without: Mutex::new(None) }
    }

    fn one(&self, n: usize) -> Lead {
        let mut lead = Lead { id: LeadId::from_bytes((n as u128).to_be_bytes()), ..self.template.clone() };
        let says = AttributeValue::Text((*self.says.lock().unwrap()).to_owned());
        lead.attributes.insert(name("says"), value(says));
        if n.is_multiple_of(3) {
            consent(&mut lead, ConsentStatus::Withdrawn);
        }
        if n.is_multiple_of(5) {
            lead.attributes.insert(name("country"), value(AttributeValue::Text("US".to_owned())));
        }
        lead
    }

    fn expected(&self) -> BTreeSet<String> {
        let wanted = (0..self.leads).filter(|n| !n.is_multiple_of(3) && !n.is_multiple_of(5));
        wanted.map(|n| self.one(n).id.as_str().to_owned()).collect()
    }
}

/// Enough for two parts.
const LEADS: usize = 750;
const COLUMNS: usize = 20;
const PAGE: usize = 40;

#[async_trait]
impl LeadLists for Many {
    async fn scan(&self, segment: u32, of: u32, cursor: Option<&str>) -> Result<Page<Lead>, StoreError> {
        tokio::task::yield_now().await;
        let (segment, of) = (segment as usize, of as usize);
        let first: usize = cursor.map_or(segment, |cursor| cursor.parse().unwrap());
        let without = *self.without.lock().unwrap();
        let there = |n: &usize| without.is_none_or(|by| !n.is_multiple_of(by));
        let numbers = (first..self.leads).step_by(of).take(PAGE).filter(there);
        let items: Vec<Lead> = numbers.map(|n| self.one(n)).collect();
        let next = first + of * PAGE;
        Ok(Page { items, next: (next < self.leads).then(|| next.to_string()) })
    }

    async fn due(&self, _: u8, _: Timestamp, _: usize) -> Result<Vec<LeadId>, StoreError> {
        Ok(Vec::new())
    }

    async fn inbox(&self, _: &Slug, _: usize, _: Option<&str>) -> Result<Page<InboxLine>, StoreError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    async fn held(&self, _: &Slug, _: usize) -> Result<Vec<LeadId>, StoreError> {
        Ok(Vec::new())
    }

    async fn about(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn put_off(&self, _: &LeadId, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A call that hangs until a test lets it go on.
#[derive(Debug, Default)]
struct Hang {
    at: Mutex<Option<usize>>,
    reached: Notify,
    let_go: Notify,
}

/// Files of which the calls fail, or hang, that a test names; and uploads that were cleared away.
#[derive(Debug, Default)]
struct Files {
    inner: MemoryFiles,
    calls: Mutex<usize>,
    fails: Mutex<Option<(usize, bool)>>,
    lost: Mutex<Option<&'static str>>,
    hangs: Hang,
}

impl Files {
    /// Counts a call; tells whether it fails, and if so, whether after it did what was asked.
    async fn next(&self) -> Option<bool> {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        let hangs = self.hangs.at.lock().unwrap().take_if(|at| *at == call).is_some();
        if hangs {
            self.hangs.reached.notify_one();
            self.hangs.let_go.notified().await;
        }
        self.fails.lock().unwrap().filter(|(n, _)| *n == call).map(|(_, after)| after)
    }

    /// Makes a call, or lets it fail before or after it did what was asked.
    async fn go<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.next().await {
            None => call.await,
            Some(false) => Err(busy()),
            Some(true) => {
                call.await?;
                Err(busy())
            }
        }
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

fn busy() -> StoreError {
    StoreError::Busy("injected".to_owned())
}

#[async_trait]
impl FileStore for Files {
    async fn start(&self, key: &str, content_type: &str, file_name: &str) -> Result<Upload, StoreError> {
        self.go(self.inner.start(key, content_type, file_name)).await
    }

    async fn add(&self, upload: &mut Upload, bytes: Vec<u8>) -> Result<(), StoreError> {
        if let Some(code) = self.lost.lock().unwrap().take() {
            return Err(StoreError::Refused(code.to_owned()));
        }
        self.go(self.inner.add(upload, bytes)).await
    }

    async fn complete(&self, upload: &Upload) -> Result<(), StoreError> {
        self.go(self.inner.complete(upload)).await
    }

    async fn put(&self, key: &str, of_type: &str, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.go(self.inner.put(key, of_type, name, bytes)).await
    }

    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.go(self.inner.read(key)).await
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.go(self.inner.size(key)).await
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        self.go(self.inner.remove(key)).await
    }

    async fn link(&self, key: &str) -> Result<String, StoreError> {
        self.inner.link(key).await
    }
}

fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).unwrap()
}

fn value(value: AttributeValue) -> Attribute {
    Attribute { value, set_at: time(NOON), set_by: "test".to_owned(), known_at: None }
}

fn consent(lead: &mut Lead, status: ConsentStatus) {
    consent_to(lead, Purpose::Marketing, status);
}

fn consent_to(lead: &mut Lead, purpose: Purpose, status: ConsentStatus) {
    let fact =
        ConsentFact { purpose, status, basis: Basis::Consent, text: None, source: None, at: time(NOON) };
    lead.consents.take(&fact);
}

fn lead(n: usize) -> testkit::builders::LeadBuilder {
    a_lead().known_by(email(&format!("lead{n}@company.example")))
}

struct World {
    app: App,
    store: Arc<MemoryLeadStore>,
    files: Arc<Files>,
    starter: Arc<MemoryJobStarter>,
    clock: Arc<SetClock>,
    failures: Failures,
    tokens: RoleTokens,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(MemoryLeadStore::new());
        Self { store: Arc::clone(&store), ..Self::over(store).await }
    }

    async fn over<S: LeadLists + 'static>(lists: Arc<S>) -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        let clock = Arc::new(SetClock::at(time(NOON)));
        activate(&test_playbook(), Arc::clone(&catalog) as _, Arc::clone(&clock) as _).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog) as _, Arc::clone(&clock) as _).await.unwrap();
        let failures = Failures::none();
        let lists = Arc::new(FailingLeadStore::new(lists, failures.clone()));
        let catalog = Arc::new(FailingCatalog::new(catalog, failures.clone()));
        let (files, starter) = (Arc::new(Files::default()), Arc::new(MemoryJobStarter::new()));
        let app = App::new(
            lists,
            catalog,
            Arc::clone(&files) as _,
            Arc::clone(&starter) as _,
            Arc::clone(&clock) as _,
        );
        Self { app, store: Arc::new(MemoryLeadStore::new()), files, starter, clock, failures, tokens }
    }

    /// Asks as marketing.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask_with(method, path, body, None).await
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.tokens.marketing))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (router, _) = adapters::http::split(router(self.app.clone()));
        let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn export(&self, body: Value) -> String {
        let (status, answer) = self.ask("POST", "/v1/segments/dach_active/exports", Some(body)).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer["status"], "waiting");
        answer["export_id"].as_str().unwrap().to_owned()
    }

    async fn look(&self, id: &str) -> Value {
        let (status, answer) = self.ask("GET", &format!("/v1/exports/{id}"), None).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Lets whoever was started work, and those whom they start, until nobody is started any more.
    async fn work(&self) {
        for job in self.starter.take() {
            let _may_fail = run_job(&self.app, &job).await;
        }
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    fn file(&self, id: &str, ending: &str) -> MemoryFile {
        self.files.inner.file(&format!("exports/{id}.{ending}")).expect("the file is there")
    }
}

fn asked(format: &str) -> Value {
    json!({"format": format, "purpose": "marketing"})
}

fn wide(format: &str) -> Value {
    let mut columns: Vec<String> = (0..COLUMNS).map(|n| format!("attributes.n{n}")).collect();
    columns.insert(0, "lead_id".to_owned());
    columns.push("attributes.says".to_owned());
    json!({"format": format, "purpose": "marketing", "columns": columns})
}

fn ids(file: &MemoryFile) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(file.bytes.as_slice());
    reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
}

#[tokio::test]
async fn segments_are_those_of_the_active_playbook() {
    let world = World::new().await;
    let (status, answer) = world.ask("GET", "/v1/segments", None).await;
    assert_eq!(status, 200);
    assert_eq!(answer["items"][0]["segment_id"], "newsletter");
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_preview_counts_those_who_are_in_the_segment_now_and_shows_ten() {
    let world = World::new().await;
    for n in 0..30 {
        world.store.put(lead(n).ready().lead());
        world.store.put(lead(100 + n).lead());
    }
    let (status, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["count"], &answer["looked_at"], &answer["complete"]),
        (&json!(30), &json!(60), &json!(true))
    );
    let sample = answer["sample"].as_array().unwrap();
    assert_eq!(sample.len(), 10);
    let fields: Vec<&String> = sample[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["country", "email", "label", "lead_id", "stage"]);
    // Nothing was written since, and yet the points have faded.
    world.later(120 * DAY_MS);
    let (_, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!(answer["count"], 0);
    assert_eq!(world.ask("GET", "/v1/segments/no/preview", None).await.0, 404);
}

#[tokio::test]
async fn a_preview_without_time_says_that_it_is_not_complete() {
    let mut world = World::new().await;
    world.store.put(lead(1).ready().lead());
    world.app.answer_within = Duration::ZERO;
    let (status, answer) = world.ask("GET", "/v1/segments/dach_active/preview", None).await;
    assert_eq!((status, &answer["complete"]), (200, &json!(false)));
}

#[tokio::test]
async fn every_fault_of_an_export_is_named_with_what_would_be_right() {
    let world = World::new().await;
    let body = json!({"format": "xlsx", "columns": ["email", "shoe_size", "email"], "speed": 3});
    let (status, answer) = world.ask("POST", "/v1/segments/dach_active/exports", Some(body)).await;
    assert_eq!(status, 422);
    let faults: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|f| f["pointer"].as_str().unwrap()).collect();
    for pointer in ["/format", "/purpose", "/columns/1", "/columns/2", "/speed"] {
        assert!(faults.contains(&pointer), "{pointer}: {answer}");
    }
    assert!(answer.to_string().contains("landing_page, created_at, attributes.NAME"), "{answer}");
    assert_eq!(world.ask("POST", "/v1/segments/no/exports", Some(asked("csv"))).await.0, 404);
    assert_eq!(world.ask("GET", "/v1/exports/export-0", None).await.0, 404);
}

#[tokio::test]
async fn an_export_leaves_out_who_has_not_consented_and_makes_cells_harmless() {
    let world = World::new().await;
    let formula = || AttributeValue::Text("=HYPERLINK(\"http://x.example\")".to_owned());
    let mut given = lead(1).known_by(phone("+436641234567")).with("full_name", formula()).ready().lead();
    consent(&mut given, ConsentStatus::Confirmed);
    let mut pending = lead(2).ready().lead();
    consent(&mut pending, ConsentStatus::Pending);
    let mut elsewhere = lead(4).lead();
    consent(&mut elsewhere, ConsentStatus::Confirmed);
    let never = lead(3).ready().lead();
    [&given, &pending, &elsewhere, &never].into_iter().for_each(|lead| world.store.put(lead.clone()));

    let mut body = asked("csv");
    body["columns"] = json!(["email", "phone", "label", "attributes.full_name", "attributes.company_size"]);
    let csv = world.export(body.clone()).await;
    body["format"] = json!("jsonl");
    let lines = world.export(body).await;
    world.work().await;

    let answer = world.look(&csv).await;
    assert_eq!(
        (&answer["status"], &answer["rows"], &answer["left_out"]),
        (
            &json!("done"),
            &json!(1),
            &json!({"no_consent": 1, "consent_pending": 1, "consent_withdrawn": 0, "nothing_to_match_by": 0, "withdrew_elsewhere": 0})
        )
    );
    assert!(answer["link"].as_str().unwrap().contains(&csv));
    let file = world.file(&csv, "csv");
    assert_eq!(file.file_name, "dach_active-2026-11-22.csv");
    let text = String::from_utf8(file.bytes).unwrap();
    let row = "lead1@company.example,+436641234567,A1,\"'=HYPERLINK(\"\"http://x.example\"\")\",120";
    assert_eq!(text, format!("email,phone,label,attributes.full_name,attributes.company_size\r\n{row}\r\n"));
    let text = String::from_utf8(world.file(&lines, "jsonl").bytes).unwrap();
    let row: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
    assert_eq!((&row["phone"], &row["attributes.company_size"]), (&json!("+436641234567"), &json!(120)));
    assert!(row["attributes.full_name"].as_str().unwrap().starts_with("=HYPERLINK"));
}

#[tokio::test]
async fn an_export_of_nobody_is_a_file_all_the_same() {
    let world = World::new().await;
    let (csv, lines) = (world.export(asked("csv")).await, world.export(asked("jsonl")).await);
    world.work().await;
    assert!(
        world
            .file(&csv, "csv")
            .bytes
            .starts_with(b"lead_id,email,phone,external_ids,company,country,stage,label,fit,")
    );
    assert!(world.file(&lines, "jsonl").bytes.is_empty());
    assert_eq!(world.look(&lines).await["rows"], 0);
}

#[tokio::test]
async fn the_same_key_is_the_same_export_and_for_another_one_it_is_refused() {
    let world = World::new().await;
    let path = "/v1/segments/dach_active/exports";
    let (_, first) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    let (status, again) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    assert_eq!((status, &again["export_id"]), (202, &first["export_id"]));
    assert_eq!(world.ask_with("POST", path, Some(asked("jsonl")), Some("k1")).await.0, 409);
    let (_, other) = world.ask("POST", path, Some(asked("csv"))).await;
    assert_ne!(other["export_id"], first["export_id"]);
    world.work().await;
    let (_, done) = world.ask_with("POST", path, Some(asked("csv")), Some("k1")).await;
    assert_eq!(done["status"], "done");
    assert!(world.starter.take().is_empty());
}

#[tokio::test]
async fn an_export_whose_worker_died_is_taken_up_when_somebody_asks() {
    let world = World::new().await;
    let id = world.export(asked("csv")).await;
    assert_eq!(world.starter.take(), [id.as_str()]);
    // Taken, and never heard of again.
    assert!(world.app.jobs.take(&id).await.unwrap().is_some());
    assert_eq!(world.look(&id).await["status"], "running");
    assert!(world.starter.take().is_empty());
    world.later(LEASE_MS);
    world.look(&id).await;
    world.work().await;
    assert_eq!(world.look(&id).await["status"], "done");
}

#[tokio::test]
async fn a_job_of_another_kind_is_left_alone() {
    let world = World::new().await;
    world.app.jobs.add("report-1", JobKind::Report, &json!({})).await.unwrap();
    run_job(&world.app, "report-1").await.unwrap();
    run_job(&world.app, "export-none").await.unwrap();
    assert_eq!(world.app.jobs.get("report-1").await.unwrap().unwrap().status, JobStatus::Waiting);
    assert_eq!(world.ask("GET", "/v1/exports/report-1", None).await.0, 404);
}

/// Holds each file of an export that is done against its manifest, and that against the one beside it.
fn sound(world: &World, answer: &Value) {
    let files = answer["files"].as_array().unwrap();
    assert!(!files.is_empty());
    for file in files {
        let manifest = &file["manifest"];
        let key = file["link"].as_str().unwrap().strip_prefix("https://files.example/").unwrap();
        let key = key.strip_suffix("?signed").unwrap();
        let found = world.files.inner.file(key).unwrap();
        let sum = data_encoding::HEXLOWER.encode(&Sha256::digest(&found.bytes));
        assert_eq!((&manifest["sha256"], &manifest["bytes"]), (&json!(sum), &json!(found.bytes.len())));
        let text = String::from_utf8(found.bytes).unwrap();
        let rows = if key.ends_with(".csv") {
            csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).count()
        } else {
            text.lines().count()
        };
        assert_eq!((&manifest["rows"], &manifest["file"]), (&json!(rows), &json!(found.file_name)));
        let beside = world.files.inner.file(&format!("{key}.manifest.json")).unwrap();
        assert_eq!(&serde_json::from_slice::<Value>(&beside.bytes).unwrap(), manifest);
        assert!(file["manifest_link"].as_str().unwrap().contains(&format!("{key}.manifest.json")));
    }
}

/// Runs an export of several parts that something happens to, then as often as it takes, and checks its rows.
async fn holds(happens: impl FnOnce(&World)) -> World {
    let many = Arc::new(Many::new(LEADS));
    let world = World::over(Arc::clone(&many)).await;
    let id = world.export(wide("csv")).await;
    happens(&world);
    let mut calls = 0;
    while world.files.inner.file(&format!("exports/{id}.csv")).is_none()
        || world.app.jobs.get(&id).await.unwrap().is_none_or(|job| job.status != JobStatus::Done)
    {
        calls += 1;
        assert!(calls < 8, "it comes to an end");
        world.work().await;
        world.failures.heal();
        // Long enough for a lease to end.
        world.later(LEASE_MS);
        world.look(&id).await;
    }
    let rows = ids(&world.file(&id, "csv"));
    let different: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), different.len(), "no row is doubled");
    assert_eq!(different, many.expected(), "no row is lost");
    let answer = world.look(&id).await;
    assert_eq!(answer["rows"], rows.len());
    let left_out = (0..LEADS).filter(|n| n % 3 == 0 && n % 5 != 0).count();
    assert_eq!(answer["left_out"]["consent_withdrawn"], left_out);
    sound(&world, &answer);
    world
}

#[tokio::test]
async fn whatever_call_of_a_worker_fails_no_row_is_lost_or_doubled() {
    let undisturbed = holds(|world| drop(world.failures.take_calls())).await;
    let calls = undisturbed.failures.take_calls();
    let writes = calls.iter().filter(|call| **call == "put").count();
    assert!(undisturbed.files.calls() >= 8, "several parts");
    let files = undisturbed.files.inner.keys();
    let whole = |key: &&String| key.ends_with(".csv") || key.ends_with(".manifest.json");
    assert_eq!(files.iter().filter(|key| key.starts_with("exports/")).filter(|key| !whole(key)).count(), 0);
    for n in 1..calls.len() {
        holds(|world| world.failures.on_call(n, Failure::Throttled)).await;
    }
    for n in 1..=writes {
        for failure in [Failure::TimedOutAfterWrite, Failure::Conflict] {
            holds(|world| world.failures.on_write(n, failure)).await;
        }
    }
}

#[tokio::test]
async fn whatever_call_to_the_files_fails_no_row_is_lost_or_doubled() {
    let calls = holds(|_| {}).await.files.calls();
    for n in 1..=calls {
        for after in [false, true] {
            holds(|world| *world.files.fails.lock().unwrap() = Some((n, after))).await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_cleared_away_is_begun_anew() {
    for code in ["NoSuchUpload", "InvalidPart"] {
        holds(|world| *world.files.lost.lock().unwrap() = Some(code)).await;
    }
}

#[tokio::test]
async fn an_upload_of_days_ago_is_begun_anew() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    world.app.work_for = Duration::ZERO;
    let id = world.export(wide("csv")).await;
    world.work().await;
    let upload = |job: &adapters::jobs::Job| job.state["outputs"][0]["upload"]["id"].clone();
    let first = upload(&world.app.jobs.get(&id).await.unwrap().unwrap());
    world.later(DAY_MS);
    world.work().await;
    assert_ne!(upload(&world.app.jobs.get(&id).await.unwrap().unwrap()), first);
    world.app.work_for = WORK_FOR;
    world.work().await;
    assert_eq!(ids(&world.file(&id, "csv")).len(), many.expected().len());
}

#[tokio::test]
async fn a_worker_whose_time_is_over_hands_on_what_it_has_and_costs_no_attempt() {
    let many = Arc::new(Many::new(LEADS));
    let mut world = World::over(Arc::clone(&many)).await;
    world.app.work_for = Duration::ZERO;
    let id = world.export(wide("csv")).await;
    let mut workers = 0;
    loop {
        workers += 1;
        world.work().await;
        let job = world.app.jobs.get(&id).await.unwrap().unwrap();
        assert!(job.attempts <= 1 && workers < MOST_ATTEMPTS);
        if job.status == JobStatus::Done {
            break;
        }
    }
    assert!(workers > 1);
    assert_eq!(ids(&world.file(&id, "csv")).into_iter().collect::<BTreeSet<_>>(), many.expected());
}

#[tokio::test]
async fn two_workers_of_one_export_make_one_file() {
    let many = Arc::new(Many::new(LEADS));
    let world = World::over(Arc::clone(&many)).await;
    let id = world.export(wide("csv")).await;
    let (one, other) = tokio::join!(run_job(&world.app, &id), run_job(&world.app, &id));
    one.and(other).unwrap();
    let rows = ids(&world.file(&id, "csv"));
    assert_eq!((rows.len(), rows.into_iter().collect()), (many.expected().len(), many.expected()));
}
