//! People are told of their leads: from the outbox of a real database through `dispatch`, the bus's rule, the queue and
//! `notify` to a mailer; and each morning of what waits.
//!
//! A worker dies here at each call that it makes, one after the other: the task is dropped where the call would have been.
//! Whether a mail server took what it was given when the line broke nobody can know; that is a failure of the mailer here.

use adapters::claims::LEASE_MS;
use adapters::clock::{Clock, SetClock};
use adapters::http::Role;
use adapters::mail::{Mailbox, Message};
use adapters::ports::{Catalog, CatalogKind, MessageSender, Put};
use domain::identity::Email;
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use leadloop::dev::outbox::{self, LoggedBus};
use leadloop::dev::queue::LocalQueue;
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::builders::{activate, time};
use testkit::{
    Dynamo, FailingCatalog, FailingLeadStore, FailingMailer, Failure, Failures, MemoryMailer, RoleTokens,
    test_playbook,
};
use tests::{Answer, Api, ada};

/// Monday, ten o'clock in Vienna.
const MONDAY: &str = "2026-11-23T09:00:00Z";
/// Everything between a form and a mailbox.
struct Office {
    dynamo: Dynamo,
    clock: Arc<SetClock>,
    failures: Failures,
    catalog: Arc<dyn Catalog>,
    tokens: RoleTokens,
    mailer: Arc<MemoryMailer>,
    queue: LocalQueue,
    dead: LocalQueue,
    dispatch: dispatch::App,
    notify: notify::App,
    api: Api,
}

