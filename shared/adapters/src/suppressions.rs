//! The list of addresses that nobody may write to.
//!
//! **It holds hashes and no address.** Most of what comes onto it never was a lead and never becomes one, so nothing more may
//! be kept of it than what it takes to recognise it. A record's id is the hash that the address has as a key of the table of
//! identities too ([`identity_key`]): SHA-256 of the normal form, without a secret. A keyed hash would hide nothing more from
//! whoever reads this table, where the key would have to stand as well; and a key that is lost, or rotated, loses the list,
//! which can be made from nothing, and with it everybody's no. Nobody gets a hash from the API: whoever asks has the address.
//!
//! **It is asked in two places.** When a lead gets an address, what the list says becomes a fact of the lead in the same
//! transaction ([`listed`], asked by the write path), so that exports, which read nothing but leads, leave it out. What comes
//! onto the list between that look and the transaction finds no owner to tell, so the write path looks once more when the
//! address is the lead's: whoever lists writes first and looks for the owner then, so one of the two sees the other. And before
//! each mail that is sent, whatever the lead says ([`is_suppressed`]). What comes onto the list of an address that a lead has
//! is told to the lead at once ([`suppress`]); the record is written first, so that whoever dies in between has done the part
//! that forbids, and doing it again does the rest.
//!
//! Whoever takes an address off the list says why; the record stays, with that.

use crate::dynamodb::keys::{identity_key, is_email_key};
use crate::ports::{Catalog, CatalogKind, LeadStore, Put, Record, StoreError};
use crate::write_path::{About, RecordError, WritePath};
use domain::change::{Incoming, Outcome};
use domain::erasure;
use domain::identity::{Email, Identity, LeadId, LeadRef};
use domain::lead::Lead;
use domain::suppression::{Reason, lifted};
use domain::time::Timestamp;
use serde_json::{Value, json};

/// How often a write is tried where others write the same.
const TRIES: u32 = 5;
/// Who put an address there of a lead that was erased.
const ERASED: &str = "erasure";

/// That an address was taken off the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub because: String,
}

/// What the list says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Why nobody may write to it.
    pub reason: Reason,
    /// Since when, as whoever put it there said.
    pub since: Timestamp,
    /// When it was put there.
    pub recorded_at: Timestamp,
    /// Who put it there.
    pub by: String,
    /// Where it was known from.
    pub source: Option<String>,
    /// That it was taken off.
    pub lifted: Option<Lifted>,
}

impl Suppression {
    fn to_body(&self) -> Value {
        let lifted = self
            .lifted
            .as_ref()
            .map(|lifted| json!({ "at": lifted.at.to_string(), "by": lifted.by, "because": lifted.because }));
        json!({
            "reason": self.reason.as_str(),
            "since": self.since.to_string(),
            "recorded_at": self.recorded_at.to_string(),
            "by": self.by,
            "source": self.source,
            "lifted": lifted,
        })
    }

    fn from_record(record: &Record) -> Result<Self, StoreError> {
        fn read(body: &Value) -> Option<Suppression> {
            let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
            let time = |of: &Value, name: &str| text(of, name).and_then(|text| Timestamp::parse(&text));
            let lifted = match body.get("lifted") {
                None | Some(Value::Null) => None,
                Some(of) => {
                    Some(Lifted { at: time(of, "at")?, by: text(of, "by")?, because: text(of, "because")? })
                }
            };
            Some(Suppression {
                reason: Reason::parse(&text(body, "reason")?)?,
                since: time(body, "since")?,
                recorded_at: time(body, "recorded_at")?,
                by: text(body, "by")?,
                source: text(body, "source"),
                lifted,
            })
        }
        read(&record.body).ok_or_else(|| StoreError::Damaged("an address on the list".to_owned()))
    }

    /// Tells whether it forbids already, for a reason that weighs as much as another.
    fn stands(&self, other: &Self) -> bool {
        self.lifted.is_none() && self.reason >= other.reason
    }

    /// Tells whether another one says nothing that it does not say: it stands for a reason that weighs as much, and what the owner of the
    /// address said is no later word.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.stands(other) && (other.reason.withdraws().is_empty() || self.since >= other.since)
    }

    /// Tells whether somebody took it off who knew of all that another one says: that is from before, and weighs no more. So what
    /// is imported night after night says nothing new, and a no that only now comes to light, of an address that was taken off
    /// because its mailbox is back, still counts.
    #[must_use]
    pub fn settles(&self, other: &Self) -> bool {
        let lifted = self.lifted.as_ref();
        lifted.is_some_and(|lifted| lifted.at >= other.since) && self.reason >= other.reason
    }

    /// Gives it as the API shows it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.to_body()
    }
}

/// An address as the list knows it: its hash. It may stand where the address must not, in a link say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed(String);

impl Hashed {
    /// Hashes an address.
    #[must_use]
    pub fn of(address: &Email) -> Self {
        Self(identity_key(&Identity::Email(address.clone())))
    }

