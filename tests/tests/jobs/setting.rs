//! A store, a catalog with a playbook, tokens, a clock, and every function that runs by itself.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::ports::Catalog;
use adapters::write_path::{About, WritePath};
use axum::Router;
use domain::change::{Fact, Incoming};
use domain::identity::{Identity, LeadId};
use domain::lead::Lead;
use domain::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;
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
    pub(crate) rescore: rescore::App,
    pub(crate) export: segment_export::App,
    pub(crate) insights: insights::App,
    pub(crate) write_path: WritePath,
    api: Api,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let catalog: Arc<dyn Catalog> = Arc::new(MemoryCatalog::new());
        activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let (store, failures) = (Arc::new(MemoryLeadStore::new()), Failures::none());
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
        let capture = lead_capture::App::new(failing, Arc::clone(&catalog), Arc::clone(&shown));
        let write_path = capture.write_path.clone();
        let router: Router = [
            lead_capture::router(capture),
            segment_export::router(export.clone()),
            insights::router(insights.clone()),
            playbook::router(playbook::App::new(catalog, shown)),
        ]
        .into_iter()
        .fold(Router::new(), |whole, part| whole.merge(part.split_for_parts().0));
        let api = Api::of(adapters::http::finish(router));
        Self { store, failures, clock, files, started, tokens, rescore, export, insights, write_path, api }
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

    pub(crate) async fn handle(&self, event: Value) -> Value {
        rescore::handle(&self.rescore, event).await.unwrap()
    }
}
