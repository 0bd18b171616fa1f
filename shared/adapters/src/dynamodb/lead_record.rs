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
//! | `p` | B | when and by whom each of them was set; its form stands in `packed` |
//! | `c` | M | consent by purpose: `p` `c` `w` when pending, confirmed, withdrawn; `o` soft opt-in; `t` text; `s` source |
//! | `ct` | N | created at, in milliseconds since the epoch; every other short-named time is in milliseconds after it |
//! | `cf` | N | counts from |
//! | `ch` | M | content had, by its id: N, the day, in days after that of `ct` |
//! | `cw` | B | by which way each of `ch`, in the order of the ids: [`HadBy`], one byte each; absent where all are the lead's own |
//! | `cy` | N | cycle; absent for the first |
//! | `cm` | M | statuses told of it by campaign: each an M of the status and N, the time at which it was first told |
//! | `co` | M | company: `n` name, `d` domain, `s` and `i` system and id of its external id |
//! | `d` | SS | possible duplicates |
//! | `dm` | N | the milliseconds that `due_at` was rounded down by |
//! | `e`, `f` | N | engagement, fit |
//! | `g` | SS | segments |
//! | `i` | L of S | identities, as [`keys::identity_text`] writes them |
//! | `l`, `ls` | B | ledger, and ledger since `cf` |
//! | `mc` | B | what machines did that read its mails: [`Machines::encode`] |
//! | `n` | N | number of activities |
//! | `nu` | M | its nurturing, see `nurture_record`; absent where no program ever took it |
//! | `oi` | M | what it was asked to confirm: `w` the statement that waits, `a` when it was asked, a list of N, `t` that a stranger may have typed its first address |
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
//! | `su` | S | why nobody may write to it |
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
//! [`Machines::encode`]: domain::machine::Machines::encode

use super::item::{Damage, Reader, TYPE, UNREADABLE, Writer, owner_of, required, slug};
use super::keys;
use super::moves::{MoveFields, of_words, step};
use super::nurture_record;
use super::packed::{
    Origin, at_distance, decode_between, decode_provenance, distance, encode_between, encode_provenance,
};
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::attribute::{Attribute, AttributeName, AttributeValue, Attributes};
use domain::consent::{ConsentState, Consents, Purpose};
use domain::identity::{ExternalId, LeadId, Slug};
use domain::lead::{Company, Had, HadBy, Lead, Touch, Touches};
use domain::member::Members;
use domain::money::{Currency, Money};
use domain::nurture::Nurture;
use domain::nurture::opt_in::OptIn;
use domain::phase::Phase;
use domain::sales::{DeliveryId, SalesFact};
use domain::score::{Label, Score};
use domain::stage::Stage;
use domain::suppression;
use domain::time::{Day, Timestamp};
use std::collections::{BTreeMap, HashMap};

pub use super::item::{CorruptRecord, item_size};

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
    pub(super) const MACHINES: &str = "mc";
    pub(super) const MEMBERS: &str = "cm";
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
    pub(super) const NURTURE: &str = "nu";
    pub(super) const OPT_IN: &str = "oi";
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
    pub(super) const SUPPRESSED: &str = "su";
    pub(super) const TO_ASSIGN: &str = "ta";
    pub(super) const FIRST_TOUCH: &str = "tf";
    pub(super) const LATEST_TOUCH: &str = "tl";
    pub(super) const TOUCHES_BETWEEN: &str = "tm";
    pub(super) const WAS_CUSTOMER: &str = "wc";
    pub(super) const WITHDRAWN: &str = "wd";
    /// Inside of `a`: a number that N cannot hold.
    pub(super) const FLOAT: &str = "float";
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
        item.number(keys::DUE_SHARD, keys::shard_of(lead));
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
    item.map(name::OPT_IN, opt_in_to_map(&lead.opt_in, created_at));
    item.optional_text(name::SUPPRESSED, lead.suppressed.map(suppression::Reason::as_str));
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
    item.bytes(name::MACHINES, lead.machines.encode());
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
    let members = lead.members.0.iter().map(|(campaign, told)| {
        let told = told
            .iter()
            .map(|(status, at)| (status.clone(), Stored::N(distance(*at, created_at).to_string())));
        (campaign.clone(), Stored::M(told.collect()))
    });
    item.map(name::MEMBERS, Writer(members.collect()));
    item.map(name::NURTURE, nurture_record::to_map(lead));
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

fn opt_in_to_map(opt_in: &OptIn, created_at: Timestamp) -> Writer {
    let mut map = Writer::default();
    map.since("w", opt_in.wanted_at, created_at);
    if !opt_in.asked.is_empty() {
        let asked = opt_in.asked.iter().map(|at| Stored::N(distance(*at, created_at).to_string()));
        map.put("a", Stored::L(asked.collect()));
    }
    map.flag("t", opt_in.typed);
    map
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
    let due_at = due_at.map(|at| at.plus(due_millis));
    let mail = item.number::<u8>(keys::DUE_SHARD)?.is_some_and(|shard| shard >= keys::DUE_SHARDS);
    let due_a_mail = due_at.filter(|_| mail);
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
        opt_in: item.map(name::OPT_IN)?.map_or(Ok(OptIn::default()), |map| {
            opt_in_from_map(Reader(map), created_at).map_err(|damage| damage.within(name::OPT_IN))
        })?,
        suppressed: item.parsed(name::SUPPRESSED, suppression::Reason::parse)?,
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
        machines: item.machines(name::MACHINES)?,
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
        phase: item.phase(name::PHASE)?,
        segments: item.set(name::SEGMENTS, slug)?,
        content: content(item, created_at.day())?,
        due_at,
        recent: item.deliveries(name::RECENT)?,
        members: members(item, created_at)?,
        nurture: item.map(name::NURTURE)?.map_or(Ok(Nurture::default()), |map| {
            nurture_record::from_map(Reader(map), created_at, due_a_mail)
                .map_err(|damage| damage.within(name::NURTURE))
        })?,
        possible_duplicates: item.set(name::DUPLICATES, |text| LeadId::parse(text).ok())?,
    })
}

fn company_from_map(map: Reader<'_>) -> Result<Company, Damage> {
    Ok(Company { name: map.owned("n")?, domain: map.owned("d")?, external_id: map.external("s", "i")? })
}

fn opt_in_from_map(map: Reader<'_>, created_at: Timestamp) -> Result<OptIn, Damage> {
    let at = |value: &Stored| value.as_n().ok()?.parse().ok().map(|n| at_distance(n, created_at));
    let asked: Option<_> = map.list("a")?.iter().map(at).collect();
    Ok(OptIn {
        wanted_at: map.since("w", created_at)?,
        asked: asked.ok_or_else(|| Damage::new("a", UNREADABLE))?,
        typed: map.flag("t")?,
    })
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

fn members(item: Reader<'_>, created_at: Timestamp) -> Result<Members, Damage> {
    let damaged = || Damage::new(name::MEMBERS, UNREADABLE);
    let status = |(status, at): (&String, &Stored)| {
        let distance = at.as_n().ok()?.parse().ok()?;
        Some((status.clone(), at_distance(distance, created_at)))
    };
    let campaign = |(campaign, told): (&String, &Stored)| {
        let told = told.as_m().ok()?.iter().map(status).collect::<Option<_>>()?;
        Some((campaign.clone(), told))
    };
    let members = item.map(name::MEMBERS)?.into_iter().flatten().map(campaign);
    members.collect::<Option<_>>().map(Members).ok_or_else(damaged)
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

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod record_tests;