    /// Reads one that was written before.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_email_key(text).then(|| Self(text.to_owned()))
    }

    /// Gives it as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Gives what the list says of an address, also where it was taken off.
///
/// # Errors
///
/// [`StoreError`].
pub async fn find(catalog: &dyn Catalog, address: &Email) -> Result<Option<Suppression>, StoreError> {
    let record = catalog.get(CatalogKind::Suppression, Hashed::of(address).as_str()).await?;
    record.as_ref().map(Suppression::from_record).transpose()
}

/// Tells why nobody may write to an address; `None` where somebody may. To be asked right before each mail.
///
/// # Errors
///
/// [`StoreError`]; whoever cannot know must not write.
pub async fn is_suppressed(catalog: &dyn Catalog, address: &Email) -> Result<Option<Reason>, StoreError> {
    let found = find(catalog, address).await?;
    Ok(found.filter(|found| found.lifted.is_none()).map(|found| found.reason))
}

/// Changes what the list says of an address; gives what it said before.
async fn change(
    catalog: &dyn Catalog,
    address: &Hashed,
    to: impl Fn(Option<&Suppression>) -> Option<Suppression>,
) -> Result<Option<Suppression>, StoreError> {
    for _ in 0..TRIES {
        let record = catalog.get(CatalogKind::Suppression, address.as_str()).await?;
        let known = record.as_ref().map(Suppression::from_record).transpose()?;
        let Some(new) = to(known.as_ref()) else { return Ok(known) };
        let put = match &record {
            Some(record) => Put::over(record, new.to_body()),
            None => Put::new(CatalogKind::Suppression, address.as_str(), new.to_body()),
        };
        if catalog.put(std::slice::from_ref(&put)).await? {
            return Ok(known);
        }
    }
    Err(StoreError::Busy("the list of addresses is being changed by too many at once".to_owned()))
}

/// Puts an address onto the list, and nothing else. Where what stands there [covers](Suppression::covers) it nothing changes,
/// nor where it was taken off since and that [settles](Suppression::settles) it; a weightier reason stays. Gives what the list
/// said before.
///
/// # Errors
///
/// [`StoreError`].
pub async fn add(
    catalog: &dyn Catalog,
    address: &Hashed,
    suppression: &Suppression,
) -> Result<Option<Suppression>, StoreError> {
    change(catalog, address, |known| match known {
        Some(known) if known.covers(suppression) || known.settles(suppression) => None,
        Some(known) if known.stands(suppression) => {
            Some(Suppression { reason: known.reason, ..suppression.clone() })
        }
        _ => Some(suppression.clone()),
    })
    .await
}

/// Puts the address of a lead onto the list because of what a mail brought back; `at` is when that was. What people lifted
/// since then stays so: an old event that comes again says nothing that they did not know.
///
/// # Errors
///
/// [`StoreError`].
pub async fn add_from_mail(
    catalog: &dyn Catalog,
    address: &Email,
    reason: Reason,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let by = domain::change::nurture::MAIL.to_owned();
    let new = Suppression { reason, since: at, recorded_at: now, by, source: None, lifted: None };
    change(catalog, &Hashed::of(address), |known| {
        known.is_none_or(|known| !known.stands(&new) && !known.settles(&new)).then(|| new.clone())
    })
    .await
    .map(drop)
}

/// Gives what puts the addresses of a lead that is erased onto the list, where it said no and they are not on it. What people
/// took off stays off, unless the lead withdrew its consent itself: that stands whatever becomes of the address. Nothing in
/// it says whose address it was.
///
/// # Errors
///
/// [`StoreError`].
pub async fn outliving(catalog: &dyn Catalog, lead: &Lead, now: Timestamp) -> Result<Vec<Put>, StoreError> {
    let Some(no) = erasure::no(lead) else { return Ok(Vec::new()) };
    let new = Suppression {
        reason: no.reason,
        since: no.withdrawn_at.unwrap_or(now),
        recorded_at: now,
        by: ERASED.to_owned(),
        source: None,
        lifted: None,
    };
    let mut puts = Vec::new();
    for identity in &lead.identities {
        let Identity::Email(address) = identity else { continue };
        if !no.reason.concerns(lead, address) {
            continue;
        }
        let Hashed(id) = Hashed::of(address);
        match catalog.get(CatalogKind::Suppression, &id).await? {
            None => puts.push(Put::new(CatalogKind::Suppression, id, new.to_body())),
            Some(record) => {
                let known = Suppression::from_record(&record)?;
                let stays_off = known.lifted.is_some() && no.withdrawn_at.is_none();
                if !known.stands(&new) && !stays_off {
                    puts.push(Put::over(&record, new.to_body()));
                }
            }
        }
    }
    Ok(puts)
}

/// What became of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What the list said before.
    pub before: Option<Suppression>,
    /// The lead that has the address.
    pub lead: Option<LeadId>,
    /// Whether that lead heard something new.
    pub heard: bool,
}

