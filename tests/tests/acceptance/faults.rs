//! A store that fails at every step: nothing is lost and nothing doubled once the client has tried again.
//!
//! Each story is told once without failures. Then, for every call that it makes and every way to fail, it is told anew
//! with just that call failing, the client sending again whatever was answered with 503. The end must be the same.

use adapters::clock::Clock;
use adapters::http::Role;
use adapters::signed_link::Links;
use domain::consent::Purpose;
use domain::time::MINUTE_MS;
use nurture::link::{Mail, MailLinks};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::builders::NOON;
use testkit::{Failure, MemoryCatalog, MemoryLeadStore};
use tests::{Answer, World, ada};

const WAYS: [Failure; 3] = [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict];

/// Sends until the answer is not "too much at once", as a client does; never more than five times.
async fn insist(send: impl AsyncFn() -> Answer) -> Answer {
    for _ in 0..5 {
        let answer = send().await;
        if answer.status != 503 {
            return answer;
        }
        assert_eq!(answer.json()["type"], "urn:leadloop:problem:busy");
        assert!(!answer.header("retry-after").is_empty(), "it says when to come again");
    }
    panic!("five times 503");
}

/// Everything that is stored, without the ids that are made up.
fn end(world: &World) -> Value {
    let store = world.memory();
    let mut leads: Vec<Value> = store
        .leads()
        .iter()
        .map(|lead| {
            let timeline = store.timeline(&lead.id);
            let entries: Vec<String> = timeline
                .iter()
                .map(|entry| format!("{} {} {:?}", entry.at, entry.fact.kind(), entry.effects).replace(lead.id.as_str(), "it"))
                .collect();
            let events = store.events().into_iter().filter(|(of, _)| *of == lead.id);
            let events: Vec<String> = events.map(|(_, event)| format!("{} {:?}", event.at, event.kind)).collect();
            json!({
                "identities": lead.identities.iter().map(adapters::dynamodb::keys::identity_text).collect::<Vec<_>>(),
                "stage": lead.stage.as_str(), "score": format!("{:?}", lead.score), "activities": lead.activities,
                "attributes": format!("{:?}", lead.attributes), "version": lead.version, "entries": entries,
                "events": events, "due_at": lead.due_at.map(|at| at.to_string()),
            })
        })
        .collect();
    leads.sort_by_key(ToString::to_string);
    json!({ "leads": leads, "identities": store.identities() })
}

/// Tells a story with every call failing once in every way.
async fn withstands(setup: impl AsyncFn(&World), story: impl AsyncFn(&World)) {
    let calm = World::new().await;
    setup(&calm).await;
    calm.failures.take_calls();
    story(&calm).await;
    let calls = calm.failures.take_calls();
    let expected = end(&calm);
    assert!(calls.len() >= 4, "the story makes calls: {calls:?}");
    for (n, call) in (1..).zip(&calls) {
        for way in WAYS {
            let world = World::new().await;
            setup(&world).await;
            world.failures.take_calls();
            world.failures.on_call(n, way);
            story(&world).await;
            assert_eq!(end(&world), expected, "call {n}, {call}, {way:?}");
        }
    }
}

async fn nothing(_: &World) {}

async fn known(world: &World) {
    assert_eq!(world.submit("contact", &ada()).await.status, 202);
    world.later(MINUTE_MS);
}

#[tokio::test]
async fn a_form_is_stored_once_whatever_call_fails() {
    withstands(nothing, async |world| {
        assert_eq!(insist(async || world.submit("contact", &ada()).await).await.status, 202);
    })
    .await;
}

#[tokio::test]
async fn a_form_of_a_known_visitor_brings_the_activity_along_whatever_call_fails() {
    let report = json!({"anonymous_id": "v-3f9a0c5b7d", "consent": {"tracking": true}, "activities": [
        {"kind": "page_viewed", "properties": {"path": "/pricing"}, "id": "p-1"},
        {"kind": "webinar_attended", "id": "p-2"}]});
    let setup = async |world: &World| {
        world.api.call("POST", "/v1/forms/contact/activities").json(&report).expect(202).await;
        world.later(MINUTE_MS);
    };
    withstands(setup, async |world| {
        let mut fields = ada();
        fields["anonymous_id"] = json!("v-3f9a0c5b7d");
        assert_eq!(insist(async || world.submit("contact", &fields).await).await.status, 202);
    })
    .await;
}

