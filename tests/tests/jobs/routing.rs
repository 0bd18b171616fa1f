//! Who gets a real prospect, and what somebody has who leaves: many at once, on both stores, with workers that die.

use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::jobs::{JobKind, JobStatus, LEASE_MS};
use adapters::ports::{
    Catalog, CatalogKind, Commit, Direction, LeadLists, LeadStore, Put, Remains, Timeline, Visitors,
};
use adapters::write_path::About;
use domain::change::{Effect, Fact};
use domain::identity::{LeadId, LeadRef};
use domain::lead::Lead;
use domain::routing::{Hindrance, Routed, Rule};
use domain::sales::Move;
use domain::stage::Stage;
use domain::time::{DAY_MS, MINUTE_MS};
use futures::future::join_all;
use serde_json::{Value, json};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use testkit::builders::{NOON, a_lead, activate, delivered, email, slug, test_playbook, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, Failure, Failures, MemoryCatalog, MemoryLeadStore, RoleTokens,
};
use tests::{Answer, Api};

/// Sales with its inboxes, and the tick.
struct House {
    store: Arc<dyn LeadStore>,
    timeline: Arc<dyn Timeline>,
    catalog: Arc<dyn Catalog>,
    failures: Failures,
    clock: Arc<SetClock>,
    tokens: RoleTokens,
    feedback: sales_feedback::App,
    rescore: rescore::App,
    api: Api,
    _alive: Option<Arc<dyn Any + Send + Sync>>,
}

/// The tests' playbook, with a pool for the Alps and another one in Germany.
fn pooled() -> Value {
    let mut playbook = test_playbook();
    let pool = json!([{"person": "ann"}, {"person": "bob"}, {"person": "cid", "weight": 2}]);
    playbook["territories"][0]["pool"] = pool;
    playbook["territories"][1]["pool"] = json!([{"person": "ann"}]);
    playbook
}

