//! What a lead looks like as an item of table `Leads`.
//!
//! A sweep costs bytes and a commit costs bytes, so the item is written by hand and small: with 12 attributes and 10
//! activities it stays within 1,000 bytes by DynamoDB's rules ([`item_size`]), and a test holds that. What makes it so:
//!
//! * **Names count.** They are part of every item. Only what an index uses has a full name, from [`keys`]; the rest has
//!   the short ones of the table below.
//! * **Nothing is stored that says nothing.** `None`, empty, `false` and defaults are absent; reading fills them in.
//! * **Times are distances from the lead's creation**, most of which are nothing or short: a number costs its digits.
//! * **What nobody reads by eye is binary**: both ledgers ([`Ledger::encode`]), delivery ids, where each attribute's
//!   value came from (`p`), and the touches between the first and the latest (`tm`). What people look for in the console stays readable: values, identities,
//!   consent, sales.
//!
//! | name | type | holds |
//! | --- | --- | --- |
//! | `lead_id`, `label`, `stage`, `v` | S, S, S, N | the version, and as named; always there |
//! | `due_shard`, `due_at` | N, N | only while something is due; `due_at` in seconds, rounded down |
//! | `owner`, `promise_due_at` | S, N | only in a stage of the inbox, see [`keys::NOBODY`] and [`keys::NO_PROMISE`]; or while the lead waits for its turn, see [`keys::held_for`] |
//! | `a` | M | attribute values by name: S, N, BOOL; a number that N cannot hold as `{float: S}` |
//! | `p` | B | when and by whom each of them was set; its form stands at the functions below |
//! | `c` | M | consent by purpose: `p` `c` `w` when pending, confirmed, withdrawn; `o` soft opt-in; `t` text; `s` source |
//! | `ct` | N | created at, in milliseconds since the epoch; every other short-named time is in milliseconds after it |
//! | `cf` | N | counts from |
//! | `ch` | M | content had, by its id: N, the day, in days after that of `ct` |
//! | `cw` | B | by which way each of `ch`, in the order of the ids: [`HadBy`], one byte each; absent where all are the lead's own |
//! | `cy` | N | cycle; absent for the first |
//! | `co` | M | company: `n` name, `d` domain, `s` and `i` system and id of its external id |
//! | `d` | SS | possible duplicates |
//! | `dm` | N | the milliseconds that `due_at` was rounded down by |
//! | `e`, `f` | N | engagement, fit |
//! | `fu` | N | followed up at |
//! | `g` | SS | segments |
//! | `i` | L of S | identities, as [`keys::identity_text`] writes them |
//! | `l`, `ls` | B | ledger, and ledger since `cf` |
//! | `n` | N | number of activities |
//! | `pe` | S | the person, outside of inbox stages; inside it is `owner` |
//! | `pt` | N | since when `owner` or `pe` has it, by when that was recorded |
//! | `ph` | N | phase, from 0 in the order of the journey |
//! | `pr` | N | the promise to the millisecond |
//! | `ps` | S | the persona that it mirrors |
//! | `pv` | N | playbook version |
//! | `r` | B | recent deliveries, 8 bytes each, oldest first |
//! | `rd` | BOOL | ready |
//! | `rt` | N | responded at |
//! | `s` | L of M | sales facts: `k` step, `t` time, `d` delivery (B), `b` by, `w` whom, `u` promise or not before, `y` why, `ds` `di` system and id of the deal, `m` `c` minor units and currency, `x` ends it for good |
//! | `st` | N | in this stage since; absent where that is `ct` |
//! | `ta` | B | the fact since which it waits for somebody of a pool, 8 bytes |
//! | `tf`, `tl` | M | first and latest touch: `t` time, `c` channel, `g` campaign, `l` landing page |
//! | `tm` | B | the touches between those two; their form stands at the functions below |
//! | `wc` | BOOL | was a customer |
//! | `wd` | B | withdrawn facts, 8 bytes each |
//!
//! **Expand and contract.** Reading ignores attributes it does not know, so new code may add one. A write replaces the
//! whole item: what the code does not know is gone with the first write by an old version. So a new attribute is one
//! that can be missing, and an attribute never changes its form; a new form gets a new name.
//!
//! Reading never panics: whatever an item holds, it is a lead or a [`CorruptRecord`].
//!
//! [`Ledger::encode`]: domain::ledger::Ledger::encode

use super::keys;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::attribute::{Attribute, AttributeName, AttributeValue, Attributes};
use domain::consent::{ConsentState, Consents, Purpose};
use domain::identity::{ExternalId, LeadId, Slug};
use domain::lead::{Company, Had, HadBy, Lead, Touch, Touches};
use domain::ledger::Ledger;
use domain::money::{Currency, Money};
use domain::phase::Phase;
use domain::sales::{DeliveryId, Move, SalesFact};
use domain::score::{Label, Score};
use domain::stage::{Stage, Step};
use domain::time::{Day, Timestamp};
use domain::touch::{Folded, Grain};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use thiserror::Error;

/// An item as the SDK has it.
type Item = HashMap<String, Stored>;

