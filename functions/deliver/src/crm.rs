//! A lead's record in a CRM: made once, changed from then on.
//!
//! # At most one record
//!
//! A lead whose record's id we know is *changed*; that can be repeated. *Making* one cannot, so it goes: claim, look, make,
//! note. The [claim](adapters::crm::Standing::Making) is a conditional write, so of two deliveries of one lead one waits. Where
//! the CRM can be asked, it is asked before each making, so a record that an earlier try left behind, or that was there
//! before us, is found instead of doubled. What is clear to have made nothing (no connection, a refusal) ends the claim at
//! once. What is not (no whole answer, a failure inside the CRM) leaves it: whoever comes after it has run out asks or, where
//! the CRM cannot be asked, sets the message aside and says so, and nobody makes another record until a person said what is
//! there. A CRM that makes *or* changes under a key of ours needs no claim.
//!
//! # What the record will hold
//!
//! Marks of the values are noted before they are sent, since the CRM may tell us of them before it answers. They also tell
//! whoever was slow that somebody else sent something newer meanwhile: what landed last may be older then, so the lead is told
//! of once more, as it is by then.

pub mod auth;

use crate::App;
use crate::post::{Failed, Reply};
use crate::queue::Sent;
use adapters::crm::{CLAIM_MS, Kept, Standing};
use adapters::ports::StoreError;
use adapters::webhooks::Delivery;
use auth::Auth;
use axum::body::Bytes;
use axum::http::Method;
use domain::crm::context::{context, sample};
use domain::crm::{Crm, Find, Making, Ready, Request};
use domain::identity::{ExternalId, LeadId};
use domain::lead::Lead;
use domain::time::SECOND_MS;
use domain::webhook::Webhook;
use serde_json::{Value, json};

/// How long a delivery waits that lost a race, in milliseconds.
const LOST_MS: i64 = 2 * SECOND_MS;

/// What became of telling a CRM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It answered, or did not.
    Sent(Sent),
    /// There is nobody to tell of.
    Nobody,
    /// Somebody else is at it, for so many milliseconds at most.
    Wait(i64),
    /// A person has to see to it.
    Aside(String),
}

/// What came of one exchange with a CRM.
type Exchanged = Result<Reply, Failed>;

/// Tells a CRM of an event's lead, as the lead is now.
///
/// # Errors
///
/// [`StoreError`]; what the CRM does is no error here.
pub(crate) async fn tell(
    app: &App,
    webhook: &Webhook,
    document: &Value,
    delivery: &Delivery,
) -> Result<Told, StoreError> {
    let id = delivery.event.pointer("/data/lead_id").and_then(Value::as_str);
    let Some(id) = id.and_then(|id| LeadId::parse(id).ok()) else { return Ok(Told::Nobody) };
    let Some(lead) = app.leads.load(std::slice::from_ref(&id)).await?.pop() else { return Ok(Told::Nobody) };
    let damaged = || StoreError::Damaged(format!("what the CRM {} is told", webhook.id));
    let crm = Crm::stored(document).ok_or_else(damaged)?;
    let auth = auth::read(app.catalog.as_ref(), &webhook.id).await?;
    let kept = Kept::read(app.catalog.as_ref(), &adapters::crm::id(&webhook.id, id.as_str())).await?;
    let mut owner = match &lead.person {
        Some(person) => Some(adapters::crm::owner(app.catalog.as_ref(), person.as_str()).await?),
        None => None,
    };
    if let (Some(owner), Some(id)) = (&mut owner, lead.person.as_ref().and_then(|person| crm.owner(person))) {
        owner.crm_id = Some(id.to_owned());
    }
    let record_id = known_id(&lead, &crm, &kept);
    let context = context(&lead, owner.as_ref(), &delivery.event, record_id.as_deref());
    let mut teller = Teller { app, webhook, crm: &crm, auth: &auth, lead: &lead, kept, context };
    match (record_id, &crm.making) {
        (Some(id), _) => teller.change(&id).await,
        (None, Making::Upsert(request)) => teller.upsert(request).await,
        (None, Making::Create(request)) => teller.create(request).await,
    }
}

/// Gives the id of a lead's record: one of its external ids or, until it is that, what was noted.
fn known_id(lead: &Lead, crm: &Crm, kept: &Kept) -> Option<String> {
    let own = lead.external_ids().find(|id| id.system() == crm.system).map(|id| id.id().to_owned());
    own.or_else(|| match &kept.known.standing {
        Standing::Made { id } => Some(id.clone()),
        _ => None,
    })
}

/// One delivery to a CRM.
struct Teller<'a> {
    app: &'a App,
    webhook: &'a Webhook,
    crm: &'a Crm,
    auth: &'a Auth,
    lead: &'a Lead,
    kept: Kept,
    context: Value,
}

/// What was found of a record.
enum Looked {
    Found(String),
    None,
    /// There is no way to ask.
    CannotAsk,
    Failed(Exchanged),
}

