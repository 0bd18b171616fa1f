//! `POST /v1/hooks/crm/{mapping_id}`: what a CRM tells us, as the feedback that it is.
//!
//! A CRM sends many changes in one request and sends the whole request again when any of it is not answered well. So each
//! change has a result of its own, one that is wrong holds up no other, and only what may go better the next time (a store
//! that is busy) is answered with an error: those that were recorded are repeats then, which change nothing.
//!
//! Much of what a CRM tells is what we told it a moment ago. A change to what the CRM held already, as far as we know, is
//! such an echo; so is one to what the lead is anyway. Both are `unchanged`. What was heard and not taken in, since no rule is
//! about it or it was rejected, is not what the CRM held before either: after it a change back is no echo.
//!
//! Somebody who is found by the address is known by the record from then on, unless they have another one.

use crate::{App, record, request, response};
use adapters::crm::{CLAIM_MS, Heard, Kept, Standing, attach, channel_of, id, mapping, people, secret_of};
use adapters::http::body::parse_json;
use adapters::http::{self, Problem};
use adapters::ports::{Catalog, CatalogKind, StoreError};
use adapters::wire::{self, MOST_ITEMS};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::change::Outcome;
use domain::crm::mapping::{Changed, Mapping, Told, stands};
use domain::crm::mark;
use domain::fault::Fault;
use domain::identity::{Email, ExternalId, Identity, LeadRef, Slug};
use domain::lead::Lead;
use domain::template::People;
use futures::StreamExt;
use serde_json::{Value, json};

/// How many leads are looked after beside each other.
const BESIDE: usize = 16;
/// How often it is tried to note what was heard.
const TRIES: u32 = 5;

/// What a request goes by.
struct Hearing<'a> {
    app: &'a App,
    id: &'a str,
    mapping: &'a Mapping,
    people: &'a People,
}

/// Answers a CRM.
pub(crate) async fn answer(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("no mapping has this id");
    let id = Slug::parse(id).map_err(|_| missing())?;
    let (_, mapping) = mapping(app.catalog.as_ref(), id.as_str()).await?.ok_or_else(missing)?;
    let hook = app.catalog.get(CatalogKind::WebhookSecret, &secret_of(id.as_str())).await?;
    let hook = hook.and_then(|record| adapters::crm::hook::Hook::from_body(&record.body));
    let hook =
        hook.ok_or_else(|| StoreError::Damaged(format!("by what the CRM of mapping {id} is known")))?;
    // Before anything of it is read.
    if !hook.believes(headers, body, app.clock.now()) {
        tracing::warn!(mapping = id.as_str(), "a CRM's call is not believed");
        return Err(Problem::unauthorized());
    }
    let body = parse_json(body)?;
    let items = mapping.items(&body).map_err(|(pointer, detail)| Problem::fault(pointer, detail))?;
    if items.len() > MOST_ITEMS {
        return Err(Problem::fault("", format!("has {} items; expected at most {MOST_ITEMS}", items.len())));
    }
    let people = people(app.catalog.as_ref(), mapping.subscriber.as_deref()).await?;
    let hearing = Hearing { app, id: id.as_str(), mapping: &mapping, people: &people };
    let results = hearing.all(&items).await;
    let busy = results.iter().any(|result| result.pointer("/problem/status") == Some(&json!(503)));
    let counts = |status: &str| results.iter().filter(|result| is(result, status)).count();
    tracing::info!(
        mapping = id.as_str(),
        updated = counts("updated"),
        unchanged = counts("unchanged"),
        rejected = counts("rejected"),
        "a CRM told of changes"
    );
    if busy {
        return Err(Problem::busy());
    }
    Ok(http::json(StatusCode::OK, &json!({ "results": results })))
}