/// The short names of the table above.
mod name {
    pub(super) const ATTRIBUTES: &str = "a";
    pub(super) const PROVENANCE: &str = "p";
    pub(super) const CONSENTS: &str = "c";
    pub(super) const CREATED_AT: &str = "ct";
    pub(super) const COUNTS_FROM: &str = "cf";
    pub(super) const CONTENT: &str = "ch";
    pub(super) const CONTENT_WAYS: &str = "cw";
    pub(super) const CYCLE: &str = "cy";
    pub(super) const COMPANY: &str = "co";
    pub(super) const DUPLICATES: &str = "d";
    pub(super) const DUE_MILLIS: &str = "dm";
    pub(super) const ENGAGEMENT: &str = "e";
    pub(super) const FIT: &str = "f";
    pub(super) const SEGMENTS: &str = "g";
    pub(super) const IDENTITIES: &str = "i";
    pub(super) const LEDGER: &str = "l";
    pub(super) const LEDGER_SINCE: &str = "ls";
    pub(super) const ACTIVITIES: &str = "n";
    pub(super) const PERSON: &str = "pe";
    pub(super) const PERSON_SINCE: &str = "pt";
    pub(super) const PHASE: &str = "ph";
    pub(super) const PROMISE: &str = "pr";
    pub(super) const PERSONA: &str = "ps";
    pub(super) const PLAYBOOK: &str = "pv";
    pub(super) const RECENT: &str = "r";
    pub(super) const READY: &str = "rd";
    pub(super) const RESPONDED_AT: &str = "rt";
    pub(super) const SALES: &str = "s";
    pub(super) const STAGE_SINCE: &str = "st";
    pub(super) const TO_ASSIGN: &str = "ta";
    pub(super) const FIRST_TOUCH: &str = "tf";
    pub(super) const LATEST_TOUCH: &str = "tl";
    pub(super) const TOUCHES_BETWEEN: &str = "tm";
    pub(super) const WAS_CUSTOMER: &str = "wc";
    pub(super) const WITHDRAWN: &str = "wd";
    /// Inside of `a`: a number that N cannot hold.
    pub(super) const FLOAT: &str = "float";
}

/// Says which part of which stored record cannot be read. It repeats nothing of what is stored there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the stored record of {record} is damaged: attribute {place} {problem}")]
pub struct CorruptRecord {
    /// Whose record: `lead …`, `entry … of lead …`.
    pub record: String,
    /// Which attribute, with the names of the fields inside it where it has some.
    pub place: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// What is wrong, before it is known whose record it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    place: String,
    problem: &'static str,
}

impl Damage {
    pub(super) fn new(place: &str, problem: &'static str) -> Self {
        Self { place: place.to_owned(), problem }
    }

    /// Says of what larger thing the damaged one is a part.
    pub(super) fn within(mut self, outer: &'static str) -> Self {
        self.place = format!("{outer}.{}", self.place);
        self
    }

    pub(super) fn of(self, record: String) -> CorruptRecord {
        CorruptRecord { record, place: self.place, problem: self.problem }
    }
}

/// Names the owner of an item for an error. A visitor's partition holds their id and is not repeated.
pub(super) fn owner_of(item: &Item) -> String {
    match item.get(keys::LEAD_ID) {
        Some(Stored::S(id)) if LeadId::parse(id).is_ok() => format!("lead {id}"),
        Some(Stored::S(_)) => "no lead or a visitor".to_owned(),
        _ => "a lead without its id".to_owned(),
    }
}

// ---- Writing an item ----

/// Fills an item and leaves out what says nothing.
#[derive(Default)]
pub(super) struct Writer(Item);

impl Writer {
    pub(super) fn put(&mut self, name: &str, value: Stored) {
        self.0.insert(name.to_owned(), value);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.put(name, Stored::S(text.to_owned()));
    }

    pub(super) fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn number(&mut self, name: &str, n: impl ToString) {
        self.put(name, Stored::N(n.to_string()));
    }

    pub(super) fn time(&mut self, name: &str, at: Timestamp) {
        self.number(name, at.millis());
    }

    fn since(&mut self, name: &str, at: Option<Timestamp>, created_at: Timestamp) {
        if let Some(at) = at {
            self.number(name, distance(at, created_at));
        }
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        if flag {
            self.put(name, Stored::Bool(true));
        }
    }

    fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.put(name, Stored::B(Blob::new(bytes)));
        }
    }

    fn deliveries(&mut self, name: &str, ids: &[DeliveryId]) {
        self.bytes(name, ids.iter().flat_map(|id| id.0).collect());
    }

    /// DynamoDB refuses empty sets.
    fn texts(&mut self, name: &str, texts: Vec<String>) {
        if !texts.is_empty() {
            self.put(name, Stored::Ss(texts));
        }
    }

    fn map(&mut self, name: &str, inner: Self) {
        if !inner.0.is_empty() {
            self.put(name, inner.into_value());
        }
    }

    fn into_value(self) -> Stored {
        Stored::M(self.0)
    }

    pub(super) fn into_item(self) -> Item {
        self.0
    }
}

