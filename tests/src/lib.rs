//! The functions' routers, wired to a store that a test chose.
//!
//! A [`World`] is a store, a catalog with a playbook and a token for each role, a clock that a test sets, and the API on
//! top; everything goes through wrappers that fail when the test says so. Requests go to the routers directly: no port is
//! opened. What API Gateway adds is tried with the files of `events/`.
//!
//! # Layout
//!
//! * this file – [`World`], [`Api`], [`Call`] and [`Answer`];
//! * `tests/conformance.rs` – the store contract, on memory and on DynamoDB;
//! * `tests/acceptance.rs` – what the API promises, a module per function; races, faults and logs.
//!
//! A function joins by adding its router to [`Api::over`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests call this, and a panic is how a test says that something is wrong"
)]

use adapters::clock::{Clock, SetClock};
use adapters::http::{Role, split};
use adapters::ports::{Catalog, LeadLists, LeadStore, Timeline, Visitors};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use domain::time::Timestamp;
use leadloop::dev::queue::LocalQueue;
use serde_json::Value;
use std::sync::Arc;
use testkit::builders::{NOON, activate, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, Failures, MemoryCatalog, MemoryFiles, MemoryJobStarter,
    MemoryLeadStore, Outbox, RoleTokens, test_playbook,
};
use tower::ServiceExt;

/// A function with its own routes, as API Gateway sees it.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name, that of its folder.
    pub name: &'static str,
    /// Its routes.
    pub router: Router,
    /// Its OpenAPI document.
    pub openapi: Value,
}

/// The API: every function's routes.
#[derive(Clone, Debug)]
pub struct Api {
    /// The functions, each with its own caches.
    pub functions: Vec<Function>,
    router: Router,
}

impl Api {
    /// Wires the functions to a store.
    ///
    /// # Panics
    ///
    /// Where an OpenAPI document cannot be written.
    #[must_use]
    pub fn over<S>(store: &Arc<S>, catalog: &Arc<dyn Catalog>, clock: &Arc<dyn Clock>) -> Self
    where
        S: LeadStore + Timeline + Visitors + LeadLists + 'static,
    {
        let (store, catalog, clock) = (|| Arc::clone(store), || Arc::clone(catalog), || Arc::clone(clock));
        let capture = lead_capture::router(lead_capture::App::new(store(), catalog(), clock()));
        let feedback = sales_feedback::router(sales_feedback::App::new(store(), catalog(), clock()));
        let (files, jobs) = (Arc::new(MemoryFiles::new()), Arc::new(MemoryJobStarter::new()));
        let export = segment_export::App::new(store(), catalog(), files, jobs.clone(), clock());
        let reports = insights::App::new(store(), catalog(), jobs, clock());
        let all = [
            ("lead-capture", capture),
            ("segment-export", segment_export::router(export)),
            ("sales-feedback", feedback),
            ("playbook", playbook::router(playbook::App::new(catalog(), clock()))),
            ("insights", insights::router(reports)),
            ("nurture", nurture::router(nurture::App::new(store(), catalog(), None, clock()))),
            ("deliver", deliver::router(deliveries(store(), catalog(), clock()))),
        ];
        let mut merged = None;
        let mut functions = Vec::new();
        for (name, routes) in all {
            let (router, openapi) = split(routes.clone());
            functions.push(Function { name, router, openapi: serde_json::to_value(openapi).unwrap() });
            merged = Some(match merged {
                None => routes,
                Some(merged) => routes.merge(merged),
            });
        }
        let (router, _) = split(merged.expect("there are functions"));
        Self { functions, router }
    }

    /// Takes a router that was wired elsewhere.
    #[must_use]
    pub fn of(router: Router) -> Self {
        Self { functions: Vec::new(), router }
    }

    /// Gives all routes, to be served.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Starts a request.
    ///
    /// # Panics
    ///
    /// Where the method is none.
    #[must_use]
    pub fn call(&self, method: &str, path: &str) -> Call {
        Call {
            router: self.router.clone(),
            request: Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path),
            body: Body::empty(),
        }
    }
}

/// Gives the function that sends to webhooks, with queues of its own; it reaches this machine itself, where receivers of
/// tests are.
#[must_use]
pub fn deliveries(
    leads: Arc<dyn LeadStore>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
) -> deliver::App {
    let queue = || LocalQueue::in_memory(Arc::clone(&clock));
    let poster = deliver::post::Poster::new(true);
    deliver::App::new(
        leads,
        catalog,
        queue(),
        queue(),
        poster,
        "urn:leadloop:test".to_owned(),
        Arc::clone(&clock),
    )
}

