//! What SES tells of mails to leads: each sample event, as the rule hands it over, on the embedded database.

use adapters::clock::{Clock, SetClock};
use adapters::ports::{Catalog, Direction, LeadStore, Timeline};
use domain::attribute::AttributeValue;
use domain::change::Fact;
use domain::identity::LeadId;
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::builders::{NOON, a_lead, activate, email, time};
use testkit::dynamo::root;
use testkit::{Dynamo, FailingLeadStore, Failure, Failures, test_playbook};

struct Post {
    dynamo: Dynamo,
    failures: Failures,
    app: nurture::App,
    lead: LeadId,
}

impl Post {
    /// A lead, and the function that hears of its mails.
    async fn new() -> Self {
        let dynamo = Dynamo::start().await;
        let clock: Arc<dyn Clock> = Arc::new(SetClock::at(time(NOON)));
        let catalog: Arc<dyn Catalog> = Arc::new(dynamo.catalog());
        activate(&test_playbook(), Arc::clone(&catalog), Arc::clone(&clock)).await;
        let failures = Failures::none();
        let store = Arc::new(FailingLeadStore::new(Arc::new(dynamo.leads()), failures.clone()));
        let mut app = nurture::App::new(store, catalog, None, clock);
        app.write_path = app.write_path.giving_up_after(std::time::Duration::ZERO);
        let change = a_lead().known_by(email("ada@company.example")).change();
        dynamo.leads().commit(&change).await.unwrap();
        Self { dynamo, failures, app, lead: change.lead.id }
    }

    /// Gives a sample event, about the lead that there is.
    fn event(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(root().join(format!("events/nurture/{name}.ok.json"))).unwrap();
        serde_json::from_str(&text.replace("abcdefghijklmnopqrstuvwxyz", self.lead.as_str())).unwrap()
    }

    async fn hears(&self, event: &Value) -> Value {
        nurture::handle(&self.app, event).await.unwrap().expect("it is an event of the mail service")["told"]
            .clone()
    }

    /// What the timeline says of mails: the kind, when, and the properties in order.
    async fn facts(&self) -> Vec<(String, String, String)> {
        let page = self.dynamo.leads().entries(&self.lead, Direction::Forward, 100, None).await.unwrap();
        let told = page.items.into_iter().filter_map(|entry| match entry.fact {
            Fact::Activity(activity) if entry.by == "mail" => {
                let said = activity.properties.iter().map(|(name, value)| match value {
                    AttributeValue::Text(text) => format!("{name}={text}"),
                    other => format!("{name}={other}"),
                });
                Some((activity.kind, entry.at.to_string(), said.collect::<Vec<_>>().join(" ")))
            }
            _ => None,
        });
        told.collect()
    }
}

const MAIL: &str = "message=3";
const NAMES: &str = "program=newcomers";

#[tokio::test]
async fn each_event_becomes_its_fact_once_and_says_nothing_of_addresses() {
    for (name, told, fact) in [
        ("told-delivered", "email_delivered", Some(format!("content=savings {MAIL} {NAMES}"))),
        (
            "told-bounced",
            "email_bounced",
            Some(format!("content=savings {MAIL} permanent=true {NAMES} why=General")),
        ),
        (
            "told-bounced-for-now",
            "email_bounced",
            Some(format!("content=savings {MAIL} permanent=false {NAMES} why=MailboxFull")),
        ),
        ("told-complained", "email_complained", Some(format!("content=savings {MAIL} {NAMES}"))),
        ("told-rejected", "email_bounced", Some(format!("content=savings {MAIL} {NAMES} why=Rejected"))),
        (
            "told-not-rendered",
            "email_bounced",
            Some(format!("content=savings {MAIL} {NAMES} why=NotRendered")),
        ),
        ("told-delayed", "late", None),
        ("told-of-another-mail", "another_mail", None),
    ] {
        let post = Post::new().await;
        for _ in 0..3 {
            assert_eq!(post.hears(&post.event(name)).await, told, "{name}");
        }
        let facts = post.facts().await;
        let said: Vec<(&str, &str)> =
            facts.iter().map(|(kind, _, said)| (kind.as_str(), said.as_str())).collect();
        assert_eq!(said, fact.iter().map(|fact| (told, fact.as_str())).collect::<Vec<_>>(), "{name}");
        assert!(!format!("{facts:?}").contains('@'));
        // The moment is the one that the service names, not that of the event's arrival.
        assert!(facts.iter().all(|(_, at, _)| at.starts_with("2026-11-22T11:5")), "{facts:?}");
    }
}

#[tokio::test]
async fn one_mail_may_be_delivered_and_complained_of_and_another_is_another() {
    let post = Post::new().await;
    let mut next = post.event("told-delivered");
    next["detail"]["mail"]["tags"]["message"] = json!(["4"]);
    for event in [post.event("told-delivered"), post.event("told-complained"), next] {
        post.hears(&event).await;
    }
    let mut kinds: Vec<String> = post.facts().await.into_iter().map(|(kind, ..)| kind).collect();
    // What is said of one moment stands in no order.
    kinds.sort();
    assert_eq!(kinds, ["email_complained", "email_delivered", "email_delivered"]);
}

#[tokio::test]
async fn a_lead_that_is_not_there_and_an_event_that_says_nothing_are_let_go() {
    let post = Post::new().await;
    let mut event = post.event("told-bounced");
    event["detail"]["mail"]["tags"]["lead"] = json!(["zzzzzzzzzzzzzzzzzzzzzzzzzz"]);
    assert_eq!(post.hears(&event).await, "unknown_lead");
    for (pointer, value) in [
        ("/detail/mail/tags/lead", json!(["rubbish"])),
        ("/detail/mail/tags/message", json!(["-1"])),
        ("/detail/mail/tags", json!("x")),
        ("/detail", json!(null)),
    ] {
        let mut event = post.event("told-bounced");
        *event.pointer_mut(pointer).unwrap() = value;
        assert!(
            ["another_mail", "nothing"].contains(&post.hears(&event).await.as_str().unwrap()),
            "{pointer}"
        );
    }
    let mut event = post.event("told-bounced");
    event["detail"]["eventType"] = json!("Open");
    assert_eq!(post.hears(&event).await, "nothing");
    assert_eq!(post.facts().await, Vec::new());
    assert_eq!(nurture::handle(&post.app, &json!({ "httpMethod": "GET" })).await.unwrap(), None);
}

#[tokio::test]
async fn what_could_not_be_recorded_is_an_error_and_the_same_event_again_makes_one_fact() {
    for failure in [Failure::Throttled, Failure::TimedOutAfterWrite, Failure::Conflict] {
        let post = Post::new().await;
        post.failures.next_writes(1, failure);
        let event = post.event("told-bounced");
        assert!(nurture::handle(&post.app, &event).await.is_err(), "so that it comes again");
        assert_eq!(post.hears(&event).await, "email_bounced");
        assert_eq!(post.facts().await.len(), 1);
    }
}