/// Writes a lead as an item.
#[must_use]
pub fn to_item(lead: &Lead) -> HashMap<String, Stored> {
    let created_at = lead.created_at;
    let mut item = Writer(HashMap::with_capacity(40));
    item.text(keys::LEAD_ID, lead.id.as_str());
    item.number(keys::VERSION, lead.version);
    item.text(keys::LABEL, &lead.score.label.to_string());
    item.text(keys::STAGE, lead.stage.as_str());
    if let Some(due_at) = lead.due_at {
        item.number(keys::DUE_SHARD, keys::due_shard(&lead.id));
        item.number(keys::DUE_AT, due_at.secs());
        let millis = due_at.millis().rem_euclid(1_000);
        if millis != 0 {
            item.number(name::DUE_MILLIS, millis);
        }
    }
    if lead.stage.in_inbox() {
        item.text(keys::OWNER, lead.person.as_ref().map_or(keys::NOBODY, Slug::as_str));
        item.number(keys::PROMISE_DUE_AT, lead.promise_due_at.map_or(keys::NO_PROMISE, Timestamp::secs));
    } else {
        if let Some(owner) = &lead.held_for {
            item.text(keys::OWNER, &keys::held_for(owner));
            item.number(keys::PROMISE_DUE_AT, keys::held_rank(&lead.score));
        }
        item.optional_text(name::PERSON, lead.person.as_ref().map(Slug::as_str));
    }
    item.since(name::PERSON_SINCE, lead.person_since, created_at);
    item.since(name::PROMISE, lead.promise_due_at, created_at);
    item.number(name::PLAYBOOK, lead.playbook_version);
    if !lead.identities.is_empty() {
        let texts = lead.identities.iter().map(|i| Stored::S(keys::identity_text(i))).collect();
        item.put(name::IDENTITIES, Stored::L(texts));
    }
    item.map(name::COMPANY, company_to_map(&lead.company));
    if !lead.attributes.is_empty() {
        let values = lead.attributes.iter().map(|(n, a)| (n.as_str().to_owned(), value_to_stored(&a.value)));
        item.put(name::ATTRIBUTES, Stored::M(values.collect()));
    }
    item.bytes(name::PROVENANCE, encode_provenance(&lead.attributes, created_at));
    if !lead.consents.0.is_empty() {
        let states =
            lead.consents.0.iter().map(|(p, s)| (p.as_str().to_owned(), consent_to_stored(s, created_at)));
        item.put(name::CONSENTS, Stored::M(states.collect()));
    }
    for (name, touch) in
        [(name::FIRST_TOUCH, &lead.touches.first), (name::LATEST_TOUCH, &lead.touches.latest)]
    {
        if let Some(touch) = touch {
            item.put(name, touch_to_stored(touch, created_at));
        }
    }
    item.bytes(name::TOUCHES_BETWEEN, encode_between(&lead.touches, created_at));
    item.time(name::CREATED_AT, created_at);
    item.since(name::RESPONDED_AT, lead.responded_at, created_at);
    item.flag(name::WAS_CUSTOMER, lead.was_customer);
    if !lead.sales.is_empty() {
        let facts = lead.sales.iter().map(|fact| sales_to_stored(fact, created_at));
        item.put(name::SALES, Stored::L(facts.collect()));
    }
    item.deliveries(name::WITHDRAWN, &lead.withdrawn);
    item.deliveries(name::TO_ASSIGN, lead.to_assign.as_slice());
    if lead.activities != 0 {
        item.number(name::ACTIVITIES, lead.activities);
    }
    item.bytes(name::LEDGER, lead.ledger.encode());
    item.since(name::COUNTS_FROM, lead.counts_from, created_at);
    item.bytes(name::LEDGER_SINCE, lead.ledger_since.encode());
    item.number(name::FIT, lead.score.fit);
    item.number(name::ENGAGEMENT, lead.score.engagement);
    item.flag(name::READY, lead.ready);
    if lead.stage_since != created_at {
        item.since(name::STAGE_SINCE, Some(lead.stage_since), created_at);
    }
    if lead.cycle != 1 {
        item.number(name::CYCLE, lead.cycle);
    }
    item.optional_text(name::PERSONA, lead.persona.as_ref().map(Slug::as_str));
    if let Some(place) = lead.phase.and_then(|phase| Phase::WORDS.iter().position(|(_, p)| *p == phase)) {
        item.number(name::PHASE, place);
    }
    let days = lead.content.iter().map(|(content, had)| {
        let after = i64::from(had.on.0) - i64::from(created_at.day().0);
        (content.as_str().to_owned(), Stored::N(after.to_string()))
    });
    item.map(name::CONTENT, Writer(days.collect()));
    if lead.content.values().any(|had| had.by != HadBy::Own) {
        let way = |had: &Had| HadBy::ALL.iter().position(|by| *by == had.by);
        let ways = lead.content.values().filter_map(way).filter_map(|way| u8::try_from(way).ok());
        item.bytes(name::CONTENT_WAYS, ways.collect());
    }
    item.texts(name::SEGMENTS, lead.segments.iter().map(|slug| slug.as_str().to_owned()).collect());
    item.deliveries(name::RECENT, &lead.recent);
    let duplicates = lead.possible_duplicates.iter().map(|id| id.as_str().to_owned());
    item.texts(name::DUPLICATES, duplicates.collect());
    item.into_item()
}

fn company_to_map(company: &Company) -> Writer {
    let mut map = Writer::default();
    map.optional_text("n", company.name.as_deref());
    map.optional_text("d", company.domain.as_deref());
    external_into(&mut map, "s", "i", company.external_id.as_ref());
    map
}

fn external_into(map: &mut Writer, system: &str, id: &str, external: Option<&ExternalId>) {
    map.optional_text(system, external.map(ExternalId::system));
    map.optional_text(id, external.map(ExternalId::id));
}

fn value_to_stored(value: &AttributeValue) -> Stored {
    match value {
        AttributeValue::Text(text) => Stored::S(text.clone()),
        AttributeValue::Number(n) => number_to_stored(*n),
        AttributeValue::Flag(flag) => Stored::Bool(*flag),
    }
}

/// Writes a number so that it reads back to the last bit. N holds 38 digits, of which the shortest text of a double
/// needs at most 17, but its exponents end before a double's do, and it has no minus zero.
fn number_to_stored(n: f64) -> Stored {
    let size = n.abs();
    if n.to_bits() == 0 || (1e-6..1e21).contains(&size) {
        Stored::N(n.to_string())
    } else if (1e-130..1e126).contains(&size) {
        Stored::N(format!("{n:e}"))
    } else {
        Stored::M(HashMap::from([(name::FLOAT.to_owned(), Stored::S(format!("{n:e}")))]))
    }
}

