//! The messages of the queue, each to its webhook.
//!
//! **At least once.** A message leaves the queue when its receiver took it, or when it stands among the dead letters. Whatever
//! happens in between, the death of this function included, brings it back, under the same id.
//!
//! A receiver that does not take a message makes it wait in the queue, hidden, for a time that
//! [`domain::webhook::wait_ms`] says: a delay of SQS ends at 15 minutes, while a message that a worker holds may be hidden
//! for hours. The messages of a batch are sent side by side, so a slow receiver costs the others nothing.

use crate::crm::{self, Told};
use crate::post::{Answer, Failed};
use crate::{App, secrets, signature};
use adapters::cloud_event::CONTENT_TYPE;
use adapters::ports::{CatalogKind, Put, StoreError};
use adapters::webhooks::{self, Delivery};
use axum::body::Bytes;
use domain::time::{SECOND_MS, Timestamp};
use domain::webhook::{State, Webhook, wait_ms};
use futures::future::join_all;
use serde_json::{Value, json};

/// How often a webhook's record is written anew where somebody else was faster.
const TRIES: u32 = 5;
/// How long a message waits that could not be set aside, in milliseconds.
const STUCK_MS: i64 = 60 * SECOND_MS;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It leaves the queue.
    Done,
    /// It waits, in milliseconds.
    Again(i64),
}

/// One message, as Lambda hands it over.
struct Message<'a> {
    id: &'a str,
    receipt: &'a str,
    body: &'a str,
    /// How often it was handed over, this time included.
    tries: u32,
    /// When it was put into the queue.
    sent_at: Timestamp,
}

impl<'a> Message<'a> {
    fn read(record: &'a Value, now: Timestamp) -> Self {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let number = |pointer: &str| text(pointer).parse::<i64>().ok();
        let tries = number("/attributes/ApproximateReceiveCount").unwrap_or(1);
        Self {
            id: text("/messageId"),
            receipt: text("/receiptHandle"),
            body: text("/body"),
            tries: u32::try_from(tries).unwrap_or(1),
            sent_at: number("/attributes/SentTimestamp").map_or(now, Timestamp::from_millis),
        }
    }
}

/// Sends the messages of a batch, and names those that stay in the queue.
pub async fn handle(app: &App, batch: &Value) -> Value {
    let records = batch.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let stays = join_all(records.iter().map(|record| async move {
        let message = Message::read(record, app.clock.now());
        match one(app, &message).await {
            Next::Done => None,
            Next::Again(wait_ms) => {
                let seconds = u32::try_from((wait_ms + SECOND_MS - 1) / SECOND_MS).unwrap_or(1);
                if let Err(error) = app.holder.hold(message.receipt, seconds).await {
                    // It comes again when the queue's own time is over: sooner or later than it should, and not lost.
                    tracing::warn!(error = %error, "a message cannot be held");
                }
                Some(message.id.to_owned())
            }
        }
    }))
    .await;
    let failures: Vec<Value> =
        stays.into_iter().flatten().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}

async fn one(app: &App, message: &Message<'_>) -> Next {
    let Some(delivery) = Delivery::from_body(message.body) else {
        tracing::error!(message = message.id, "a message cannot be read and is set aside");
        return set_aside(app, message.body.to_owned()).await;
    };
    let id = delivery.webhook.as_str();
    let waits = |asked_ms| {
        let for_ms = app.clock.now().since(message.sent_at);
        wait_ms(message.tries, for_ms, asked_ms, (app.chance)())
    };
    let webhook = match app.webhook(id).await {
        Ok(Some((_, webhook))) => webhook,
        Ok(None) => {
            tracing::info!(
                webhook = id,
                event = delivery.event_id(),
                "nobody to send to: the webhook was deleted"
            );
            return Next::Done;
        }
        Err(error) => {
            tracing::warn!(webhook = id, error = %error, "the webhook cannot be read");
            return Next::Again(waits(None).unwrap_or(STUCK_MS));
        }
    };
    if webhook.state != State::On {
        return set_aside(app, because(delivery, "the webhook is switched off or paused")).await;
    }
    let told = match &webhook.crm {
        Some(document) => crm::tell(app, &webhook, document, &delivery).await,
        None => send(app, &webhook, &delivery.event).await.map(Told::Sent),
    };
    let sent = match told {
        Ok(Told::Sent(sent)) => sent,
        Ok(Told::Nobody) => {
            tracing::info!(webhook = id, event = delivery.event_id(), "there is no such lead any more");
            return Next::Done;
        }
        Ok(Told::Wait(wait_ms)) => return Next::Again(wait_ms),
        Ok(Told::Aside(why)) => {
            tracing::error!(webhook = id, event = delivery.event_id(), why, "a lead cannot be told of");
            return set_aside(app, because(delivery, &why)).await;
        }
        Err(error) => {
            tracing::warn!(webhook = id, error = %error, "what is needed to send cannot be read or written");
            return Next::Again(waits(None).unwrap_or(STUCK_MS));
        }
    };
    tracing::info!(
        webhook = id,
        event = delivery.event_id(),
        tries = message.tries,
        status = sent.status(),
        delivered = sent.is_taken(),
        "a webhook was called"
    );
    let now = app.clock.now();
    if sent.is_taken() {
        note(app, id, |webhook| webhook.succeeded(now)).await;
        return Next::Done;
    }
    let how = sent.how();
    // A CRM says so of a record, and is there itself.
    let gone = sent.is_gone() && webhook.crm.is_none();
    let after = note(app, id, |webhook| webhook.failed(now, &how, gone)).await;
    if after.is_some_and(|webhook| webhook.state != State::On) {
        return set_aside(app, because(delivery, "the webhook was switched off")).await;
    }
    match waits(sent.asked_ms()) {
        Some(wait_ms) => Next::Again(wait_ms),
        None => set_aside(app, because(delivery, &format!("tried for a day: {how}"))).await,
    }
}

