//! A store, a catalog with a playbook, tokens, a clock, and every function that runs by itself.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::ports::{Catalog, Direction, Timeline};
use adapters::write_path::{About, WritePath};
use axum::Router;
use domain::change::{Fact, Incoming};
use domain::identity::{Identity, LeadId};
use domain::lead::Lead;
use domain::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{NOON, activate, delivered, email, time};
use testkit::{
    FailingLeadStore, Failures, MemoryCatalog, MemoryFiles, MemoryJobStarter, MemoryLeadStore, RoleTokens,
    test_playbook,
};
use tests::{Answer, Api};

/// One process with everything in it.
pub(crate) struct Setting {
    pub(crate) store: Arc<MemoryLeadStore>,
    pub(crate) failures: Failures,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) files: Arc<MemoryFiles>,
    pub(crate) started: Arc<MemoryJobStarter>,
    pub(crate) tokens: RoleTokens,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) rescore: rescore::App,
    pub(crate) export: segment_export::App,
    pub(crate) insights: insights::App,
    pub(crate) write_path: WritePath,
    api: Api,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        Self::with(&test_playbook()).await
    }

    pub(crate) async fn with(playbook: &Value) -> Self {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let kept = Arc::new(MemoryCatalog::new());
        let catalog: Arc<dyn Catalog> = Arc::clone(&kept) as _;
        activate(playbook, Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let (store, failures) = (Arc::new(MemoryLeadStore::beside(kept)), Failures::none());
        let failing = Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()));
        let (files, started) = (Arc::new(MemoryFiles::new()), Arc::new(MemoryJobStarter::new()));
        let rescore = rescore::App::on_one_machine(failing.clone(), Arc::clone(&catalog), Arc::clone(&shown));
        let export = segment_export::App::new(
            failing.clone(),
            Arc::clone(&catalog),
            files.clone(),
            started.clone(),
            Arc::clone(&shown),
        );
        let insights =
            insights::App::new(failing.clone(), Arc::clone(&catalog), started.clone(), Arc::clone(&shown));
        let capture = lead_capture::App::new(failing.clone(), Arc::clone(&catalog), Arc::clone(&shown));
        let write_path = capture.write_path.clone();
        let api = api(capture, &export, &insights, &store, &catalog, shown);
        Self {
            store,
            failures,
            clock,
            files,
            started,
            tokens,
            catalog,
            rescore,
            export,
            insights,
            write_path,
            api,
        }
    }

    /// Lets reports and backtests have so much time: while a caller waits, and in each call of a job.
    pub(crate) fn insights_within(&mut self, time: Duration) {
        self.insights.answer_within = time;
        self.insights.work_for = time;
        let shown: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let capture =
            lead_capture::App::new(Arc::clone(&self.store), Arc::clone(&self.catalog), Arc::clone(&shown));
        self.api = api(capture, &self.export, &self.insights, &self.store, &self.catalog, shown);
    }

    /// Gives all routes, to be served.
    pub(crate) fn router(&self) -> Router {
        self.api.router()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn go_to(&self, at: Timestamp) {
        self.clock.set(at);
    }

    pub(crate) fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    pub(crate) async fn call(&self, role: Role, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let call = self.api.call(method, path).token(self.tokens.of(role));
        match body {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        }
    }

    pub(crate) async fn call_as(&self, secret: &str, method: &str, path: &str) -> Answer {
        self.api.call(method, path).token(secret).send().await
    }

    pub(crate) async fn call_with_key(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let call = self.api.call(method, path).token(self.tokens.of(Role::Marketing));
        call.header("idempotency-key", key).json(body).send().await
    }

    pub(crate) async fn call_accepting(&self, path: &str, accept: &str) -> Answer {
        self.api
            .call("GET", path)
            .token(self.tokens.of(Role::Marketing))
            .header("accept", accept)
            .send()
            .await
    }

    /// Records a fact about whoever has an e-mail address, as of now.
    pub(crate) async fn record(&self, who: &str, id: &str, fact: Fact) -> Lead {
        let incoming: Incoming = delivered(id, self.now(), fact);
        let about = About::Anybody(vec![email(who)]);
        self.write_path.record(&about, &[incoming]).await.unwrap().lead
    }

    pub(crate) fn lead(&self, id: &LeadId) -> Lead {
        self.store.leads().into_iter().find(|lead| lead.id == *id).unwrap()
    }

    pub(crate) fn lead_of(&self, who: &str) -> Lead {
        let identity: Identity = email(who);
        self.store.leads().into_iter().find(|lead| lead.identities.contains(&identity)).unwrap()
    }

    /// Gives a lead with its timeline as a text to look for words in.
    pub(crate) async fn story(&self, who: &str) -> (Lead, String) {
        let lead = self.lead_of(who);
        let page = self.store.entries(&lead.id, Direction::Forward, 100, None).await.unwrap();
        let words: Vec<String> = page
            .items
            .iter()
            .map(|entry| {
                format!("{:?}", adapters::dynamodb::entry_record::to_item(lead.id.as_str(), entry, None))
            })
            .collect();
        (lead, words.join("\n"))
    }

    pub(crate) async fn handle(&self, event: Value) -> Value {
        rescore::handle(&self.rescore, event).await.unwrap()
    }
}

fn api(
    capture: lead_capture::App,
    export: &segment_export::App,
    insights: &insights::App,
    store: &Arc<MemoryLeadStore>,
    catalog: &Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
) -> Api {
    let leads = Arc::clone(&capture.leads);
    let router: Router = [
        lead_capture::router(capture),
        segment_export::router(export.clone()),
        insights::router(insights.clone()),
        deliver::router(tests::deliveries(leads, Arc::clone(catalog), Arc::clone(&clock))),
        nurture::router(nurture::App::new(Arc::clone(store), Arc::clone(catalog), None, Arc::clone(&clock))),
        playbook::router(playbook::App::new(Arc::clone(catalog), clock)),
    ]
    .into_iter()
    .fold(Router::new(), |whole, part| whole.merge(part.split_for_parts().0));
    Api::of(adapters::http::finish(router))
}