impl Office {
    async fn new() -> Self {
        let dynamo = Dynamo::start().await;
        let clock = Arc::new(SetClock::at(time(MONDAY)));
        let shown: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let catalog: Arc<dyn Catalog> = Arc::new(dynamo.catalog());
        activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&shown)).await;
        let tokens = RoleTokens::create(Arc::clone(&catalog), Arc::clone(&shown)).await.unwrap();
        let (failures, mailer) = (Failures::none(), Arc::new(MemoryMailer::new()));
        let queue = LocalQueue::in_memory(Arc::clone(&shown));
        let dead = LocalQueue::in_memory(Arc::clone(&shown));
        let post = notify::Post {
            mailer: Arc::new(FailingMailer::new(Arc::clone(&mailer), failures.clone())),
            from: Mailbox { name: None, email: Email::parse("leads@company.example").unwrap() },
        };
        let notify = notify::App::new(
            Arc::new(FailingLeadStore::new(Arc::new(dynamo.leads()), failures.clone())),
            Arc::new(FailingCatalog::new(Arc::new(dynamo.catalog()), failures.clone())),
            (queue.clone(), dead.clone()),
            Some(post),
            notify::Pages::new(Some("https://leads.company.example/live/".to_owned()), None),
            Arc::clone(&shown),
        );
        let dispatch = dispatch::App {
            catalog: Arc::clone(&catalog),
            bus: Arc::new(LoggedBus { notices: queue.clone() }),
            queue: Arc::new(LocalQueue::in_memory(Arc::clone(&shown))),
            dead_letters: Arc::new(dead.clone()),
            source: "urn:leadloop:test".to_owned(),
        };
        let api = Api::over(&Arc::new(dynamo.leads()), &catalog, &shown);
        let office =
            Self { dynamo, clock, failures, catalog, tokens, mailer, queue, dead, dispatch, notify, api };
        office.person("at-1", json!({ "name": "Anna Berger", "timezone": "Europe/Vienna" })).await;
        // The first key is made now, so that the writes of a mail are its claim, its sending and its end.
        let ends_at = office.clock.now().plus(DAY_MS);
        office.notify.links.sign(adapters::signed_link::CONFIRM, b"", ends_at).await.unwrap();
        office
    }

    /// Writes somebody's record as the API stores it.
    async fn person(&self, id: &str, more: Value) {
        let mut record = json!({ "name": id, "email": format!("{id}@company.example"), "team": "sales" });
        let fields = more.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(fields);
        let call = self.api.call("PUT", &format!("/v1/people/{id}")).token(self.tokens.of(Role::Admin));
        call.json(&record).expect(200).await;
    }

    async fn submit(&self, name: &str, country: &str) -> String {
        let mut fields = ada();
        fields["email"] = json!(format!("{name}@company.example"));
        fields["full_name"] = json!(name);
        fields["country"] = json!(country);
        fields["submission_id"] = json!(name);
        self.api.call("POST", "/v1/forms/contact").json(&fields).expect(202).await;
        let email = json!({ "email": format!("{name}@company.example") });
        let found = self.sales("/v1/leads/lookup", &email).await.json();
        found["items"][0]["lead_id"].as_str().unwrap().to_owned()
    }

    async fn sales(&self, path: &str, body: &Value) -> Answer {
        self.api.call("POST", path).token(self.tokens.of(Role::Sales)).json(body).expect(200).await
    }

    /// Lets `dispatch` send what stands in the outbox.
    async fn feed(&self) {
        outbox::feed(&self.dynamo.client, &self.dynamo.tables.outbox, &self.dispatch).await.unwrap();
    }

    /// Lets `notify` work on its queue.
    async fn work(&self) -> Vec<Message> {
        outbox::notify(&self.queue, &self.notify).await.unwrap();
        self.mailer.take()
    }

    /// Lets a worker work that dies where a call hangs; tells whether it came to the end.
    async fn or_dies<T>(&self, work: impl Future<Output = T>) -> bool {
        tokio::select! {
            _ = work => true,
            () = self.failures.hung() => false,
        }
    }

    /// Lets time pass to the next try until nothing waits any more, or for so long; gives what was sent.
    async fn until_quiet(&self, most_ms: i64) -> Vec<Message> {
        let end = self.clock.now().plus(most_ms);
        let mut sent = self.work().await;
        while let Some(next) = self.queue.next_at().filter(|at| *at <= end) {
            self.clock.set(next.max(self.clock.now()));
            sent.extend(self.work().await);
        }
        sent
    }

    async fn digests(&self) -> Vec<Message> {
        notify::handle(&self.notify, &json!({ "action": "digests" })).await.unwrap();
        self.mailer.take()
    }

    fn at(&self, text: &str) {
        self.clock.set(time(text));
    }

    fn later(&self, ms: i64) {
        self.clock.set(self.clock.now().plus(ms));
    }

    async fn claim(&self, id: &str) -> Option<Value> {
        Some(self.catalog.get(CatalogKind::Claim, id).await.unwrap()?.body)
    }
}

fn to(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.to.email.as_str()).collect()
}

/// Finds the path of the confirm page in a mail.
fn link(message: &Message) -> String {
    let base = "https://leads.company.example/live";
    let line = message
        .text
        .lines()
        .find_map(|line| line.strip_prefix(base).filter(|path| path.starts_with("/t/f/")));
    line.unwrap_or_else(|| panic!("{}", message.text)).to_owned()
}

#[tokio::test]
async fn whoever_gets_a_lead_is_told_once_who_why_and_by_when_and_answers_by_the_link() {
    let office = Office::new().await;
    let lead = office.submit("Ada", "AT").await;
    office.feed().await;
    let [mail] = office.work().await.try_into().unwrap();
    assert_eq!(mail.to.email.as_str(), "at-1@company.example");
    assert_eq!(mail.subject, "New lead: Ada, Company Ltd. (A1)");
    for said in [
        "Anna, this lead is ready, and yours:",
        "Head of Sales · label A1",
        "Why:\n- ",
        "What they did last:\n- Monday 23 November 2026, 10:00 CET: ",
        "An answer is promised by Tuesday 24 November 2026, 10:00 CET.",
        &format!("https://leads.company.example/live/v1/leads/{lead}"),
    ] {
        assert!(mail.text.contains(said), "{said}\n{}", mail.text);
    }
    assert!(!mail.text.contains("ada@company.example"), "how to reach them stands in the dossier");
    assert_eq!(mail.headers, [("Auto-Submitted", "auto-generated".to_owned())]);
    let page =
        office.api.call("POST", &link(&mail)).body("application/x-www-form-urlencoded", "answer=accepted");
    page.expect(200).await;
    let dossier = office.api.call("GET", &format!("/v1/leads/{lead}")).token(office.tokens.of(Role::Sales));
    assert_eq!(dossier.expect(200).await.json()["stage"], "sales_accepted");
    // However often it is told of, by whichever event, that was that.
    let nudge = json!({ "detail": { "subject": lead } }).to_string();
    office.queue.send(&vec![nudge; 10]).await.unwrap();
    assert_eq!(to(&office.until_quiet(DAY_MS).await), [""; 0]);
    assert!(office.dead.is_empty());
}