impl House {
    async fn in_memory() -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        Self::over(Arc::new(MemoryLeadStore::beside(Arc::clone(&catalog))), catalog).await
    }

    async fn on_dynamo() -> Self {
        let dynamo = Arc::new(Dynamo::start().await);
        let house = Self::over(Arc::new(dynamo.leads()), Arc::new(dynamo.catalog())).await;
        Self { _alive: Some(dynamo), ..house }
    }

    async fn over<S, C>(store: Arc<S>, catalog: Arc<C>) -> Self
    where
        S: LeadStore + Timeline + Visitors + Remains + LeadLists + 'static,
        C: Catalog + 'static,
    {
        let clock = Arc::new(SetClock::at(time(NOON)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let plain: Arc<dyn Catalog> = Arc::clone(&catalog) as _;
        activate(&pooled(), Arc::clone(&plain), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&plain), Arc::clone(&shown)).await.unwrap();
        let failures = Failures::none();
        let failing = Arc::new(FailingLeadStore::new(Arc::clone(&store), failures.clone()));
        let records: Arc<dyn Catalog> = Arc::new(FailingCatalog::new(catalog, failures.clone()));
        let feedback =
            sales_feedback::App::new(Arc::clone(&failing), Arc::clone(&records), Arc::clone(&shown));
        let rescore = rescore::App::on_one_machine(failing, records, shown);
        let router = sales_feedback::router(feedback.clone()).split_for_parts().0;
        let api = Api::of(adapters::http::finish(router));
        let house = Self {
            store: Arc::clone(&store) as _,
            timeline: store,
            catalog: plain,
            failures,
            clock,
            tokens,
            feedback,
            rescore,
            api,
            _alive: None,
        };
        for id in ["ann", "bob", "cid", "dan", "at-1", "de-1", "eu-1"] {
            house.person(id, &json!({})).await;
        }
        house
    }

    /// Writes a person's record, and lets a minute pass, so that everybody sees it.
    async fn person(&self, id: &str, body: &Value) {
        let put = match self.catalog.get(CatalogKind::Person, id).await.unwrap() {
            Some(record) => Put::over(&record, body.clone()),
            None => Put::new(CatalogKind::Person, id, body.clone()),
        };
        assert!(self.catalog.put(&[put]).await.unwrap());
        self.later(MINUTE_MS);
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    /// Stores a lead that the qualifier of Austria has.
    async fn handed(&self, who: &str, company: Option<&str>) -> LeadId {
        let mut change = a_lead().at(self.clock.now()).ready().known_by(email(who)).change();
        change.lead.company.domain = company.map(str::to_owned);
        assert_eq!(change.lead.person, Some(slug("at-1")));
        assert_eq!(self.store.commit(&change).await.unwrap(), Commit::Done);
        change.lead.id
    }

    /// Stores so many of them.
    async fn many(&self, n: usize) -> Vec<LeadId> {
        let mut ids = Vec::new();
        for n in 0..n {
            ids.push(self.handed(&format!("{n}@company.example"), None).await);
        }
        ids
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.api.call("POST", path).token(self.tokens.of(Role::Sales)).json(body).send().await
    }

    async fn qualify(&self, id: &LeadId) -> Value {
        let path = format!("/v1/leads/{id}/feedback");
        self.post(&path, &json!({"kind": "qualified", "by": "at-1"})).await.ok("qualified")
    }

    /// Records that a lead is a real prospect, and dies before it is given to anybody.
    async fn qualify_and_die(&self, id: &LeadId) -> Lead {
        let fact = Fact::Sales { what: Move::Qualified, by: Some(slug("at-1")), note: None };
        let fact = delivered(&format!("qualified {id}"), self.clock.now(), fact);
        let about = About::Known(LeadRef::Id(id.clone()));
        self.feedback.write_path.record(&about, &[fact]).await.unwrap().lead
    }

    async fn lead(&self, id: &LeadId) -> Lead {
        self.store.load(std::slice::from_ref(id)).await.unwrap().pop().unwrap()
    }

    async fn owner(&self, id: &LeadId) -> String {
        self.lead(id).await.person.unwrap().to_string()
    }

    /// Gives how many of the leads each has.
    async fn owners(&self, ids: &[LeadId]) -> BTreeMap<String, usize> {
        let mut owners = BTreeMap::new();
        for id in ids {
            *owners.entry(self.owner(id).await).or_default() += 1;
        }
        owners
    }

    /// Gives why a lead went to whom, from first to last.
    async fn routed(&self, id: &LeadId) -> Vec<Routed> {
        let page = self.timeline.entries(id, Direction::Forward, 100, None).await.unwrap();
        let effects = page.items.into_iter().flat_map(|entry| entry.effects);
        let why = |effect| if let Effect::Routed(routed) = effect { Some(routed) } else { None };
        effects.filter_map(why).collect()
    }

    async fn tick(&self) -> Value {
        rescore::handle(&self.rescore, json!({"action": "due"})).await.unwrap()
    }
}

fn shares(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect()
}

fn people(passed: &Routed) -> Vec<(&str, Hindrance)> {
    passed.passed.iter().map(|passed| (passed.person.as_str(), passed.because)).collect()
}

#[tokio::test]
async fn forty_leads_that_are_qualified_at_once_have_one_owner_each_and_everybody_their_share() {
    for (name, house, conflicts) in [
        ("memory", House::in_memory().await, false),
        ("memory with conflicts", House::in_memory().await, true),
        ("DynamoDB", House::on_dynamo().await, false),
        ("DynamoDB with conflicts", House::on_dynamo().await, true),
    ] {
        let ids = house.many(40).await;
        if conflicts {
            house.failures.every_write(3, Failure::Conflict);
        }
        let answers = join_all(ids.iter().map(|id| house.qualify(id))).await;
        assert!(answers.iter().all(|answer| answer["status"] == "updated"), "{name}");
        house.failures.heal();
        // Who was overrun by the others is found by the tick.
        house.tick().await;
        assert_eq!(
            house.owners(&ids).await,
            shares(&[("ann", 10), ("bob", 10), ("cid", 20)]),
            "{name}: everybody exactly their share of ten full turns"
        );
        for id in &ids {
            let lead = house.lead(id).await;
            let assigned = lead.sales.iter().filter(|fact| matches!(fact.what, Move::Assigned { .. }));
            assert_eq!((assigned.count(), lead.to_assign), (1, None), "{name}");
            let why = house.routed(id).await;
            assert_eq!(why.len(), 1, "{name}");
            assert_eq!((why[0].rule, why[0].territory.clone()), (Rule::Turn, Some(slug("alps"))));
        }
    }
}

#[tokio::test]
async fn the_answer_to_the_feedback_says_who_has_it_now() {
    let house = House::in_memory().await;
    let id = house.handed("ada@company.example", None).await;
    let answer = house.qualify(&id).await;
    assert_eq!(answer["owner"], json!({"team": "sales", "person": "cid"}));
    let call = house.api.call("GET", &format!("/v1/leads/{id}")).token(house.tokens.of(Role::Sales));
    let dossier = call.send().await.ok("dossier");
    let effects = dossier["timeline"]["items"][0]["effects"].as_array().unwrap();
    let routed = effects.iter().find(|effect| effect["effect"] == "routed").unwrap();
    let expected =
        json!({"effect": "routed", "to": "cid", "territory": "alps", "rule": "turn", "passed_over": []});
    assert_eq!((routed, &dossier["waits_for_pool"]), (&expected, &json!(false)));
}

#[tokio::test]
async fn whoever_dies_between_the_feedback_and_the_pool_is_made_good_by_the_tick() {
    for house in [House::in_memory().await, House::on_dynamo().await] {
        let ids = house.many(4).await;
        for id in &ids {
            let lead = house.qualify_and_die(id).await;
            assert_eq!((lead.stage, lead.person.as_ref()), (Stage::SalesQualified, Some(&slug("at-1"))));
            assert!(lead.to_assign.is_some() && lead.due_at == Some(house.clock.now()));
        }
        house.tick().await;
        assert_eq!(house.owners(&ids).await, shares(&[("ann", 1), ("bob", 1), ("cid", 2)]));
        house.tick().await;
        for id in &ids {
            assert_eq!(house.routed(id).await.len(), 1, "nobody is given away twice");
        }
    }
}

#[tokio::test]
async fn a_write_that_is_said_to_have_failed_gives_a_lead_away_once() {
    let house = House::in_memory().await;
    let ids = house.many(4).await;
    for id in &ids {
        // The feedback itself, then the lead with its turn.
        house.failures.on_write(2, Failure::TimedOutAfterWrite);
        house.qualify(id).await;
    }
    assert_eq!(house.owners(&ids).await, shares(&[("ann", 1), ("bob", 1), ("cid", 2)]));
    for id in &ids {
        assert_eq!(house.routed(id).await.len(), 1);
    }
}

#[tokio::test]
async fn where_the_pool_cannot_be_asked_the_feedback_is_recorded_and_the_tick_goes_on() {
    let house = House::in_memory().await;
    let id = house.handed("ada@company.example", None).await;
    // What is stored of whose turn it is cannot be read by anybody: the answer comes all the same.
    let lead = house.qualify_and_die(&id).await;
    house.failures.outage();
    let failed = rescore::handle(&house.rescore, json!({"action": "due"})).await;
    assert!(failed.is_err());
    house.failures.heal();
    assert_eq!(house.lead(&id).await, lead);
    house.tick().await;
    assert_eq!(house.owner(&id).await, "cid");
}

#[tokio::test]
async fn colleagues_go_to_one_person_also_when_they_come_at_once() {
    for house in [House::in_memory().await, House::on_dynamo().await] {
        let mut ids = Vec::new();
        for n in 0..12 {
            let company = ["one.example", "two.example", "three.example"][n % 3];
            ids.push(house.handed(&format!("{n}@{company}"), Some(company)).await);
        }
        join_all(ids.iter().map(|id| house.qualify(id))).await;
        house.tick().await;
        let mut by_company: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for (n, id) in ids.iter().enumerate() {
            by_company.entry(n % 3).or_default().insert(house.owner(id).await);
        }
        assert!(by_company.values().all(|owners| owners.len() == 1), "{by_company:?}");
        assert_eq!(by_company.values().flatten().collect::<BTreeSet<_>>().len(), 3, "three turns");
        let mut rules: Vec<Rule> = Vec::new();
        for id in &ids {
            rules.extend(house.routed(id).await.iter().map(|routed| routed.rule));
        }
        let of = |rule| rules.iter().filter(|known| **known == rule).count();
        assert_eq!((of(Rule::Turn), of(Rule::Company)), (3, 9));
    }
}

#[tokio::test]
async fn who_is_away_is_passed_over_and_keeps_their_companies() {
    let house = House::in_memory().await;
    let first = house.handed("a@one.example", Some("one.example")).await;
    house.qualify(&first).await;
    assert_eq!(house.owner(&first).await, "cid");
    house.person("cid", &json!({"absences": [{"from": "2026-11-22", "through": "2026-11-23"}]})).await;
    let second = house.handed("b@one.example", Some("one.example")).await;
    house.qualify(&second).await;
    assert_eq!(house.owner(&second).await, "ann");
    assert_eq!(people(&house.routed(&second).await[0]), [("cid", Hindrance::Absent)]);
    house.later(2 * DAY_MS);
    let third = house.handed("c@one.example", Some("one.example")).await;
    house.qualify(&third).await;
    assert_eq!(
        (house.owner(&third).await.as_str(), house.routed(&third).await[0].rule),
        ("cid", Rule::Company)
    );
}

#[tokio::test]
async fn a_lead_that_nobody_has_room_for_waits_and_gets_its_turn_the_next_day() {
    let house = House::in_memory().await;
    for id in ["ann", "bob", "cid"] {
        house.person(id, &json!({"daily_capacity": 1})).await;
    }
    let ids = house.many(4).await;
    for id in &ids {
        house.qualify(id).await;
    }
    assert_eq!(house.owners(&ids).await, shares(&[("ann", 1), ("at-1", 1), ("bob", 1), ("cid", 1)]));
    let waits = &ids[3];
    for _ in 0..3 {
        let before = house.lead(waits).await;
        house.tick().await;
        let after = house.lead(waits).await;
        assert!(after.to_assign.is_some() && after.person == Some(slug("at-1")));
        assert_eq!(after.due_at, Some(house.clock.now().plus(15 * MINUTE_MS)), "it is asked for again");
        assert_eq!(after.version, before.version + 1);
        house.tick().await;
        assert_eq!(house.lead(waits).await, after, "and until then nothing is written");
        house.later(15 * MINUTE_MS);
    }
    house.later(DAY_MS);
    house.tick().await;
    assert_ne!(house.owner(waits).await, "at-1");
}

#[tokio::test]
async fn how_many_somebody_has_and_got_elsewhere_counts() {
    let house = House::in_memory().await;
    house.person("cid", &json!({"open_capacity": 1})).await;
    house.person("ann", &json!({"daily_capacity": 1})).await;
    let ids = house.many(3).await;
    house.qualify(&ids[0]).await;
    // What Germany's pool gave her today leaves no room.
    let rotation = domain::routing::Rotation::read(&json!({
        "turns": 1, "people": {"ann": {"owed": 0, "last": 1, "day": "2026-11-22", "that_day": 1}},
    }));
    let put = Put::new(CatalogKind::Rotation, "germany", rotation.to_json());
    assert!(house.catalog.put(&[put]).await.unwrap());
    house.qualify(&ids[1]).await;
    house.qualify(&ids[2]).await;
    assert_eq!(house.owners(&ids).await, shares(&[("bob", 2), ("cid", 1)]));
    let why = house.routed(&ids[2]).await;
    assert_eq!(people(&why[0]), [("ann", Hindrance::FullToday), ("cid", Hindrance::Full)]);
}

#[tokio::test]
async fn a_qualifier_who_is_away_is_answered_for_by_the_deputy_and_it_is_said_why() {
    let house = House::in_memory().await;
    house.person("at-1", &json!({"deputy": "dan", "holidays": ["2026-11-22"]})).await;
    let about = About::Anybody(vec![email("ada@company.example")]);
    let capture = a_lead().ready();
    let incoming = capture.fact("s-1", house.clock.now());
    let lead = house.feedback.write_path.record(&about, &[incoming]).await.unwrap().lead;
    assert_eq!((lead.stage, lead.person), (Stage::MarketingQualified, Some(slug("dan"))));
    let why = house.routed(&lead.id).await;
    assert_eq!((why[0].rule, people(&why[0])), (Rule::Deputy, vec![("at-1", Hindrance::Holiday)]));
}

/// Lets somebody with thirty leads leave: some are to be qualified yet, and some are real prospects.
async fn leaving(house: &House) -> (Vec<LeadId>, Vec<LeadId>) {
    house.person("at-1", &json!({"deputy": "dan"})).await;
    let mut ids = house.many(30).await;
    let sold = ids.split_off(18);
    for id in &sold {
        house.qualify_and_die(id).await;
    }
    house.person("at-1", &json!({"deputy": "dan", "left_at": "2026-11-22T12:00:00Z"})).await;
    (ids, sold)
}

#[tokio::test]
async fn what_somebody_has_who_leaves_goes_to_others_each_with_why() {
    for house in [House::in_memory().await, House::on_dynamo().await] {
        let (open, sold) = leaving(&house).await;
        let answer = house.post("/v1/people/at-1/reassign", &json!({})).await.ok("reassign");
        assert_eq!(
            (&answer["status"], &answer["result"]),
            (&json!("done"), &json!({"moved": 30, "stayed": 0}))
        );
        assert_eq!(house.owners(&open).await, shares(&[("dan", 18)]));
        assert_eq!(house.owners(&sold).await, shares(&[("ann", 3), ("bob", 3), ("cid", 6)]));
        for id in open.iter().chain(&sold) {
            let why = house.routed(id).await;
            assert_eq!((why.len(), people(&why[0])[0]), (1, ("at-1", Hindrance::Left)));
        }
        // Once more is none more.
        house.later(1);
        let again = house.post("/v1/people/at-1/reassign", &json!({})).await.ok("reassign");
        assert_eq!(again["result"], json!({"moved": 0, "stayed": 0}));
    }
}

#[tokio::test]
async fn what_somebody_has_who_left_goes_to_others_by_itself_and_what_comes_later_the_next_day() {
    for house in [House::in_memory().await, House::on_dynamo().await] {
        let (open, sold) = leaving(&house).await;
        let later = house.clock.now().plus(MINUTE_MS);
        house.person("at-1", &json!({"deputy": "dan", "left_at": later.to_string()})).await;
        house.clock.set(later.plus(-1));
        assert_eq!(house.tick().await["ordered"], json!([]), "they are there still");
        house.clock.set(later);
        let ticked = house.tick().await;
        assert_eq!(ticked["ordered"], json!(["reassign-at-1-2026-11-22"]));
        assert_eq!(house.owners(&open).await, shares(&[("dan", 18)]));
        assert_eq!(house.owners(&sold).await, shares(&[("ann", 3), ("bob", 3), ("cid", 6)]));
        for id in open.iter().chain(&sold) {
            assert_eq!(house.routed(id).await.len(), 1, "nobody is moved twice");
        }
        // What somebody assigns to them all the same waits for the next day; without any there is nothing to do.
        house.later(1);
        let path = format!("/v1/leads/{}/feedback", open[0]);
        house.post(&path, &json!({"kind": "assigned", "to": "at-1", "by": "dan"})).await.ok("assigned");
        assert_eq!(house.tick().await["ordered"], json!([]));
        house.later(DAY_MS);
        assert_eq!(house.tick().await["ordered"], json!(["reassign-at-1-2026-11-23"]));
        assert_eq!(house.owners(&open).await, shares(&[("dan", 18)]));
        house.later(DAY_MS);
        assert_eq!(house.tick().await["ordered"], json!([]));
    }
}

#[tokio::test]
async fn a_lead_that_cannot_be_given_away_holds_up_no_other() {
    let house = House::in_memory().await;
    let mut ids = house.many(3).await;
    // Nobody knows the version with which it is evaluated.
    let mut broken = a_lead().at(house.clock.now()).ready().known_by(email("odd@company.example")).change();
    broken.lead.playbook_version = 99;
    broken.lead.promise_due_at = Some(house.clock.now());
    assert_eq!(house.store.commit(&broken).await.unwrap(), Commit::Done);
    house.person("at-1", &json!({"deputy": "dan", "left_at": "2026-11-22T12:00:00Z"})).await;
    let failed = rescore::handle(&house.rescore, json!({"action": "due"})).await;
    assert!(failed.is_err(), "it is reported");
    assert_eq!(house.owners(&ids).await, shares(&[("dan", 3)]));
    ids.push(broken.lead.id);
    assert_eq!(house.owners(&ids).await, shares(&[("at-1", 1), ("dan", 3)]));
}

#[tokio::test]
async fn where_nobody_of_the_pool_is_there_a_real_prospect_of_somebody_who_leaves_is_the_qualifier_s() {
    let house = House::in_memory().await;
    let id = house.handed("ada@company.example", None).await;
    house.qualify(&id).await;
    assert_eq!(house.owner(&id).await, "cid");
    for away in ["ann", "bob"] {
        house.person(away, &json!({"absences": [{"from": "2026-11-01"}]})).await;
    }
    let answer = house.post("/v1/people/cid/reassign", &json!({})).await.ok("reassign");
    assert_eq!(answer["result"], json!({"moved": 1, "stayed": 0}));
    assert_eq!(house.owner(&id).await, "at-1");
}

#[tokio::test]
async fn whoever_dies_while_thirty_leads_are_given_away_is_resumed_by_the_tick() {
    // Before the job is there, before anybody holds it, and at ever later reads and writes of the leads.
    for at in [1, 4, 6, 7, 8, 30, 60] {
        let house = House::in_memory().await;
        let (open, sold) = leaving(&house).await;
        house.failures.on_call(at, Failure::Hangs);
        let nothing = json!({});
        let call = house.post("/v1/people/at-1/reassign", &nothing);
        let died = tokio::time::timeout(Duration::from_secs(2), call).await;
        let moved = house.owners(&[open.clone(), sold.clone()].concat()).await;
        let left = moved.get("at-1").copied().unwrap_or(0);
        assert!(died.is_err() && left > 0, "{at}: {moved:?}");
        house.failures.heal();
        let jobs = house.rescore.jobs.list().await.unwrap();
        if jobs.iter().any(|job| job.status == JobStatus::Running) {
            // While somebody holds the job nobody else works on it; asking again changes nothing.
            let answer = house.post("/v1/people/at-1/reassign", &json!({})).await;
            assert_eq!(answer.status, 202, "{at}: {}", answer.text());
            assert_eq!(house.owners(&[open.clone(), sold.clone()].concat()).await, moved);
        }
        house.later(LEASE_MS);
        house.tick().await;
        if jobs.is_empty() {
            // Whoever asked had no answer, and asks again.
            house.post("/v1/people/at-1/reassign", &json!({})).await.ok("reassign");
        }
        assert_eq!(house.owners(&open).await, shares(&[("dan", 18)]), "{at}");
        assert_eq!(house.owners(&sold).await, shares(&[("ann", 3), ("bob", 3), ("cid", 6)]), "{at}");
        for id in open.iter().chain(&sold) {
            assert_eq!(house.routed(id).await.len(), 1, "{at}: nobody is given away twice");
        }
        let jobs = house.rescore.jobs.free(JobKind::Reassign).await.unwrap();
        assert!(jobs.is_empty(), "{at}: nothing is left to do");
    }
}

#[tokio::test]
async fn somebody_s_leads_go_to_whom_is_named_with_their_companies() {
    let house = House::in_memory().await;
    let one = house.handed("a@one.example", Some("one.example")).await;
    house.qualify(&one).await;
    assert_eq!(house.owner(&one).await, "cid");
    let answer = house.post("/v1/people/cid/reassign", &json!({"to": "dan"})).await.ok("reassign");
    assert_eq!(answer["result"], json!({"moved": 1, "stayed": 0}));
    let why = house.routed(&one).await;
    assert_eq!(
        (why[1].rule, why[1].to.as_str(), people(&why[1])),
        (Rule::Named, "dan", vec![("cid", Hindrance::Left)])
    );
    let two = house.handed("b@one.example", Some("one.example")).await;
    house.qualify(&two).await;
    assert_eq!(house.owner(&two).await, "dan", "colleagues stay together");
    house.person("bob", &json!({"left_at": "2026-11-22T12:00:00Z"})).await;
    for (path, body, pointer) in [
        ("/v1/people/cid/reassign", json!({"to": "bob"}), "/to"),
        ("/v1/people/cid/reassign", json!({"to": "cid", "when": 1}), "/to"),
        ("/v1/people/Cid/reassign", json!({}), "/person_id"),
    ] {
        let answer = house.post(path, &body).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains(pointer), "{}", answer.text());
    }
}

#[tokio::test]
async fn what_nobody_else_can_have_stays_and_is_counted() {
    let house = House::in_memory().await;
    house.person("ann", &json!({"daily_capacity": 0})).await;
    house.person("bob", &json!({"daily_capacity": 0})).await;
    house.person("cid", &json!({"daily_capacity": 0})).await;
    let ids = house.many(2).await;
    house.qualify(&ids[0]).await;
    let answer = house.post("/v1/people/at-1/reassign", &json!({})).await.ok("reassign");
    assert_eq!(answer["result"], json!({"moved": 1, "stayed": 1}));
    assert_eq!(house.owners(&ids).await, shares(&[("at-1", 1), ("eu-1", 1)]));
}