fn consent_to_stored(state: &ConsentState, created_at: Timestamp) -> Stored {
    let mut map = Writer::default();
    map.since("p", state.pending_at, created_at);
    map.since("c", state.confirmed_at, created_at);
    map.since("w", state.withdrawn_at, created_at);
    map.flag("o", state.soft_opt_in);
    map.optional_text("t", state.text.as_deref());
    map.optional_text("s", state.source.as_deref());
    map.into_value()
}

fn touch_to_stored(touch: &Touch, created_at: Timestamp) -> Stored {
    let mut map = Writer::default();
    map.since("t", Some(touch.at), created_at);
    map.optional_text("c", touch.channel.as_deref());
    map.optional_text("g", touch.campaign.as_deref());
    map.optional_text("l", touch.landing_page.as_deref());
    map.into_value()
}

fn sales_to_stored(fact: &SalesFact, created_at: Timestamp) -> Stored {
    let fields = MoveFields::of(&fact.what);
    let mut map = Writer::default();
    map.text("k", fact.what.step().as_str());
    map.since("t", Some(fact.at), created_at);
    map.bytes("d", fact.id.0.to_vec());
    map.optional_text("b", fact.by.as_ref().map(Slug::as_str));
    map.optional_text("w", fields.whom.as_ref().map(Slug::as_str));
    map.since("u", fields.until, created_at);
    map.optional_text("y", fields.reason.as_deref());
    external_into(&mut map, "ds", "di", fields.deal.as_ref());
    map.flag("x", fact.ends);
    if let Some(amount) = fields.amount {
        map.number("m", amount.minor);
        map.text("c", amount.currency.as_str());
    }
    map.into_value()
}

// ---- Reading an item ----

const MISSING: &str = "is missing";
const UNREADABLE: &str = "does not read as what it should hold";
const TYPE: &str = "has another type than it should";

/// Reads the attributes of an item or of a map inside one.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Item);