#[tokio::test]
async fn many_events_about_one_hand_over_at_once_make_one_mail() {
    let office = Office::new().await;
    let lead = office.submit("Ada", "AT").await;
    let nudge = json!({ "detail": { "subject": lead } }).to_string();
    for _ in 0..3 {
        office.queue.send(&vec![nudge.clone(); 10]).await.unwrap();
    }
    assert_eq!(to(&office.until_quiet(DAY_MS).await), ["at-1@company.example"]);
    assert!(office.queue.is_empty() && office.dead.is_empty());
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_leaves_nobody_untold_and_doubles_only_what_nobody_can_know() {
    let (mut steps, mut doubled) = (0, Vec::new());
    loop {
        let office = Office::new().await;
        office.submit("Ada", "AT").await;
        office.feed().await;
        drop(office.failures.take_calls());
        steps += 1;
        office.failures.on_call(steps, Failure::Hangs);
        if office.or_dies(outbox::notify(&office.queue, &office.notify)).await {
            assert_eq!(office.mailer.take().len(), 1);
            break;
        }
        let died_at = office.failures.take_calls().pop().unwrap();
        let mut sent = office.mailer.take();
        sent.extend(office.until_quiet(DAY_MS).await);
        assert!(!sent.is_empty(), "untold: died at step {steps}, {died_at}");
        assert!(sent.len() <= 2 && sent.iter().all(|mail| mail.id == sent[0].id), "step {steps}, {died_at}");
        if sent.len() == 2 {
            doubled.push(died_at);
        }
        assert!(office.queue.is_empty() && office.dead.is_empty(), "step {steps}, {died_at}");
    }
    assert!(steps > 6, "it makes more calls than {steps}");
    assert_eq!(doubled, ["put"], "only where it went out and that could not be written down");
}

#[tokio::test]
async fn while_the_mail_server_takes_nothing_a_mail_waits_and_after_a_day_it_is_set_aside() {
    let office = Office::new().await;
    let lead = office.submit("Ada", "AT").await;
    office.feed().await;
    // For five hours the server takes nothing; then it does.
    let end = office.clock.now().plus(5 * HOUR_MS);
    let mut tries = 0;
    while office.clock.now() < end {
        drop(office.failures.take_calls());
        refuse(&office, Failure::Throttled).await;
        tries += 1;
        office.clock.set(office.queue.next_at().unwrap());
    }
    assert!(tries > 5, "{tries}");
    office.failures.heal();
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 1);

    // Another lead, and a server that never takes anything again.
    let second = office.submit("Grace", "AT").await;
    assert_ne!(lead, second);
    office.feed().await;
    while let Some(next) = office.queue.next_at() {
        office.clock.set(next.max(office.clock.now()));
        refuse(&office, Failure::Throttled).await;
    }
    assert_eq!((office.dead.len(), office.mailer.take().len()), (1, 0), "for people, with an alarm");
}

/// Lets `notify` work while each mail fails in a way.
async fn refuse(office: &Office, failure: Failure) {
    // The mail is the one write between the claim and what is noted after it.
    office.failures.on_write(2, failure);
    office.work().await;
    office.failures.heal();
}