impl Hearing<'_> {
    /// Takes in all items: those about one record in their order, those about different ones beside each other.
    async fn all(&self, items: &[&Value]) -> Vec<Value> {
        let mut results = vec![Value::Null; items.len()];
        let mut told: Vec<Option<Told>> = Vec::new();
        for (item, slot) in items.iter().zip(&mut results) {
            match self.read(item) {
                Ok(one) => told.push(Some(one)),
                Err(problem) => {
                    *slot = response::rejected(&problem);
                    told.push(None);
                }
            }
        }
        let keys = |told: &Option<Told>| {
            let told = told.as_ref();
            let of = |kind: &str, key: Option<&String>| key.map(|key| format!("{kind} {key}"));
            let keys = [
                of("record", told.and_then(|told| told.record_id.as_ref())),
                of("email", told.and_then(|told| told.email.as_ref())),
            ];
            keys.into_iter().flatten().collect::<Vec<String>>()
        };
        let keys: Vec<Vec<String>> = told.iter().map(keys).collect();
        let mut groups = Vec::new();
        for places in wire::groups(&keys) {
            let group: Vec<(usize, Told)> =
                places.iter().filter_map(|at| Some((*at, told.get_mut(*at)?.take()?))).collect();
            groups.push(async move {
                let mut done = Vec::with_capacity(group.len());
                for (at, told) in group {
                    done.push((
                        at,
                        self.one(told).await.unwrap_or_else(|problem| response::rejected(&problem)),
                    ));
                }
                done
            });
        }
        let mut done = futures::stream::iter(groups).buffer_unordered(BESIDE);
        while let Some(group) = done.next().await {
            group.into_iter().for_each(|(at, result)| crate::put(&mut results, at, result));
        }
        results
    }

    fn read(&self, item: &Value) -> Result<Told, Problem> {
        let told = self.mapping.told(item, self.people).map_err(|faults| {
            let fault = |(pointer, detail)| Fault { pointer, detail };
            Problem::invalid(faults.into_iter().map(fault).collect())
        })?;
        if told.record_id.is_none() && told.email.is_none() {
            return Err(Problem::fault(
                "/record_id",
                "is nothing here, and there is no e-mail address either",
            ));
        }
        Ok(told)
    }

    /// Takes in one item.
    async fn one(&self, told: Told) -> Result<Value, Problem> {
        let no_rule = json!({ "status": "unchanged", "because": "no rule is about it" });
        if told.changes.is_empty() && told.others.is_empty() {
            return Ok(no_rule);
        }
        let lead = match self.lead(&told).await {
            Err(problem) if told.changes.is_empty() && problem.status() == 404 => return Ok(no_rule),
            lead => lead?,
        };
        let channel = channel_of(self.id, self.mapping);
        let kept = id(&channel, lead.id.as_str());
        let known = Kept::read(self.app.catalog.as_ref(), &kept).await?.known;
        self.meet(&channel, &lead, &told, &known.standing).await?;
        let marked = |field: &str, value: &Value| {
            let mark = mark(lead.id.as_str(), field, value);
            (known.holds.get(field) != Some(&mark)).then_some(mark)
        };
        let (mut results, mut heard) = (Vec::new(), Heard::new());
        let others = told.others.iter().filter(|(field, value)| marked(field, value).is_some());
        heard.extend(others.map(|(field, _)| (field.clone(), None)));
        for change in &told.changes {
            let result = match marked(&change.field, &change.value) {
                None => json!({ "status": "unchanged", "because": "the CRM held that already" }),
                Some(mark) => match self.change(&lead, &told, change).await {
                    Ok((result, news)) => {
                        if news {
                            heard.insert(change.field.clone(), Some(mark));
                        }
                        result
                    }
                    Err(problem) if problem.status() == 503 => {
                        // What was taken in before is a repeat the next time, of which nothing is noted.
                        self.note(&kept, &heard).await;
                        return Err(problem);
                    }
                    Err(problem) => {
                        heard.insert(change.field.clone(), None);
                        response::rejected(&problem)
                    }
                },
            };
            results.push(named(&change.field, result));
        }
        self.note(&kept, &heard).await;
        if told.changes.is_empty() {
            return Ok(no_rule);
        }
        let any = |status: &str| results.iter().any(|result| is(result, status));
        let status = ["updated", "rejected"].into_iter().find(|status| any(status)).unwrap_or("unchanged");
        Ok(json!({ "status": status, "lead_id": lead.id.as_str(), "changes": results }))
    }

    /// Finds the lead that an item is about: by the record or, where nobody is known by that, by the address.
    async fn lead(&self, told: &Told) -> Result<Lead, Problem> {
        let record = told.record_id.as_deref().map(|id| ExternalId::new(&self.mapping.system, id));
        let email = told.email.as_deref().map(Email::parse);
        let identities = [
            record.and_then(Result::ok).map(Identity::External),
            email.and_then(Result::ok).map(Identity::Email),
        ];
        for identity in identities.into_iter().flatten() {
            if let Some(lead) = self.app.write_path.look_up(&LeadRef::Known(identity)).await? {
                return Ok(lead);
            }
        }
        Err(Problem::not_found("no lead is known by this record"))
    }

    /// Lets a lead that was found by its address be known by its record, so that what is told of the record alone reaches it
    /// and the CRM gets no second one. Not where it has another record there, or somebody is just making one.
    async fn meet(
        &self,
        channel: &str,
        lead: &Lead,
        told: &Told,
        standing: &Standing,
    ) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        let record = told.record_id.as_deref().map(|id| ExternalId::new(&self.mapping.system, id));
        let Some(Ok(record)) = record else { return Ok(()) };
        let has = lead.external_ids().any(|known| known.system() == record.system());
        let other = match standing {
            Standing::None => false,
            Standing::Making { since } => now.since(*since) < CLAIM_MS,
            Standing::Made { id } => id != record.id(),
        };
        if has || other {
            return Ok(());
        }
        attach(&self.app.write_path, channel, lead, record, now).await.map(drop)
    }

    /// Takes in one change, and tells whether it is news of what the CRM holds.
    async fn change(&self, lead: &Lead, told: &Told, change: &Changed) -> Result<(Value, bool), Problem> {
        let feedback = change.feedback.as_ref();
        let feedback =
            feedback.map_err(|why| Problem::fault("/feedback", format!("cannot be made: {why}")))?;
        let key = told.id.as_ref().map(|id| format!("{id}#{}", change.field));
        let sent = request::reported(feedback, key, &format!("crm {}", self.id), self.app.clock.now())?;
        // As the lead is by now: the change before this one may have moved it.
        let now = self.app.write_path.look_up(&LeadRef::Id(lead.id.clone())).await?;
        if now.is_some_and(|lead| stands(&lead, &sent.fact.fact)) {
            return Ok((json!({ "status": "unchanged", "because": "the lead is so already" }), true));
        }
        let recorded = record(self.app, LeadRef::Id(lead.id.clone()), sent).await?;
        let news = recorded.outcomes.first() != Some(&Outcome::Unchanged);
        Ok((response::recorded(&recorded), news))
    }

    /// Notes what the CRM holds. Whatever is not noted is judged by how the lead stands, so a failure costs little.
    async fn note(&self, kept: &str, heard: &Heard) {
        if heard.is_empty() {
            return;
        }
        for _ in 0..TRIES {
            match noted(self.app.catalog.as_ref(), kept, heard).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "what a CRM holds cannot be noted");
                    return;
                }
            }
        }
    }
}

async fn noted(catalog: &dyn Catalog, kept: &str, heard: &Heard) -> Result<bool, StoreError> {
    let mut kept = Kept::read(catalog, kept).await?;
    if kept.known.hears(heard) { kept.write(catalog).await } else { Ok(true) }
}

fn is(result: &Value, status: &str) -> bool {
    result.get("status").and_then(Value::as_str) == Some(status)
}

fn named(field: &str, mut result: Value) -> Value {
    if let Some(map) = result.as_object_mut() {
        map.insert("field".to_owned(), field.into());
    }
    result
}