impl<'a> Reader<'a> {
    pub(super) fn text(self, name: &'static str) -> Result<Option<&'a str>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::S(text)) => Ok(Some(text)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    fn owned(self, name: &'static str) -> Result<Option<String>, Damage> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    /// Reads a text through a parser.
    pub(super) fn parsed<T>(
        self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Damage> {
        self.text(name)?.map(|text| parse(text).ok_or(Damage::new(name, UNREADABLE))).transpose()
    }

    pub(super) fn number<T: FromStr>(self, name: &'static str) -> Result<Option<T>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::N(n)) => n.parse().map(Some).map_err(|_| Damage::new(name, UNREADABLE)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn time(self, name: &'static str) -> Result<Option<Timestamp>, Damage> {
        Ok(self.number(name)?.map(Timestamp::from_millis))
    }

    fn since(self, name: &'static str, created_at: Timestamp) -> Result<Option<Timestamp>, Damage> {
        Ok(self.number(name)?.map(|distance| at_distance(distance, created_at)))
    }

    pub(super) fn flag(self, name: &'static str) -> Result<bool, Damage> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Stored::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    fn bytes(self, name: &'static str) -> Result<&'a [u8], Damage> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Stored::B(blob)) => Ok(blob.as_ref()),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    fn deliveries(self, name: &'static str) -> Result<Vec<DeliveryId>, Damage> {
        let (ids, []) = self.bytes(name)?.as_chunks() else { return Err(Damage::new(name, UNREADABLE)) };
        Ok(ids.iter().map(|id| DeliveryId(*id)).collect())
    }

    fn ledger(self, name: &'static str) -> Result<Ledger, Damage> {
        Ledger::decode(self.bytes(name)?).ok_or(Damage::new(name, UNREADABLE))
    }

    fn phase(self) -> Result<Option<Phase>, Damage> {
        let Some(place) = self.number::<usize>(name::PHASE)? else { return Ok(None) };
        match Phase::WORDS.get(place) {
            Some((_, phase)) => Ok(Some(*phase)),
            None => Err(Damage::new(name::PHASE, UNREADABLE)),
        }
    }

    /// Reads days that are counted from another one, by an id.
    fn days(self, name: &'static str, from: Day) -> Result<BTreeMap<Slug, Day>, Damage> {
        let days = match self.0.get(name) {
            None => return Ok(BTreeMap::new()),
            Some(Stored::M(days)) => days,
            Some(_) => return Err(Damage::new(name, TYPE)),
        };
        let day = |(id, after): (&String, &Stored)| {
            let Stored::N(after) = after else { return None };
            let day = after.parse::<i64>().ok()?.checked_add(from.0.into())?;
            Some((slug(id)?, Day(day.try_into().ok()?)))
        };
        days.iter().map(day).collect::<Option<_>>().ok_or_else(|| Damage::new(name, UNREADABLE))
    }

    fn set<T: Ord>(
        self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<BTreeSet<T>, Damage> {
        match self.0.get(name) {
            None => Ok(BTreeSet::new()),
            Some(Stored::Ss(texts)) => texts
                .iter()
                .map(|text| parse(text))
                .collect::<Option<_>>()
                .ok_or_else(|| Damage::new(name, UNREADABLE)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    fn list(self, name: &'static str) -> Result<&'a [Stored], Damage> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Stored::L(values)) => Ok(values),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    pub(super) fn map(self, name: &'static str) -> Result<Option<&'a Item>, Damage> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Stored::M(map)) => Ok(Some(map)),
            Some(_) => Err(Damage::new(name, TYPE)),
        }
    }

    fn external(self, system: &'static str, id: &'static str) -> Result<Option<ExternalId>, Damage> {
        match (self.text(system)?, self.text(id)?) {
            (None, None) => Ok(None),
            (Some(s), Some(i)) => ExternalId::new(s, i).map(Some).map_err(|_| Damage::new(id, UNREADABLE)),
            (None, Some(_)) => Err(Damage::new(system, MISSING)),
            (Some(_), None) => Err(Damage::new(id, MISSING)),
        }
    }
}

/// Gives what must be there.
pub(super) fn required<T>(name: &'static str, value: Option<T>) -> Result<T, Damage> {
    value.ok_or_else(|| Damage::new(name, MISSING))
}

pub(super) fn slug(text: &str) -> Option<Slug> {
    Slug::parse(text).ok()
}

/// Reads a lead from its item.
///
/// # Errors
///
/// [`CorruptRecord`] where an attribute that must be there is missing or one cannot be read.
pub fn from_item(item: &HashMap<String, Stored>) -> Result<Lead, CorruptRecord> {
    read(Reader(item)).map_err(|damage| damage.of(owner_of(item)))
}

fn read(item: Reader<'_>) -> Result<Lead, Damage> {
    let id = item.parsed(keys::LEAD_ID, |text| LeadId::parse(text).ok())?;
    let created_at = required(name::CREATED_AT, item.time(name::CREATED_AT)?)?;
    let held_for = match item.text(keys::OWNER)?.and_then(keys::held_owner) {
        Some(owner) => Some(slug(owner).ok_or_else(|| Damage::new(keys::OWNER, UNREADABLE))?),
        None => None,
    };
    let person = match item.text(keys::OWNER)? {
        Some(keys::NOBODY) => None,
        Some(_) if held_for.is_none() => item.parsed(keys::OWNER, slug)?,
        _ => item.parsed(name::PERSON, slug)?,
    };
    let due_at = item.number::<i64>(keys::DUE_AT)?.map(Timestamp::from_secs);
    let due_millis = item.number(name::DUE_MILLIS)?.unwrap_or(0);
    Ok(Lead {
        id: required(keys::LEAD_ID, id)?,
        version: required(keys::VERSION, item.number(keys::VERSION)?)?,
        playbook_version: required(name::PLAYBOOK, item.number(name::PLAYBOOK)?)?,
        identities: item
            .list(name::IDENTITIES)?
            .iter()
            .map(|value| value.as_s().ok().and_then(|text| keys::identity_from_text(text)))
            .collect::<Option<_>>()
            .ok_or_else(|| Damage::new(name::IDENTITIES, UNREADABLE))?,
        company: item.map(name::COMPANY)?.map_or(Ok(Company::default()), |map| {
            company_from_map(Reader(map)).map_err(|damage| damage.within(name::COMPANY))
        })?,
        attributes: attributes(item, created_at)?,
        consents: consents(item, created_at).map_err(|damage| damage.within(name::CONSENTS))?,
        touches: touches(item, created_at)?,
        created_at,
        responded_at: item.since(name::RESPONDED_AT, created_at)?,
        was_customer: item.flag(name::WAS_CUSTOMER)?,
        sales: item
            .list(name::SALES)?
            .iter()
            .map(|value| sales_from_stored(value, created_at).map_err(|damage| damage.within(name::SALES)))
            .collect::<Result<_, _>>()?,
        withdrawn: item.deliveries(name::WITHDRAWN)?,
        activities: item.number(name::ACTIVITIES)?.unwrap_or(0),
        ledger: item.ledger(name::LEDGER)?,
        counts_from: item.since(name::COUNTS_FROM, created_at)?,
        ledger_since: item.ledger(name::LEDGER_SINCE)?,
        score: Score {
            fit: item.number(name::FIT)?.unwrap_or(0),
            engagement: item.number(name::ENGAGEMENT)?.unwrap_or(0),
            label: required(keys::LABEL, item.parsed(keys::LABEL, Label::parse)?)?,
        },
        ready: item.flag(name::READY)?,
        held_for,
        stage: required(keys::STAGE, item.parsed(keys::STAGE, Stage::parse)?)?,
        stage_since: item.since(name::STAGE_SINCE, created_at)?.unwrap_or(created_at),
        cycle: item.number(name::CYCLE)?.unwrap_or(1),
        person,
        person_since: item.since(name::PERSON_SINCE, created_at)?,
        promise_due_at: item.since(name::PROMISE, created_at)?,
        to_assign: item.deliveries(name::TO_ASSIGN)?.pop(),
        persona: item.parsed(name::PERSONA, slug)?,
        phase: item.phase()?,
        segments: item.set(name::SEGMENTS, slug)?,
        content: content(item, created_at.day())?,
        due_at: due_at.map(|at| at.plus(due_millis)),
        recent: item.deliveries(name::RECENT)?,
        possible_duplicates: item.set(name::DUPLICATES, |text| LeadId::parse(text).ok())?,
    })
}

fn company_from_map(map: Reader<'_>) -> Result<Company, Damage> {
    Ok(Company { name: map.owned("n")?, domain: map.owned("d")?, external_id: map.external("s", "i")? })
}

/// Reads what the lead had. An item from before there were ways knows of each piece as the lead's own.
fn content(item: Reader<'_>, from: Day) -> Result<BTreeMap<Slug, Had>, Damage> {
    let (days, ways) = (item.days(name::CONTENT, from)?, item.bytes(name::CONTENT_WAYS)?);
    if !ways.is_empty() && ways.len() != days.len() {
        return Err(Damage::new(name::CONTENT_WAYS, UNREADABLE));
    }
    let ways = ways.iter().copied().chain(std::iter::repeat(0));
    let had =
        |((id, on), way): ((Slug, Day), u8)| Some((id, Had { on, by: *HadBy::ALL.get(usize::from(way))? }));
    let had: Option<_> = days.into_iter().zip(ways).map(had).collect();
    had.ok_or_else(|| Damage::new(name::CONTENT_WAYS, UNREADABLE))
}

fn attributes(item: Reader<'_>, created_at: Timestamp) -> Result<Attributes, Damage> {
    let damaged = |name| move || Damage::new(name, UNREADABLE);
    let mut values: Vec<(AttributeName, AttributeValue)> = Vec::new();
    for (name, value) in item.map(name::ATTRIBUTES)?.into_iter().flatten() {
        let name = AttributeName::parse(name).map_err(|_| damaged(name::ATTRIBUTES)())?;
        values.push((name, value_from_stored(value).ok_or_else(damaged(name::ATTRIBUTES))?));
    }
    // The provenance stands in the order of the names.
    values.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let origins = decode_provenance(item.bytes(name::PROVENANCE)?, created_at, values.len());
    let origins = origins.ok_or_else(damaged(name::PROVENANCE))?;
    let attributes = values.into_iter().zip(origins).map(|((name, value), origin)| {
        let Origin { set_at, set_by, known_at } = origin;
        (name, Attribute { value, set_at, set_by: set_by.to_owned(), known_at })
    });
    Ok(attributes.collect())
}

fn value_from_stored(value: &Stored) -> Option<AttributeValue> {
    match value {
        Stored::S(text) => Some(AttributeValue::Text(text.clone())),
        Stored::N(n) => n.parse().ok().map(AttributeValue::Number),
        Stored::Bool(flag) => Some(AttributeValue::Flag(*flag)),
        Stored::M(map) => map.get(name::FLOAT)?.as_s().ok()?.parse().ok().map(AttributeValue::Number),
        _ => None,
    }
}

fn consents(item: Reader<'_>, created_at: Timestamp) -> Result<Consents, Damage> {
    let mut consents = BTreeMap::new();
    for (word, value) in item.map(name::CONSENTS)?.into_iter().flatten() {
        let purpose = of_words(Purpose::WORDS, word).ok_or_else(|| Damage::new("(purpose)", UNREADABLE))?;
        let Stored::M(map) = value else { return Err(Damage::new(purpose.as_str(), TYPE)) };
        let state =
            consent_from_map(Reader(map), created_at).map_err(|damage| damage.within(purpose.as_str()))?;
        consents.insert(purpose, state);
    }
    Ok(Consents(consents))
}

fn consent_from_map(map: Reader<'_>, created_at: Timestamp) -> Result<ConsentState, Damage> {
    Ok(ConsentState {
        pending_at: map.since("p", created_at)?,
        confirmed_at: map.since("c", created_at)?,
        withdrawn_at: map.since("w", created_at)?,
        soft_opt_in: map.flag("o")?,
        text: map.owned("t")?,
        source: map.owned("s")?,
    })
}

fn touch(item: Reader<'_>, name: &'static str, created_at: Timestamp) -> Result<Option<Touch>, Damage> {
    let read = |map| -> Result<Touch, Damage> {
        let map = Reader(map);
        Ok(Touch {
            at: required("t", map.since("t", created_at)?)?,
            channel: map.owned("c")?,
            campaign: map.owned("g")?,
            landing_page: map.owned("l")?,
        })
    };
    item.map(name)?.map(|map| read(map).map_err(|damage| damage.within(name))).transpose()
}

fn touches(item: Reader<'_>, created_at: Timestamp) -> Result<Touches, Damage> {
    let between = decode_between(item.bytes(name::TOUCHES_BETWEEN)?, created_at);
    let (grain, between) = between.ok_or_else(|| Damage::new(name::TOUCHES_BETWEEN, UNREADABLE))?;
    Ok(Touches {
        first: touch(item, name::FIRST_TOUCH, created_at)?,
        latest: touch(item, name::LATEST_TOUCH, created_at)?,
        between,
        grain,
    })
}

fn sales_from_stored(value: &Stored, created_at: Timestamp) -> Result<SalesFact, Damage> {
    let Stored::M(map) = value else { return Err(Damage::new("(fact)", TYPE)) };
    let map = Reader(map);
    let amount = match (map.number("m")?, map.parsed("c", |code| Currency::parse(code).ok())?) {
        (Some(minor), Some(currency)) => Some(Money { minor, currency }),
        (None, None) => None,
        _ => return Err(Damage::new("m", UNREADABLE)),
    };
    let fields = MoveFields {
        whom: map.parsed("w", slug)?,
        until: map.since("u", created_at)?,
        reason: map.owned("y")?,
        deal: map.external("ds", "di")?,
        amount,
    };
    let step = required("k", map.parsed("k", step)?)?;
    let id = map.bytes("d")?.try_into().map_err(|_| Damage::new("d", UNREADABLE))?;
    Ok(SalesFact {
        at: required("t", map.since("t", created_at)?)?,
        id: DeliveryId(id),
        by: map.parsed("b", slug)?,
        what: fields.into_move(step).ok_or_else(|| Damage::new("k", "lacks a field that it needs"))?,
        ends: map.flag("x")?,
    })
}

// ---- Words, and the parts of a move, which leads and entries share ----

/// Finds the value of a word.
pub(super) fn of_words<T: Copy>(words: &[(&str, T)], text: &str) -> Option<T> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// Reads the word of a step.
pub(super) fn step(text: &str) -> Option<Step> {
    let ours = Step::OURS.iter().copied().find(|step| step.as_str() == text);
    ours.or_else(|| of_words(Step::REPORTED, text))
}

/// What the moves hold between them; which fields belong to which is said here, once for both records.
#[derive(Default)]
pub(super) struct MoveFields {
    /// Who got it.
    pub(super) whom: Option<Slug>,
    /// When they promised to have answered; or before when it should not come again.
    pub(super) until: Option<Timestamp>,
    /// Why.
    pub(super) reason: Option<String>,
    /// Which deal.
    pub(super) deal: Option<ExternalId>,
    /// What it brings.
    pub(super) amount: Option<Money>,
}

impl MoveFields {
    pub(super) fn of(what: &Move) -> Self {
        let none = Self::default();
        match what.clone() {
            Move::MarketingQualified { owner, promise_due_at } => {
                Self { whom: Some(owner), until: Some(promise_due_at), ..none }
            }
            Move::Assigned { to, promise_due_at } => Self { whom: Some(to), until: promise_due_at, ..none },
            Move::PromiseBroken { to: Some((to, due_at)) } => {
                Self { whom: Some(to), until: Some(due_at), ..none }
            }
            Move::Rejected { reason } | Move::Disqualified { reason } => Self { reason, ..none },
            Move::NotReady { reason, not_before } => Self { reason, until: not_before, ..none },
            Move::Opportunity { deal, amount } | Move::Won { deal, amount } => {
                Self { deal: Some(deal), amount, ..none }
            }
            Move::Lost { deal, reason } => Self { deal, reason, ..none },
            Move::Accepted
            | Move::Qualified
            | Move::Churned
            | Move::FollowedUp
            | Move::PromiseDueSoon
            | Move::PromiseBroken { to: None } => none,
        }
    }

    /// Puts the move together again; `None` where a field that it needs is missing.
    pub(super) fn into_move(self, step: Step) -> Option<Move> {
        let Self { whom, until, reason, deal, amount } = self;
        Some(match step {
            Step::Qualify => Move::MarketingQualified { owner: whom?, promise_due_at: until? },
            Step::Accept => Move::Accepted,
            Step::Reject => Move::Rejected { reason },
            Step::NotReady => Move::NotReady { reason, not_before: until },
            Step::SalesQualify => Move::Qualified,
            Step::Assign => Move::Assigned { to: whom?, promise_due_at: until },
            Step::FollowUp => Move::FollowedUp,
            Step::Remind => Move::PromiseDueSoon,
            Step::Lapse => Move::PromiseBroken { to: whom.zip(until) },
            Step::Open => Move::Opportunity { deal: deal?, amount },
            Step::Win => Move::Won { deal: deal?, amount },
            Step::Lose => Move::Lost { deal, reason },
            Step::Disqualify => Move::Disqualified { reason },
            Step::Churn => Move::Churned,
            Step::Respond => return None,
        })
    }
}

// ---- Where attributes come from ----
//
// Attributes come several at a time: a form brings five, an enrichment four. So each origin is kept once:
//
//     count of sources, then each with its length
//     count of origins, then of each: source × 2 + whether known_at is there, set_at, known_at
//     for each attribute, in the order of the names: the number of its origin
//
// Numbers are varints (seven bits a byte, lowest first), times their distance in milliseconds from the lead's creation
// with the sign in the lowest bit.

#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin<'a> {
    set_at: Timestamp,
    set_by: &'a str,
    known_at: Option<Timestamp>,
}

/// Gives the place of a value in a list, where it is added if need be. The lists are short.
fn intern<T: PartialEq>(all: &mut Vec<T>, value: T) -> u64 {
    let at = all.iter().position(|known| *known == value).unwrap_or_else(|| {
        all.push(value);
        all.len() - 1
    });
    length(at)
}

fn encode_provenance(attributes: &Attributes, created_at: Timestamp) -> Vec<u8> {
    if attributes.is_empty() {
        return Vec::new();
    }
    let (mut sources, mut origins, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for Attribute { set_at, set_by, known_at, .. } in attributes.values() {
        let origin = Origin { set_at: *set_at, set_by, known_at: *known_at };
        put(&mut numbers, intern(&mut origins, origin));
    }
    let mut moments = Vec::new();
    for origin in &origins {
        let source = intern(&mut sources, origin.set_by);
        put(&mut moments, source << 1 | u64::from(origin.known_at.is_some()));
        put_time(&mut moments, origin.set_at, created_at);
        if let Some(known_at) = origin.known_at {
            put_time(&mut moments, known_at, created_at);
        }
    }
    let mut out = Vec::with_capacity(64);
    put(&mut out, length(sources.len()));
    for source in sources {
        put(&mut out, length(source.len()));
        out.extend_from_slice(source.as_bytes());
    }
    put(&mut out, length(origins.len()));
    out.append(&mut moments);
    out.append(&mut numbers);
    out
}

/// Reads where `count` attributes come from; `None` where the bytes do not say just that.
fn decode_provenance(mut bytes: &[u8], created_at: Timestamp, count: usize) -> Option<Vec<Origin<'_>>> {
    if count == 0 {
        return bytes.is_empty().then(Vec::new);
    }
    let mut sources = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let length = usize::try_from(take(&mut bytes)?).ok()?;
        let (source, rest) = bytes.split_at_checked(length)?;
        sources.push(str::from_utf8(source).ok()?);
        bytes = rest;
    }
    let mut origins = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let head = take(&mut bytes)?;
        let set_by = *sources.get(usize::try_from(head >> 1).ok()?)?;
        let set_at = take_time(&mut bytes, created_at)?;
        let known_at = if head & 1 == 1 { Some(take_time(&mut bytes, created_at)?) } else { None };
        origins.push(Origin { set_at, set_by, known_at });
    }
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(*origins.get(usize::try_from(take(&mut bytes)?).ok()?)?);
    }
    bytes.is_empty().then_some(all)
}