/// A request in the making.
#[derive(Debug)]
pub struct Call {
    router: Router,
    request: axum::http::request::Builder,
    body: Body,
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Adds a token.
    #[must_use]
    pub fn token(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    /// Adds a body of JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends it.
    ///
    /// # Panics
    ///
    /// Where it is no request.
    pub async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let response = self.router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends it and demands a status.
    ///
    /// # Panics
    ///
    /// Where the answer has another.
    pub async fn expect(self, status: u16) -> Answer {
        let answer = self.send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        answer
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Gives the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Gives the body as JSON.
    ///
    /// # Panics
    ///
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Gives a header, empty where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Gives the pointers of the faults that a problem names, sorted.
    #[must_use]
    pub fn pointers(&self) -> Vec<String> {
        let mut pointers: Vec<String> = self.json()["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|fault| fault["pointer"].as_str().unwrap_or_default().to_owned())
            .collect();
        pointers.sort();
        pointers
    }
}

/// A store with a playbook and tokens, a clock, and the API on top.
#[derive(Debug)]
pub struct World {
    /// The API.
    pub api: Api,
    /// A token for each role.
    pub tokens: RoleTokens,
    /// The time; [`NOON`] at first.
    pub clock: Arc<SetClock>,
    /// What fails; nothing at first.
    pub failures: Failures,
    /// The store in memory, where it is that.
    memory: Option<Arc<MemoryLeadStore>>,
    /// The database, where it is that.
    dynamo: Option<Arc<Dynamo>>,
    /// The catalog, past the failures.
    pub catalog: Arc<dyn Catalog>,
}

impl World {
    /// Makes a world in memory, with the tests' playbook.
    pub async fn new() -> Self {
        Self::with(&test_playbook()).await
    }

    /// Makes a world in memory, with a playbook.
    pub async fn with(playbook: &Value) -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        let store = Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog)));
        let world = Self::over(&store, catalog, playbook).await;
        Self { memory: Some(store), ..world }
    }

    /// Makes a world on DynamoDB, with the tests' playbook.
    pub async fn on_dynamo() -> Self {
        let dynamo = Arc::new(Dynamo::start().await);
        let world = Self::over(&Arc::new(dynamo.leads()), Arc::new(dynamo.catalog()), &test_playbook()).await;
        Self { dynamo: Some(dynamo), ..world }
    }

    async fn over<S, C>(store: &Arc<S>, catalog: Arc<C>, playbook: &Value) -> Self
    where
        S: LeadStore + Timeline + Visitors + LeadLists + 'static,
        C: Catalog + 'static,
    {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let plain: Arc<dyn Catalog> = Arc::clone(&catalog) as _;
        activate(playbook, Arc::clone(&plain), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&plain), Arc::clone(&shown)).await.unwrap();
        let failures = Failures::none();
        let failing: Arc<dyn Catalog> = Arc::new(FailingCatalog::new(catalog, failures.clone()));
        let store = Arc::new(FailingLeadStore::new(Arc::clone(store), failures.clone()));
        let api = Api::over(&store, &failing, &shown);
        Self { api, tokens, clock, failures, memory: None, dynamo: None, catalog: plain }
    }

    /// Gives the store in memory.
    ///
    /// # Panics
    ///
    /// Where the world stands on DynamoDB.
    #[must_use]
    pub fn memory(&self) -> &MemoryLeadStore {
        self.memory.as_deref().expect("the world stands on memory")
    }

    /// Gives the database.
    ///
    /// # Panics
    ///
    /// Where the world stands on memory.
    #[must_use]
    pub fn dynamo(&self) -> &Dynamo {
        self.dynamo.as_deref().expect("the world stands on DynamoDB")
    }

    /// Gives the kinds of the events that wait to be sent, sorted.
    pub async fn events(&self) -> Vec<String> {
        let sent = match (&self.memory, &self.dynamo) {
            (Some(memory), _) => memory.sent().await,
            (None, Some(dynamo)) => dynamo.sent().await,
            (None, None) => Vec::new(),
        };
        let mut kinds: Vec<String> = sent.into_iter().map(|event| event.kind).collect();
        kinds.sort();
        kinds
    }

    /// Gives the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Goes forward in time.
    pub fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    /// Starts a request with the token of a role.
    #[must_use]
    pub fn call(&self, role: Role, method: &str, path: &str) -> Call {
        self.api.call(method, path).token(self.tokens.of(role))
    }

    /// Posts JSON with the token of a role.
    pub async fn post(&self, role: Role, path: &str, body: &Value) -> Answer {
        self.call(role, "POST", path).json(body).send().await
    }

    /// Gets JSON with the token of a role.
    ///
    /// # Panics
    ///
    /// Where the answer is not 200.
    pub async fn get(&self, role: Role, path: &str) -> Value {
        self.call(role, "GET", path).send().await.ok(path)
    }

    /// Posts a form as a page's script does.
    pub async fn submit(&self, form: &str, body: &Value) -> Answer {
        self.api.call("POST", &format!("/v1/forms/{form}")).json(body).send().await
    }

    /// Gives the id of the lead that is known by an e-mail address.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub async fn lead_id(&self, email: &str) -> String {
        let found = self.post(Role::Admin, "/v1/leads/lookup", &serde_json::json!({ "email": email })).await;
        let found = found.ok("lookup");
        found["items"][0]["lead_id"]
            .as_str()
            .unwrap_or_else(|| panic!("nobody is known by {email}"))
            .to_owned()
    }

    /// Gives the dossier of the lead that is known by an e-mail address.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub async fn dossier(&self, email: &str) -> Value {
        let id = self.lead_id(email).await;
        self.get(Role::Sales, &format!("/v1/leads/{id}?limit=200")).await
    }
}

impl Answer {
    /// Gives the JSON of an answer that must be 200.
    ///
    /// # Panics
    ///
    /// Where it is not.
    pub fn ok(self, what: &str) -> Value {
        assert_eq!(self.status, 200, "{what}: {}", self.text());
        self.json()
    }
}

/// Gives a submission of the form `contact` that is one of ours and asks to be contacted.
#[must_use]
pub fn ada() -> Value {
    serde_json::json!({
        "email": "Ada@Company.example",
        "full_name": "Ada Example",
        "company": "Company Ltd.",
        "country": "Austria",
        "job_title": "Head of Sales",
        "company_size": "120",
        "message": "Please call me.",
        "submission_id": "s-ada-1",
    })
}

/// Works as far as a number of steps, and dies there: what waits for an answer is dropped where it stands.
pub async fn dies_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (Box::pin(work), steps);
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}
