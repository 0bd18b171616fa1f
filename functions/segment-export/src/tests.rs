//! Stories of previews and exports, in memory.

mod changes;
mod faults;
mod routes;
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