#[tokio::test]
async fn an_activity_is_stored_once_whatever_call_fails() {
    withstands(known, async |world| {
        let body = json!({"lead": {"email": "ada@company.example"}, "kind": "webinar_attended", "id": "w-1"});
        insist(async || world.post(Role::Capture, "/v1/activities", &body).await).await.ok("activity");
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_stored_once_whatever_call_fails() {
    withstands(known, async |world| {
        let item = |email: &str, id: &str| json!({"lead": {"email": email}, "kind": "webinar_attended", "id": id});
        let body = json!({"activities": [item("ada@company.example", "w-1"), item("bob@company.example", "w-2"),
            item("bob@company.example", "w-3")]});
        // An item that was rejected with 503 is sent again, and so is all the rest.
        for _ in 0..5 {
            let answer = insist(async || world.post(Role::Capture, "/v1/activities", &body).await).await.ok("batch");
            if answer["results"].as_array().unwrap().iter().all(|result| result["status"] != "rejected") {
                return;
            }
        }
        panic!("five times rejected");
    })
    .await;
}

#[tokio::test]
async fn a_won_deal_is_stored_once_whatever_call_fails() {
    withstands(known, async |world| {
        let path = format!("/v1/leads/{}/feedback", world.memory().leads()[0].id);
        let body = json!({"kind": "won", "deal": {"system": "crm", "id": "D-1"}, "amount": {"amount": "10.00", "currency": "EUR"}});
        let answer = insist(async || world.post(Role::Sales, &path, &body).await).await;
        assert_eq!(answer.ok("won")["stage"], "customer");
    })
    .await;
}

#[tokio::test]
async fn a_withdrawal_is_stored_once_whatever_call_fails() {
    let setup = async |world: &World| {
        known(world).await;
        let path = format!("/v1/leads/{}/feedback", world.memory().leads()[0].id);
        let body = json!({"kind": "won", "deal": {"system": "crm", "id": "D-1"}});
        world.post(Role::Sales, &path, &body).await.ok("won");
        world.later(MINUTE_MS);
    };
    withstands(setup, async |world| {
        let lead = world.memory().leads().remove(0);
        let fact =
            world.memory().timeline(&lead.id).into_iter().find(|entry| entry.fact.kind() == "won").unwrap();
        let body = json!({"kind": "withdrawn", "id": fact.id});
        let path = format!("/v1/leads/{}/feedback", lead.id);
        let answer = insist(async || world.post(Role::Sales, &path, &body).await).await;
        assert_eq!(answer.ok("withdrawn")["stage"], "marketing_qualified");
    })
    .await;
}

#[tokio::test]
async fn an_import_and_a_consent_are_stored_once_whatever_call_fails() {
    withstands(known, async |world| {
        let lead = json!({"email": "bob@company.example", "occurred_at": "2026-11-20T00:00:00Z", "attributes": {"country": "DE"}});
        insist(async || world.post(Role::Marketing, "/v1/leads", &lead).await).await.ok("lead");
        let ada = testkit::builders::email("ada@company.example");
        let lead = world.memory().leads().into_iter().find(|lead| lead.identities.contains(&ada)).unwrap();
        let path = format!("/v1/leads/{}/consent", lead.id);
        let body = json!({"purpose": "phone", "status": "withdrawn", "at": "2026-11-21T00:00:00Z"});
        insist(async || world.post(Role::Marketing, &path, &body).await).await.ok("consent");
    })
    .await;
}

/// Gives the ways of the links in a mail to Ada: out, and the one that confirms.
async fn mail_links(world: &World) -> [String; 2] {
    let lead = world.memory().leads().remove(0);
    let clock: Arc<dyn Clock> = Arc::clone(&world.clock) as _;
    let links = Links::new(Arc::clone(&world.catalog), clock);
    let address = lead.email().unwrap().clone();
    let mail = Mail {
        lead: lead.id,
        number: 1,
        program: None,
        content: None,
        made_at: testkit::time(NOON).plus(MINUTE_MS),
    };
    let links = MailLinks::new(&links, "", mail).await.unwrap();
    [links.unsubscribe(Purpose::Marketing), links.opt_in(&[Purpose::Marketing], &address)]
}

#[tokio::test]
async fn one_click_and_a_confirmation_are_stored_once_whatever_call_fails() {
    let setup = async |world: &World| {
        let mut form = ada();
        form["consent_marketing"] = true.into();
        assert_eq!(world.submit("contact", &form).await.status, 202);
        world.later(2 * MINUTE_MS);
        mail_links(world).await;
    };
    withstands(setup, async |world| {
        let [out, confirm] = mail_links(world).await;
        for link in [confirm, out] {
            let answer = insist(async || world.api.call("POST", &link).send().await).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            world.later(MINUTE_MS);
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_comes_onto_the_list_and_off_it_once_whatever_call_fails() {
    let setup = async |world: &World| {
        known(world).await;
        let mia = json!({"name": "Mia", "email": "mia@company.example", "team": "marketing"});
        world.call(Role::Admin, "PUT", "/v1/people/mia").json(&mia).expect(200).await;
    };
    withstands(setup, async |world| {
        let body = json!({"email": "ada@company.example", "reason": "complained"});
        insist(async || world.post(Role::Marketing, "/v1/suppressions", &body).await).await.ok("list");
        world.later(MINUTE_MS);
        let body = json!({"email": "ada@company.example", "because": "A mistake"});
        insist(async || world.post(Role::Marketing, "/v1/suppressions/lift", &body).await).await.ok("lift");
    })
    .await;
}

#[tokio::test]
async fn conflicts_one_after_the_other_are_worked_off() {
    let world = World::new().await;
    world.failures.next_writes(8, Failure::Conflict);
    assert_eq!(world.submit("contact", &ada()).await.status, 202);
    assert_eq!(world.failures.take_calls().iter().filter(|call| **call == "commit").count(), 9);
    assert_eq!(world.memory().leads().len(), 1);
}

#[tokio::test]
async fn an_answer_that_got_lost_again_and_again_still_means_one_effect() {
    let world = World::new().await;
    world.failures.every_write(1, Failure::TimedOutAfterWrite);
    assert_eq!(world.submit("contact", &ada()).await.status, 202);
    let body = json!({"lead": {"email": "ada@company.example"}, "kind": "webinar_attended", "id": "w-1"});
    world.post(Role::Capture, "/v1/activities", &body).await.ok("activity");
    let lead = world.memory().leads().remove(0);
    assert_eq!((lead.version, lead.activities, world.memory().timeline(&lead.id).len()), (2, 2, 2));
}

#[tokio::test]
async fn while_the_store_is_away_every_route_says_so_and_nothing_is_stored() {
    let world = World::new().await;
    known(&world).await;
    let id = world.memory().leads()[0].id.to_string();
    let before = end(&world);
    world.later(60 * MINUTE_MS); // Nothing is cached any more.
    world.failures.outage();
    for (role, method, path) in [
        (Role::Capture, "POST", "/v1/activities".to_owned()),
        (Role::Sales, "POST", "/v1/leads/lookup".to_owned()),
        (Role::Sales, "GET", "/v1/inbox".to_owned()),
        (Role::Sales, "GET", format!("/v1/leads/{id}")),
        (Role::Sales, "POST", format!("/v1/leads/{id}/feedback")),
    ] {
        let answer =
            world.call(role, method, &path).json(&json!({"email": "ada@company.example"})).send().await;
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(world.submit("contact", &ada()).await.status, 503);
    let heard = world.api.call("POST", "/v1/forms/contact/activities").json(&json!({}));
    assert_eq!(heard.send().await.status, 202, "a page never hears of it");
    world.failures.heal();
    assert_eq!(end(&world), before);
}

#[tokio::test]
async fn a_write_path_that_gets_no_answer_gives_up_and_says_come_again() {
    use adapters::clock::SetClock;
    let clock: Arc<dyn Clock> = Arc::new(SetClock::at(testkit::time(testkit::builders::NOON)));
    let catalog: Arc<dyn adapters::ports::Catalog> = Arc::new(MemoryCatalog::new());
    testkit::builders::activate(&testkit::test_playbook(), Arc::clone(&catalog), Arc::clone(&clock)).await;
    let failures = testkit::Failures::none();
    let inner = Arc::new(MemoryLeadStore::new());
    let store = Arc::new(testkit::FailingLeadStore::new(Arc::clone(&inner), failures.clone()));
    let mut app = ::lead_capture::App::new(store, catalog, clock);
    app.write_path = app.write_path.giving_up_after(std::time::Duration::from_millis(30));
    let (router, _) = adapters::http::split(::lead_capture::router(app));
    let api = tests::Api::of(router);
    failures.every_write(1, Failure::Conflict);
    let answer = api.call("POST", "/v1/forms/contact").json(&ada()).expect(503).await;
    assert!(!answer.header("retry-after").is_empty());
    assert!(inner.leads().is_empty());
    failures.heal();
    api.call("POST", "/v1/forms/contact").json(&ada()).expect(202).await;
    assert_eq!(inner.leads().len(), 1);
}