// ---- The touches between the first and the latest ----
//
// Most of them come from a few sources, so each source is kept once:
//
//     step of the grain
//     count of sources, then of each: channel, campaign, landing page; each with its length + 1, or 0 where there is none
//     until the end, for each line: number of its source, time, how many it stands for
//
// Numbers and times are as above. A lead without such touches has no bytes.

fn encode_between(touches: &Touches, created_at: Timestamp) -> Vec<u8> {
    if touches.between.is_empty() {
        return Vec::new();
    }
    let (mut sources, mut lines) = (Vec::new(), Vec::new());
    for Folded { touch, times } in &touches.between {
        let source = [&touch.channel, &touch.campaign, &touch.landing_page];
        put(&mut lines, intern(&mut sources, source));
        put_time(&mut lines, touch.at, created_at);
        put(&mut lines, u64::from(*times));
    }
    let mut out = vec![touches.grain.step()];
    put(&mut out, length(sources.len()));
    for part in sources.into_iter().flatten() {
        put(&mut out, part.as_ref().map_or(0, |text| length(text.len()) + 1));
        out.extend_from_slice(part.as_deref().unwrap_or_default().as_bytes());
    }
    out.append(&mut lines);
    out
}

fn decode_between(mut bytes: &[u8], created_at: Timestamp) -> Option<(Grain, Vec<Folded>)> {
    let Some((step, rest)) = bytes.split_first() else { return Some(Default::default()) };
    let grain = Grain::from_step(*step)?;
    bytes = rest;
    let mut sources = Vec::new();
    for _ in 0..take(&mut bytes)? {
        sources.push((take_text(&mut bytes)?, take_text(&mut bytes)?, take_text(&mut bytes)?));
    }
    let mut between = Vec::new();
    while !bytes.is_empty() {
        let (channel, campaign, landing_page) = sources.get(usize::try_from(take(&mut bytes)?).ok()?)?;
        let at = take_time(&mut bytes, created_at)?;
        let times = u32::try_from(take(&mut bytes)?).ok()?;
        let owned = |text: &Option<&str>| text.map(str::to_owned);
        let (channel, campaign, landing_page) = (owned(channel), owned(campaign), owned(landing_page));
        between.push(Folded { touch: Touch { at, channel, campaign, landing_page }, times });
    }
    Some((grain, between))
}

