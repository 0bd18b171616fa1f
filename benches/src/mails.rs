//! P4, for mails: what a tick of `nurture` reads, against what is due and what there is.
//!
//! `mails LEADS DUE`: a base of leads that all agreed to mails and are all in a program of the starter playbook; of so many
//! the next mail is due, of the others it is not for days. One tick; the items in DynamoDB's answers are counted where the
//! SDK has read them, so nothing that was read goes uncounted.

use crate::Failure;
use crate::cpu::Stopwatch;
use crate::world::{VERSION, World};
use adapters::clock::{Clock, SetClock, new_lead_id};
use adapters::mail::Mailbox;
use adapters::ports::{CatalogKind, Put};
use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use domain::attribute::{AttributeName, AttributeValue, NewAttribute};
use domain::change::{Capture, Fact, Incoming, Subject, decide};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::{Email, Identity};
use domain::lead::Lead;
use domain::playbook::Playbook;
use domain::promise::People;
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, Timestamp};
use nurture::Post;
use nurture::rate::Rate;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testkit::MemoryMailer;

/// How many pieces there are to send.
const PIECES: usize = 3;

/// Counts what DynamoDB answers.
#[derive(Debug, Default)]
struct Reads {
    items: AtomicU64,
    scans: AtomicU64,
    transactions: AtomicU64,
    requests: Mutex<BTreeMap<&'static str, u64>>,
}

impl Reads {
    fn note(&self, request: &'static str, items: usize) {
        self.items.fetch_add(items as u64, Relaxed);
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(request).or_default() += 1;
    }

    fn clear(&self) {
        self.items.store(0, Relaxed);
        self.scans.store(0, Relaxed);
        self.transactions.store(0, Relaxed);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[derive(Debug)]
struct Watcher(Arc<Reads>);

impl Intercept for Watcher {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(answer) = context.output_or_error() else { return Ok(()) };
        if let Some(answer) = answer.downcast_ref::<QueryOutput>() {
            self.0.note("query", answer.scanned_count().try_into()?);
        } else if let Some(answer) = answer.downcast_ref::<GetItemOutput>() {
            self.0.note("get", usize::from(answer.item().is_some()));
        } else if let Some(answer) = answer.downcast_ref::<BatchGetItemOutput>() {
            let items = answer.responses().into_iter().flat_map(|tables| tables.values()).map(Vec::len).sum();
            self.0.note("batch_get", items);
        } else if let Some(answer) = answer.downcast_ref::<ScanOutput>() {
            self.0.scans.fetch_add(1, Relaxed);
            self.0.note("scan", answer.scanned_count().try_into()?);
        } else if answer.downcast_ref::<TransactWriteItemsOutput>().is_some() {
            self.0.transactions.fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

pub(crate) async fn run(endpoint: &str, count: usize, due: usize) -> Result<(), Failure> {
    let reads = Arc::new(Reads::default());
    let world = World::watched(endpoint, Watcher(Arc::clone(&reads)));
    // A Monday, ten o'clock in Vienna.
    let now = Timestamp::parse("2026-11-23T09:00:00Z").ok_or("a time")?;
    let clock: Arc<dyn Clock> = Arc::new(SetClock::at(now));
    for n in 0..PIECES {
        let piece = json!({"title": format!("Paper {n}"), "url": format!("/papers/{n}"), "kind": "guide"});
        world.catalog.put(&[Put::new(CatalogKind::Content, format!("paper-{n}"), piece)]).await?;
    }
    let mailer = Arc::new(MemoryMailer::new());
    let from = Mailbox { name: None, email: Email::parse("hello@company.example")? };
    let post = Post::new(Arc::clone(&mailer) as _, from, "https://leads.company.example");
    let mut app = nurture::App::new(Arc::clone(&world.store), Arc::clone(&world.catalog), Some(post), clock);
    app.rate = Arc::new(Rate::new(0));
    app.work_for = Duration::from_secs(3_600);
    // The first key of links is made before what is counted.
    app.links.signer().await.map_err(|error| format!("{error:?}"))?;
    let playbook = app.playbooks.version(VERSION).await?;

    let (mut leads, mut held_out, mut n) = (Vec::with_capacity(count), 0, 0_usize);
    while leads.len() < count {
        let wanted = leads.len() < due;
        n += 1;
        let lead = one(n, &playbook, if wanted { now.plus(-30 * DAY_MS) } else { now })?;
        // Some are held out, and get nothing.
        match lead.nurture.next_at {
            Some(at) if (at <= now) == wanted => leads.push(lead),
            Some(at) => return Err(format!("a lead that is due at {at}").into()),
            None => held_out += 1,
        }
    }
    world.put(&leads).await?;
    reads.clear();
    let watch = Stopwatch::start();
    let told = nurture::handle(&app, &json!({"action": "due"})).await?.ok_or("no tick")?;
    let cpu_ms = watch.cpu_ms();
    if told.get("failed") != Some(&json!(0)) || told.get("remaining") != Some(&json!(0)) {
        return Err(format!("a tick that could not end: {told}").into());
    }
    let requests = reads.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let sent = mailer.take().len();
    if sent != due {
        return Err(format!("{sent} mails where {due} were due").into());
    }
    println!(
        "mails leads={count} due={due} held_out_beside={held_out} sent={sent} items_read={} items_read_per_due={:.2} scans={} \
         requests={requests:?} transactions={} cpu_ms={cpu_ms:.0}",
        reads.items.load(Relaxed),
        reads.items.load(Relaxed) as f64 / due as f64,
        reads.scans.load(Relaxed),
        reads.transactions.load(Relaxed),
    );
    Ok(())
}

/// Makes somebody in Austria who agreed to mails when they came.
fn one(n: usize, playbook: &Playbook, came: Timestamp) -> Result<Lead, Failure> {
    let email = Email::parse(&format!("annemarie.hinterberger{n}@company.example"))?;
    let text = |value: &str| NewAttribute { value: AttributeValue::Text(value.to_owned()), known_at: None };
    let consent = ConsentFact {
        purpose: Purpose::Marketing,
        status: ConsentStatus::Confirmed,
        basis: Basis::Consent,
        text: None,
        source: None,
        at: came,
    };
    let capture = Capture {
        responded: true,
        attributes: [
            (AttributeName::parse("country")?, text("AT")),
            (AttributeName::parse("job_title")?, text("Buyer")),
        ]
        .into(),
        consents: vec![consent],
        ..Capture::default()
    };
    let fact = Incoming {
        delivery: DeliveryId::new("benchmark", &n.to_string()),
        occurred_at: came,
        history: false,
        by: "benchmark".to_owned(),
        strict: false,
        fact: Fact::Captured(Box::new(capture)),
    };
    let subject = Subject::New { id: new_lead_id(), playbook_version: VERSION };
    Ok(decide(subject, vec![Identity::Email(email)], &[], &[fact], playbook, People::nobody(), came).lead)
}