#[tokio::test]
async fn what_nobody_knows_is_sent_once_more_and_then_said_and_what_is_refused_is_not_tried_again() {
    let office = Office::new().await;
    let lead = office.submit("Ada", "AT").await;
    office.feed().await;
    let mut sent = 0;
    for _ in 0..6 {
        // Of the claim and the mail, the mail: it goes out, and the line breaks.
        office.failures.on_write(2, Failure::TimedOutAfterWrite);
        sent += office.work().await.len();
        office.failures.heal();
        office.later(LEASE_MS);
    }
    assert_eq!(sent, 2);
    assert!(office.queue.is_empty() && office.dead.is_empty());
    let claims = office.catalog.list(CatalogKind::Claim, 10, None).await.unwrap().items;
    let [claim] = claims.as_slice() else { panic!("{claims:?}") };
    assert!(claim.id.contains(&lead));
    assert_eq!(claim.body["state"], "unknown");

    office.submit("Grace", "AT").await;
    office.feed().await;
    office.failures.on_write(2, Failure::Conflict);
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 0, "refused for good");
    assert!(office.queue.is_empty() && office.dead.is_empty());
}

#[tokio::test]
async fn of_a_lead_that_was_erased_nobody_is_told_and_its_link_says_so() {
    let office = Office::new().await;
    let erase = async |lead: &str| {
        let call = office.api.call("DELETE", &format!("/v1/leads/{lead}"));
        call.token(office.tokens.of(Role::Admin)).expect(202).await;
    };
    let told = office.submit("Ada", "AT").await;
    office.feed().await;
    let [mail] = office.work().await.try_into().unwrap();
    let untold = office.submit("Eve", "AT").await;
    office.feed().await;
    erase(&told).await;
    erase(&untold).await;
    office.feed().await;
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 0);
    assert!(office.queue.is_empty() && office.dead.is_empty(), "nothing is tried again");
    for method in ["GET", "POST"] {
        let call = office.api.call(method, &link(&mail));
        let page = call.body("application/x-www-form-urlencoded", "answer=accepted").send().await;
        assert!((400..500).contains(&page.status), "{}: {}", page.status, page.text());
    }
    assert_eq!(office.digests().await.len(), 0);
}

#[tokio::test]
async fn somebody_without_an_address_is_passed_over_once_and_the_lead_stays_with_them() {
    let office = Office::new().await;
    let body = json!({ "name": "de-1", "team": "sales", "timezone": "UTC", "unknown": true });
    office.catalog.put(&[Put::new(CatalogKind::Person, "de-1", body)]).await.unwrap();
    let lead = office.submit("Ada", "DE").await;
    office.feed().await;
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 0);
    assert!(office.queue.is_empty() && office.dead.is_empty(), "nothing is tried again");
    let claims = office.catalog.list(CatalogKind::Claim, 10, None).await.unwrap().items;
    assert!(claims[0].id.contains(&lead) && claims[0].body["state"] == "never", "{claims:?}");
    let inbox = office.api.call("GET", "/v1/inbox?owner=de-1").token(office.tokens.of(Role::Sales));
    assert_eq!(inbox.expect(200).await.json()["items"][0]["lead_id"], json!(lead));
}