/// Reads a text that may be none.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let Some(length) = take(bytes)?.checked_sub(1) else { return Some(None) };
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(str::from_utf8(text).ok()?))
}

fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let [low, ..] = n.to_le_bytes();
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part.leading_zeros() < shift {
            return None;
        }
        n |= part << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

fn put_time(out: &mut Vec<u8>, at: Timestamp, created_at: Timestamp) {
    let distance = distance(at, created_at);
    put(out, (distance << 1 ^ distance >> 63).cast_unsigned());
}

fn take_time(bytes: &mut &[u8], created_at: Timestamp) -> Option<Timestamp> {
    let n = take(bytes)?;
    Some(at_distance((n >> 1).cast_signed() ^ -(n & 1).cast_signed(), created_at))
}

/// Gives the milliseconds from the lead's creation to a time. It wraps, so that any two times have a distance and
/// writing cannot fail.
fn distance(at: Timestamp, created_at: Timestamp) -> i64 {
    at.millis().wrapping_sub(created_at.millis())
}

fn at_distance(distance: i64, created_at: Timestamp) -> Timestamp {
    Timestamp::from_millis(created_at.millis().wrapping_add(distance))
}

// ---- Size ----

/// Gives the size of an item by [DynamoDB's rules][rules]: names and texts in UTF-8, binary as it is, a number 1 byte
/// and half a byte for each significant digit (rounded up on both sides of the point, one more with a minus), a list
/// or map 3 bytes and 1 for each element, everything else 1.
///
/// [rules]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
#[must_use]
pub fn item_size(item: &HashMap<String, Stored>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Stored) -> usize {
    match value {
        Stored::S(text) => text.len(),
        Stored::N(n) => number_size(n),
        Stored::B(blob) => blob.as_ref().len(),
        Stored::Ss(texts) => texts.iter().map(String::len).sum(),
        Stored::Ns(numbers) => numbers.iter().map(|n| number_size(n)).sum(),
        Stored::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        Stored::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        Stored::M(map) => 3 + map.len() + item_size(map),
        _ => 1,
    }
}

fn number_size(text: &str) -> usize {
    let (sign, text) = text.strip_prefix('-').map_or((0, text), |text| (1, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    // The digits from the first to the last that is not zero, and how many of them stand before the point.
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0').len();
    if significant == 0 {
        return 1;
    }
    let point = (i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent))
        .saturating_sub(i64::try_from(leading).unwrap_or(0));
    let before = usize::try_from(point.max(0)).unwrap_or(significant).min(significant);
    1 + before.div_ceil(2) + (significant - before).div_ceil(2) + sign
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod record_tests;