/// Puts an address onto the list, and tells the lead that has it.
///
/// # Errors
///
/// [`RecordError`]; the list may have it all the same, and the same again does the rest.
pub async fn suppress(
    catalog: &dyn Catalog,
    leads: &WritePath,
    address: &Email,
    suppression: &Suppression,
) -> Result<Done, RecordError> {
    let before = add(catalog, &Hashed::of(address), suppression).await?;
    let Some(lead) = leads.look_up(&LeadRef::Known(Identity::Email(address.clone()))).await? else {
        return Ok(Done { before, lead: None, heard: false });
    };
    let reason = suppression.reason;
    let settled = before.as_ref().is_some_and(|before| before.settles(suppression));
    if settled || !reason.concerns(&lead, address) {
        return Ok(Done { before, lead: Some(lead.id), heard: false });
    }
    told_of(leads, lead, before, suppression).await
}

/// Puts an address onto the list of which only the hash is left, since its owner says no, and tells the lead that gets it
/// meanwhile.
///
/// # Errors
///
/// As [`suppress`].
pub async fn unsubscribe(
    catalog: &dyn Catalog,
    store: &dyn LeadStore,
    leads: &WritePath,
    address: &Hashed,
    now: Timestamp,
) -> Result<(), RecordError> {
    let by = domain::change::nurture::MAIL.to_owned();
    let (reason, source) = (Reason::Unsubscribed, Some("the link of an older mail".to_owned()));
    let new = Suppression { reason, since: now, recorded_at: now, by, source, lifted: None };
    let before = add(catalog, address, &new).await?;
    let Some(owner) = store.owner_by_key(address.as_str()).await? else { return Ok(()) };
    match store.load(&[owner]).await?.pop() {
        Some(lead) => told_of(leads, lead, before, &new).await.map(drop),
        None => Ok(()),
    }
}

/// Tells a lead that its address is on the list, unless it knows.
async fn told_of(
    leads: &WritePath,
    lead: Lead,
    before: Option<Suppression>,
    suppression: &Suppression,
) -> Result<Done, RecordError> {
    let reason = suppression.reason;
    let same = before.as_ref().is_some_and(|before| before.covers(suppression));
    if same && reason.is_heard(&lead) {
        return Ok(Done { before, lead: Some(lead.id), heard: false });
    }
    let fact = reason.fact(Some(&suppression.by), suppression.source.as_deref(), suppression.recorded_at);
    let heard = tell(leads, &lead, fact).await?;
    Ok(Done { before, lead: Some(lead.id), heard })
}

/// Takes an address off the list, and tells the lead that has it, unless another of its addresses is on the list.
///
/// # Errors
///
/// [`RecordError`]; the list may have done it all the same, and the same again does the rest.
pub async fn lift(
    catalog: &dyn Catalog,
    leads: &WritePath,
    address: &Email,
    how: &Lifted,
) -> Result<Done, RecordError> {
    let before = change(catalog, &Hashed::of(address), |known| {
        let known = known.filter(|known| known.lifted.is_none())?;
        Some(Suppression { lifted: Some(how.clone()), ..known.clone() })
    })
    .await?;
    let Some(lead) = leads.look_up(&LeadRef::Known(Identity::Email(address.clone()))).await? else {
        return Ok(Done { before, lead: None, heard: false });
    };
    for identity in &lead.identities {
        if let Identity::Email(other) = identity
            && let Some(reason) = is_suppressed(catalog, other).await?
            && reason.concerns(&lead, other)
        {
            return Ok(Done { before, lead: Some(lead.id), heard: false });
        }
    }
    let heard = tell(leads, &lead, lifted(&how.by, &how.because, how.at)).await?;
    Ok(Done { before, lead: Some(lead.id), heard })
}

async fn tell(leads: &WritePath, lead: &Lead, fact: Incoming) -> Result<bool, RecordError> {
    let about = About::Known(LeadRef::Id(lead.id.clone()));
    let recorded = leads.record(&about, &[fact]).await?;
    Ok(recorded.outcomes.first().is_some_and(|outcome| *outcome != Outcome::Unchanged))
}

/// Gives why nobody may write to addresses that a lead gets, as far as that concerns it; nothing where somebody may.
///
/// # Errors
///
/// [`StoreError`].
pub async fn listed(
    catalog: &dyn Catalog,
    lead: Option<&Lead>,
    claims: &[Identity],
) -> Result<Vec<Reason>, StoreError> {
    let mut reasons = Vec::new();
    for identity in claims {
        if let Identity::Email(address) = identity
            && let Some(reason) = is_suppressed(catalog, address).await?
            && lead.is_none_or(|lead| reason.concerns(lead, address))
        {
            reasons.push(reason);
        }
    }
    Ok(reasons)
}

/// Gives what the list says of addresses that a lead gets with a delivery as facts about it. They are history where the
/// delivery is.
#[must_use]
pub fn news(reasons: &[Reason], delivery: &[Incoming], now: Timestamp) -> Vec<Incoming> {
    let history = !delivery.is_empty() && delivery.iter().all(|fact| fact.history);
    reasons.iter().map(|reason| Incoming { history, ..reason.fact(None, None, now) }).collect()
}