#[tokio::test]
async fn whoever_is_given_a_lead_is_told_and_whoever_takes_or_has_left_one_is_not() {
    let office = Office::new().await;
    office.person("de-1", json!({})).await;
    office.person("uk-1", json!({})).await;
    let lead = office.submit("Ada", "AT").await;
    // Given away before anybody was told: only the one who has it is written to.
    let feedback = format!("/v1/leads/{lead}/feedback");
    office.sales(&feedback, &json!({"kind": "assigned", "to": "de-1"})).await;
    office.feed().await;
    let sent = office.until_quiet(DAY_MS).await;
    assert_eq!(to(&sent), ["de-1@company.example"]);
    assert!(sent[0].subject.starts_with("Now yours: Ada"), "{}", sent[0].subject);
    // Taken: they know.
    office.later(MINUTE_MS);
    let lead = office.submit("Alan", "AT").await;
    let feedback = format!("/v1/leads/{lead}/feedback");
    office.sales(&feedback, &json!({"kind": "assigned", "to": "uk-1", "by": "uk-1"})).await;
    office.feed().await;
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 0);
    // Answered before the mail was written.
    let lead = office.submit("Grace", "AT").await;
    office.sales(&format!("/v1/leads/{lead}/feedback"), &json!({"kind": "accepted"})).await;
    office.feed().await;
    assert_eq!(office.until_quiet(DAY_MS).await.len(), 0);
}

#[tokio::test]
async fn a_message_that_names_no_lead_is_set_aside() {
    let office = Office::new().await;
    for body in ["rubbish", "{}", r#"{"detail": {"subject": "../x"}}"#] {
        office.queue.send(&[body.to_owned()]).await.unwrap();
    }
    let nobody = json!({ "detail": { "subject": "aaaaaaaaaaaaaaaaaaaaaaaaaa" } }).to_string();
    office.queue.send(&[nobody]).await.unwrap();
    assert_eq!(office.work().await.len(), 0);
    assert_eq!((office.queue.len(), office.dead.len()), (0, 3));
}

/// An office in which two wait for Anna, one of them since Friday.
async fn with_an_inbox() -> Office {
    let office = Office::new().await;
    office.at("2026-11-20T06:00:00Z");
    office.submit("Early", "AT").await;
    office.at("2026-11-22T12:00:00Z");
    office.submit("Sunday", "AT").await;
    office.submit("Accepted", "AT").await;
    let email = json!({ "email": "accepted@company.example" });
    let found = office.sales("/v1/leads/lookup", &email).await.json();
    let accepted = format!("/v1/leads/{}/feedback", found["items"][0]["lead_id"].as_str().unwrap());
    office.sales(&accepted, &json!({"kind": "accepted"})).await;
    drop(office.failures.take_calls());
    office
}

#[tokio::test]
async fn each_morning_of_work_begins_with_what_waits_the_most_overdue_first() {
    let office = with_an_inbox().await;
    office.person("de-1", json!({ "timezone": "Europe/Berlin" })).await;
    office.person("eu-1", json!({ "timezone": "Europe/London", "digest": false })).await;
    office.submit("Uk", "GB").await;
    let mut sent: Vec<(String, Message)> = Vec::new();
    office.at("2026-11-22T12:00:00Z");
    while office.clock.now() < time("2026-11-25T12:00:00Z") {
        let now = office.clock.now().to_string();
        sent.extend(office.digests().await.into_iter().map(|mail| (now.clone(), mail)));
        office.later(15 * MINUTE_MS);
    }
    let when: Vec<(&str, &str)> =
        sent.iter().map(|(at, mail)| (at.as_str(), mail.to.email.as_str())).collect();
    let at = |day| format!("2026-11-{day}T07:00:00Z");
    let days = [at(23), at(24), at(25)];
    // Not on Sunday; nobody whose inbox is empty, and nobody who wants none.
    assert_eq!(when, days.each_ref().map(|at| (at.as_str(), "at-1@company.example")));
    let monday = &sent[0].1;
    assert_eq!(monday.subject, "Your inbox: 3 leads, 1 overdue, 2 new");
    let place = |name: &str| monday.text.find(name).unwrap_or_else(|| panic!("{name}: {}", monday.text));
    assert!(
        place("Early") < place("NEW Sunday") && place("NEW Sunday") < place("NEW Accepted"),
        "{}",
        monday.text
    );
    assert!(monday.text.contains("overdue since Saturday 21 November 2026, 07:00 CET"), "{}", monday.text);
    assert!(monday.text.contains("answered, sales accepted"), "{}", monday.text);
    assert_eq!(sent[1].1.subject, "Your inbox: 3 leads, 2 overdue", "what was new is not new the next day");
}