fn because(delivery: Delivery, why: &str) -> String {
    Delivery { set_aside: Some(why.to_owned()), ..delivery }.to_body()
}

/// Puts a message among the dead letters; it stays in the queue until that is done.
async fn set_aside(app: &App, body: String) -> Next {
    match app.dead_letters_in.send(&[body]).await {
        Ok(refused) if refused.is_empty() => Next::Done,
        Ok(_) => Next::Again(STUCK_MS),
        Err(error) => {
            tracing::warn!(error = %error, "a message cannot be set aside");
            Next::Again(STUCK_MS)
        }
    }
}

/// Writes down how a webhook does, and gives it as it is then. Nothing hangs on it that the next try would not mend, so
/// where it cannot be written the message goes its way all the same.
async fn note(app: &App, id: &str, change: impl Fn(&Webhook) -> Option<Webhook>) -> Option<Webhook> {
    for _ in 0..TRIES {
        match app.change(id, &change).await {
            Ok(Changed::Written(webhook)) => {
                if let State::SwitchedOff { reason, .. } = &webhook.state {
                    tracing::error!(
                        webhook_switched_off = 1,
                        webhook = id,
                        reason,
                        "a webhook was switched off"
                    );
                }
                return Some(webhook);
            }
            Ok(Changed::AsItWas(webhook)) => return webhook,
            Ok(Changed::SomebodyWasFaster) => {}
            Err(error) => {
                tracing::warn!(webhook = id, error = %error, "a webhook's health cannot be written");
                return None;
            }
        }
    }
    None
}

/// What became of a change to a webhook.
enum Changed {
    Written(Webhook),
    /// There was nothing to write; none where there is no such webhook.
    AsItWas(Option<Webhook>),
    SomebodyWasFaster,
}

impl App {
    async fn change(
        &self,
        id: &str,
        change: impl Fn(&Webhook) -> Option<Webhook>,
    ) -> Result<Changed, StoreError> {
        let Some((record, webhook)) = self.webhook(id).await? else { return Ok(Changed::AsItWas(None)) };
        let Some(next) = change(&webhook) else { return Ok(Changed::AsItWas(Some(webhook))) };
        let put = Put::over(&record, webhooks::to_body(&next));
        let written = self.catalog.put(std::slice::from_ref(&put)).await?;
        Ok(if written { Changed::Written(next) } else { Changed::SomebodyWasFaster })
    }

    /// Reads a webhook with its record.
    pub(crate) async fn webhook(
        &self,
        id: &str,
    ) -> Result<Option<(adapters::ports::Record, Webhook)>, StoreError> {
        let Some(record) = self.catalog.get(CatalogKind::Webhook, id).await? else { return Ok(None) };
        let webhook = webhooks::from_record(&record)?;
        Ok(Some((record, webhook)))
    }
}

/// What came of sending a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent(Result<Answer, Failed>);

impl Sent {
    /// Makes it of an answer, or of why there is none.
    pub(crate) const fn of(answer: Result<Answer, Failed>) -> Self {
        Self(answer)
    }

    /// Tells whether the receiver took it.
    pub(crate) fn is_taken(&self) -> bool {
        self.status().is_some_and(|status| (200..300).contains(&status))
    }

    /// Tells whether the receiver says that it will never take any.
    fn is_gone(&self) -> bool {
        self.status() == Some(410)
    }

    /// Gives the status of the answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.as_ref().ok().map(|answer| answer.status)
    }

    fn asked_ms(&self) -> Option<i64> {
        self.0.as_ref().ok().and_then(|answer| answer.retry_after_ms)
    }

    /// Says in words how it went.
    pub(crate) fn how(&self) -> String {
        match &self.0 {
            Ok(Answer { status: 300..400, .. }) => {
                "answered with a redirect, which is not followed".to_owned()
            }
            Ok(answer) => format!("answered {}", answer.status),
            Err(failed) => failed.to_string(),
        }
    }
}

/// Signs an event and sends it to a webhook.
///
/// # Errors
///
/// [`StoreError`] where the secrets cannot be read; what the receiver does is no error here.
pub(crate) async fn send(app: &App, webhook: &Webhook, event: &Value) -> Result<Sent, StoreError> {
    let (_, secrets) = secrets::read(app.catalog.as_ref(), &webhook.id).await?;
    let now = app.clock.now();
    let id = event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let body = event.to_string();
    let signatures = signature::sign(&secrets.signing(now), &id, now, body.as_bytes());
    let headers = [
        ("content-type", CONTENT_TYPE.to_owned()),
        (signature::ID, id),
        (signature::TIMESTAMP, now.secs().to_string()),
        (signature::SIGNATURE, signatures),
    ];
    Ok(Sent(app.poster.post(&webhook.url, &headers, Bytes::from(body), now).await))
}