impl Teller<'_> {
    /// Changes the record, and makes sure that the lead is known by its id.
    async fn change(&mut self, id: &str) -> Result<Told, StoreError> {
        let ready = match self.ready(&self.crm.update) {
            Ok(ready) => ready,
            Err(why) => return Ok(Told::Aside(why)),
        };
        // Whoever died after making it did not get here.
        if !self.attach(id).await? {
            return Ok(Told::Nobody);
        }
        if self.kept.known.will_hold(&ready.holds) && !self.kept.write(self.app.catalog.as_ref()).await? {
            return Ok(Told::Wait(LOST_MS));
        }
        let reply = self.exchange(&ready).await?;
        self.landed(&ready, Told::Sent(sent(&reply))).await
    }

    /// Looks whether somebody sent something newer while this was on its way.
    async fn landed(&self, ready: &Ready, told: Told) -> Result<Told, StoreError> {
        if !matches!(&told, Told::Sent(sent) if sent.is_taken()) {
            return Ok(told);
        }
        let id = adapters::crm::id(&self.webhook.id, self.lead.id.as_str());
        let holds = Kept::read(self.app.catalog.as_ref(), &id).await?.known.holds;
        let newer = |(field, mark): (&String, &String)| holds.get(field).is_some_and(|held| held != mark);
        Ok(if ready.holds.iter().any(newer) { Told::Wait(LOST_MS) } else { told })
    }

    /// Makes or changes the record under a key of ours.
    async fn upsert(&mut self, request: &Request) -> Result<Told, StoreError> {
        let ready = match self.ready(request) {
            Ok(ready) => ready,
            Err(why) => return Ok(Told::Aside(why)),
        };
        if self.kept.known.will_hold(&ready.holds) && !self.kept.write(self.app.catalog.as_ref()).await? {
            return Ok(Told::Wait(LOST_MS));
        }
        let reply = self.exchange(&ready).await?;
        if !sent(&reply).is_taken() {
            return Ok(Told::Sent(sent(&reply)));
        }
        // Some say nothing when they change; the lead's id is the key, so nothing is lost by that.
        let told = match self.id_in(&reply, &self.crm.record_id) {
            Some(id) => self.note(&id, Some(sent(&reply))).await?,
            None => Told::Sent(sent(&reply)),
        };
        self.landed(&ready, told).await
    }

    /// Makes the record, if nobody did or does.
    async fn create(&mut self, request: &Request) -> Result<Told, StoreError> {
        let ready = match self.ready(request) {
            Ok(ready) => ready,
            Err(why) => return Ok(Told::Aside(why)),
        };
        let now = self.app.clock.now();
        let left_behind = match self.kept.known.standing {
            Standing::Making { since } => {
                let left = CLAIM_MS - now.since(since);
                if left > 0 {
                    return Ok(Told::Wait(left));
                }
                true
            }
            _ => false,
        };
        let before = self.kept.clone();
        self.kept.known.standing = Standing::Making { since: now };
        self.kept.known.will_hold(&ready.holds);
        match self.look(left_behind).await? {
            Looked::Found(id) => {
                // Found is as good as made; it is changed at once.
                self.kept = before;
                return self.note(&id, None).await;
            }
            Looked::Failed(reply) => return Ok(Told::Sent(sent(&reply))),
            Looked::CannotAsk if left_behind => {
                let why = "a record may have been made for this lead, and the CRM cannot be asked";
                tracing::error!(
                    crm_record_unknown = 1,
                    webhook = self.webhook.id,
                    lead = self.lead.id.as_str(),
                    "{why}"
                );
                return Ok(Told::Aside(why.to_owned()));
            }
            Looked::None | Looked::CannotAsk => {}
        }
        if !self.kept.write(self.app.catalog.as_ref()).await? {
            return Ok(Told::Wait(LOST_MS));
        }
        let reply = self.exchange(&ready).await?;
        let made = sent(&reply);
        if made.is_taken()
            && let Some(id) = self.id_in(&reply, &self.crm.record_id)
        {
            return self.note(&id, Some(made)).await;
        }
        if made_nothing(&reply) {
            self.kept.known.standing = Standing::None;
            // Where this is not written the claim runs out by itself.
            self.kept.write(self.app.catalog.as_ref()).await?;
        }
        // An answer without an id is as good as none: there is a record, and nobody knows which.
        Ok(Told::Sent(if made.is_taken() { Sent::of(Err(Failed::NoId)) } else { made }))
    }

    /// Notes the id of a record and makes it one of the lead's own; one that was only found is changed too.
    async fn note(&mut self, id: &str, made: Option<Sent>) -> Result<Told, StoreError> {
        self.kept.known.standing = Standing::Made { id: id.to_owned() };
        if !self.kept.write(self.app.catalog.as_ref()).await? {
            // Only what is heard of the record is noted beside a claim, so this is about the same one.
            let mut again = Kept::read(
                self.app.catalog.as_ref(),
                &adapters::crm::id(&self.webhook.id, self.lead.id.as_str()),
            )
            .await?;
            again.known.standing = Standing::Made { id: id.to_owned() };
            if !again.write(self.app.catalog.as_ref()).await? {
                return Ok(Told::Wait(LOST_MS));
            }
            self.kept = again;
        }
        let Some(made) = made else {
            if let Some(context) = self.context.as_object_mut() {
                context.insert("record_id".to_owned(), id.into());
            }
            return self.change(id).await;
        };
        self.attach(id).await?;
        Ok(Told::Sent(made))
    }

    /// Makes a record's id one of the lead's external ids; `false` where there is no such lead any more.
    async fn attach(&self, id: &str) -> Result<bool, StoreError> {
        let Ok(external) = ExternalId::new(&self.crm.system, id) else { return Ok(true) };
        if self.lead.external_ids().any(|known| *known == external) {
            return Ok(true);
        }
        let (write_path, now) = (&self.app.write_path, self.app.clock.now());
        adapters::crm::attach(write_path, &self.webhook.id, self.lead, external, now).await
    }

    /// Asks the CRM for the record; without a way to ask, or without what to ask by, there is no knowing.
    async fn look(&self, needed: bool) -> Result<Looked, StoreError> {
        let Some(find) = &self.crm.find else { return Ok(Looked::CannotAsk) };
        let Ok(url) = find.url.render_url(&self.context) else {
            if needed {
                tracing::warn!(webhook = self.webhook.id, "there is nothing to ask the CRM by");
            }
            return Ok(Looked::CannotAsk);
        };
        let reply = ask(self.app, self.webhook, self.auth, &url).await?;
        Ok(found(find, reply))
    }

    fn ready(&self, request: &Request) -> Result<Ready, String> {
        self.crm.ready(request, self.lead.id.as_str(), &self.context)
    }

    fn id_in(&self, reply: &Exchanged, pointer: &str) -> Option<String> {
        id_in(reply.as_ref().ok()?, pointer)
    }

    async fn exchange(&self, ready: &Ready) -> Result<Exchanged, StoreError> {
        let method = Method::from_bytes(ready.method.as_bytes()).unwrap_or(Method::POST);
        let body = Bytes::from(ready.body.to_string());
        auth::exchange(self.app, &self.webhook.id, self.auth, method, &ready.url, body).await
    }
}