#[tokio::test]
async fn a_digest_has_the_order_of_the_inbox() {
    let office = with_an_inbox().await;
    let mut leads = [office.submit("Alike", "AT").await, office.submit("Same", "AT").await];
    for lead in &leads {
        office.sales(&format!("/v1/leads/{lead}/feedback"), &json!({"kind": "accepted"})).await;
    }
    // Alike in all but that one of them was called; it has the smaller id, and comes later all the same.
    leads.sort_unstable();
    office
        .sales(&format!("/v1/leads/{}/feedback", leads[0]), &json!({"kind": "follow_up", "channel": "phone"}))
        .await;
    office.at("2026-11-23T07:00:00Z");
    let inbox = office.api.call("GET", "/v1/inbox?owner=at-1").token(office.tokens.of(Role::Sales));
    let inbox = inbox.expect(200).await.json();
    let wanted: Vec<&str> =
        inbox["items"].as_array().unwrap().iter().map(|item| item["lead_id"].as_str().unwrap()).collect();
    assert_eq!(wanted.len(), 5, "{inbox}");
    let text = office.digests().await.pop().unwrap().text;
    let mut found: Vec<(usize, &str)> = wanted.iter().map(|lead| (text.find(lead).unwrap(), *lead)).collect();
    found.sort_unstable();
    assert_eq!(found.iter().map(|(_, lead)| *lead).collect::<Vec<_>>(), wanted, "{text}");
    assert!(text.find(&leads[1]) < text.find(&leads[0]), "{text}");
}

#[tokio::test]
async fn a_lead_that_comes_after_an_empty_morning_makes_no_late_digest() {
    let office = Office::new().await;
    office.at("2026-11-23T07:00:00Z");
    assert_eq!(office.digests().await.len(), 0);
    office.submit("Ada", "AT").await;
    office.later(15 * MINUTE_MS);
    assert_eq!(office.digests().await.len(), 0);
    assert_eq!(office.claim("digest.at-1.2026-11-23").await.unwrap()["state"], "nothing");
    office.later(DAY_MS);
    assert_eq!(office.digests().await.len(), 1);
}

#[tokio::test]
async fn a_digest_is_neither_skipped_nor_doubled_wherever_the_tick_dies_but_where_nobody_can_know() {
    let (mut steps, mut doubled) = (0, Vec::new());
    loop {
        let office = with_an_inbox().await;
        office.at("2026-11-23T07:00:00Z");
        steps += 1;
        office.failures.on_call(steps, Failure::Hangs);
        let tick = json!({ "action": "digests" });
        if office.or_dies(notify::handle(&office.notify, &tick)).await {
            assert_eq!(office.mailer.take().len(), 1);
            break;
        }
        let died_at = office.failures.take_calls().pop().unwrap();
        let mut sent = office.mailer.take();
        for _ in 0..20 {
            office.later(15 * MINUTE_MS);
            sent.extend(office.digests().await);
        }
        assert!(!sent.is_empty(), "skipped: died at step {steps}, {died_at}");
        assert!(sent.len() <= 2 && sent.iter().all(|mail| mail.id == sent[0].id), "step {steps}, {died_at}");
        if sent.len() == 2 {
            doubled.push(died_at);
        }
    }
    assert!(steps > 5, "it makes more calls than {steps}");
    assert_eq!(doubled, ["put"], "only where it went out and that could not be written down");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_keeps_nobody_elses_digest_up() {
    let office = with_an_inbox().await;
    let broken =
        json!({ "name": "x", "email": "x@company.example", "team": "sales", "timezone": "Mars/Base" });
    office.catalog.put(&[Put::new(CatalogKind::Person, "aa-1", broken)]).await.unwrap();
    office.at("2026-11-23T07:00:00Z");
    assert_eq!(to(&office.digests().await), ["at-1@company.example"]);
}