/// Reads what a CRM answered to being asked for a record.
fn found(find: &Find, reply: Exchanged) -> Looked {
    match &reply {
        Ok(Reply { answer, .. }) if answer.status == 404 => Looked::None,
        Ok(whole) if (200..300).contains(&whole.answer.status) && whole.body.is_some() => {
            id_in(whole, &find.id).map_or(Looked::None, Looked::Found)
        }
        _ => Looked::Failed(reply),
    }
}

async fn ask(app: &App, webhook: &Webhook, auth: &Auth, url: &str) -> Result<Exchanged, StoreError> {
    auth::exchange(app, &webhook.id, auth, Method::GET, url, Bytes::new()).await
}

fn id_in(reply: &Reply, pointer: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(reply.body.as_ref()?).ok()?;
    let id = match body.pointer(pointer)? {
        Value::String(id) => id.trim().to_owned(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    ExternalId::new("crm", &id).is_ok().then_some(id)
}

fn sent(reply: &Exchanged) -> Sent {
    Sent::of(reply.as_ref().map(|reply| reply.answer).map_err(Clone::clone))
}

/// Tells whether it is certain that no record was made: the request never got there, or was refused. A refusal because of a
/// conflict, or one after a while, may come after a record.
fn made_nothing(reply: &Exchanged) -> bool {
    match reply {
        Ok(reply) => (300..500).contains(&reply.answer.status) && reply.answer.status != 408,
        Err(Failed::Http | Failed::Time(_)) => false,
        Err(_) => true,
    }
}

/// Tries what can be tried without making anything: whether a token is given, the record of somebody made up is asked for
/// where that is possible, and what would be written.
///
/// # Errors
///
/// [`StoreError`].
pub(crate) async fn test(app: &App, webhook: &Webhook, document: &Value) -> Result<Value, StoreError> {
    let damaged = || StoreError::Damaged(format!("what the CRM {} is told", webhook.id));
    let crm = Crm::stored(document).ok_or_else(damaged)?;
    let auth = auth::read(app.catalog.as_ref(), &webhook.id).await?;
    let (Making::Create(request) | Making::Upsert(request)) = &crm.making;
    let would = crm.ready(request, "", &sample());
    let would = would.map(|ready| json!({ "method": ready.method, "url": ready.url, "body": ready.body }));
    let asked = match crm.find.as_ref().and_then(|find| find.url.render_url(&sample()).ok()) {
        Some(url) => ask(app, webhook, &auth, &url).await?.map(Some),
        None => auth::token(app, &webhook.id, &auth, None).await?.map(|_| None),
    };
    let (works, status, how) = match &asked {
        Ok(Some(reply)) => {
            let status = reply.answer.status;
            ((200..300).contains(&status) || status == 404, Some(status), format!("answered {status}"))
        }
        Ok(None) => {
            (true, None, "cannot be asked without making a record; its credentials can be used".to_owned())
        }
        Err(failed) => (false, None, failed.to_string()),
    };
    Ok(
        json!({ "delivered": works, "status": status, "how": how, "would_send": would.unwrap_or_else(Value::String) }),
    )
}
