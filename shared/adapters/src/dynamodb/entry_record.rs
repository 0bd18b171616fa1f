//! What a timeline entry looks like as an item of table `Timeline`, and an event as one of table `Outbox`.
//!
//! | name | type | holds |
//! | --- | --- | --- |
//! | `lead_id`, `entry_id` | S | the lead, or the partition of a visitor; time and delivery |
//! | `kind` | S | the kind of the fact, which also says what `fact` holds |
//! | `at`, `recorded_at` | N | milliseconds since the epoch |
//! | `by` | S | what brought it |
//! | `history` | BOOL | only where it came as history |
//! | `pv` | N | playbook version |
//! | `fact` | S | the fact as compact JSON; absent where the kind says it all |
//! | `effects` | S | what it changed, as a compact JSON list of objects; absent where that is nothing |
//! | `expires_at` | N | seconds; only where retention has an end |
//!
//! An event has the same first names, `at`, `expires_at`, the lead's `version` after it, and the map `detail` of words.
//!
//! Fact and effects are JSON in a text rather than DynamoDB maps: an entry is read whole or not at all, no expression
//! looks inside, and the text is a third smaller and much cheaper to decode. The fields keep full names, since an entry
//! is also what a person reads when they ask why.
//!
//! They are written and read field by field, not derived: these forms live as long as the data, and a renamed field
//! of `domain` must not change them. Nor is this the reader for request bodies, [`domain::reader`]: that one
//! trims texts and repeats what it found in its faults, while here every text has to come back as it was and an error
//! must not repeat it. Unknown fields are ignored; an unknown kind of fact or effect is an error, since leaving it out
//! would tell another story. So code that reads a new kind goes live before code that writes it.

use super::document::{
    Doc, Fields, UNREADABLE, delivery, external_from_json, external_to_json, lead_id, money_from_json,
    money_to_json, new_attribute_from_json, new_attribute_to_json, owned, score_from_json, score_to_json,
    stage, time, value_from_json, value_to_json, version,
};
use super::item::{CorruptRecord, Damage, Reader, Writer, owner_of, required, slug};
use super::keys;
use super::moves::{MoveFields, of_words, step};
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::activity::Activity;
use domain::attribute::AttributeName;
use domain::change::{Capture, Effect, Entry, Event, Fact, MarketingFeedback};
use domain::consent::{Basis, ConsentFact, ConsentStatus, Purpose};
use domain::identity::LeadId;
use domain::lead::{Company, Touch};
use domain::nurture::Exit;
use domain::phase::Phase;
use domain::reason::{Because, Reason};
use domain::routing::{Passed, Routed, Rule};
use domain::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

const AT: &str = "at";
const RECORDED_AT: &str = "recorded_at";
const BY: &str = "by";
const HISTORY: &str = "history";
const PLAYBOOK: &str = "pv";
const FACT: &str = "fact";
const EFFECTS: &str = "effects";
const DETAIL: &str = "detail";

/// Writes an entry as an item of a partition: a lead's id, or [`keys::visitor_partition`].
#[must_use]
pub fn to_item(partition: &str, entry: &Entry, expires_at: Option<Timestamp>) -> HashMap<String, Stored> {
    let mut item = Writer::default();
    item.text(keys::LEAD_ID, partition);
    item.text(keys::ENTRY_ID, &entry.id);
    item.text(keys::KIND, entry.fact.kind());
    item.time(AT, entry.at);
    item.time(RECORDED_AT, entry.recorded_at);
    item.text(BY, &entry.by);
    item.flag(HISTORY, entry.history);
    item.number(PLAYBOOK, entry.playbook_version);
    let fact = fact_to_doc(&entry.fact).0;
    if !fact.is_empty() {
        item.text(FACT, &Value::Object(fact).to_string());
    }
    if !entry.effects.is_empty() {
        let effects: Vec<Value> = entry.effects.iter().map(|effect| effect_to_doc(effect).into()).collect();
        item.text(EFFECTS, &Value::Array(effects).to_string());
    }
    if let Some(at) = expires_at {
        item.number(keys::EXPIRES_AT, at.secs());
    }
    item.into_item()
}

/// Writes an event as an item of `Outbox`; `version` is the lead's after the event.
#[must_use]
pub fn event_to_item(
    lead: &LeadId,
    version: u64,
    event: &Event,
    expires_at: Timestamp,
) -> HashMap<String, Stored> {
    let mut item = Writer::default();
    item.text(keys::LEAD_ID, lead.as_str());
    item.text(keys::ENTRY_ID, &event.id);
    item.text(keys::KIND, event.kind.as_str());
    item.time(AT, event.at);
    item.number(keys::OUTBOX_VERSION, version);
    item.number(keys::EXPIRES_AT, expires_at.secs());
    if !event.detail.is_empty() {
        let detail = event.detail.iter().map(|(name, word)| ((*name).to_owned(), Stored::S(word.clone())));
        item.put(DETAIL, Stored::M(detail.collect()));
    }
    item.into_item()
}

/// An event as the outbox holds it. The kind is a word: one that this version does not know goes out all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEvent {
    /// The lead.
    pub lead: LeadId,
    /// The lead's version after the event.
    pub version: u64,
    /// The event's id among those of the lead.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Details, as words.
    pub detail: BTreeMap<String, String>,
}

/// Reads an event from its item of `Outbox`.
///
/// # Errors
///
/// [`CorruptRecord`] where an attribute that must be there is missing or one cannot be read.
pub fn event_from_item(item: &HashMap<String, Stored>) -> Result<OutboxEvent, CorruptRecord> {
    read_event(Reader(item)).map_err(|damage| damage.of(format!("an event of {}", owner_of(item))))
}

fn read_event(item: Reader<'_>) -> Result<OutboxEvent, Damage> {
    let word = |(name, word): (&String, &Stored)| Some((name.clone(), word.as_s().ok()?.clone()));
    let detail = item.map(DETAIL)?.into_iter().flatten().map(word).collect::<Option<_>>();
    Ok(OutboxEvent {
        lead: required(keys::LEAD_ID, item.parsed(keys::LEAD_ID, |text| LeadId::parse(text).ok())?)?,
        version: required(keys::OUTBOX_VERSION, item.number(keys::OUTBOX_VERSION)?)?,
        id: required(keys::ENTRY_ID, item.text(keys::ENTRY_ID)?)?.to_owned(),
        kind: required(keys::KIND, item.text(keys::KIND)?)?.to_owned(),
        at: required(AT, item.time(AT)?)?,
        detail: detail.ok_or_else(|| Damage::new(DETAIL, "is no map of words"))?,
    })
}

/// Reads an entry from its item.
///
/// # Errors
///
/// [`CorruptRecord`] where an attribute that must be there is missing or one cannot be read.
pub fn from_item(item: &HashMap<String, Stored>) -> Result<Entry, CorruptRecord> {
    read(Reader(item)).map_err(|damage| {
        let id = match item.get(keys::ENTRY_ID) {
            Some(Stored::S(id)) => id,
            _ => "without its id",
        };
        damage.of(format!("entry {id} of {}", owner_of(item)))
    })
}

fn read(item: Reader<'_>) -> Result<Entry, Damage> {
    let kind = required(keys::KIND, item.text(keys::KIND)?)?;
    let fact = match json(item, FACT)? {
        None => Map::new(),
        Some(Value::Object(fact)) => fact,
        Some(_) => return Err(Damage::new(FACT, "is no object")),
    };
    let effects = match json(item, EFFECTS)? {
        None => Vec::new(),
        Some(Value::Array(effects)) => effects,
        Some(_) => return Err(Damage::new(EFFECTS, "is no list")),
    };
    let effect = |value: &Value| effect_from_doc(Fields::of("(effect)", value)?);
    Ok(Entry {
        id: required(keys::ENTRY_ID, item.text(keys::ENTRY_ID)?)?.to_owned(),
        at: required(AT, item.time(AT)?)?,
        recorded_at: required(RECORDED_AT, item.time(RECORDED_AT)?)?,
        by: item.text(BY)?.unwrap_or_default().to_owned(),
        history: item.flag(HISTORY)?,
        fact: fact_from_doc(kind, Fields(&fact)).map_err(|damage| damage.within(FACT))?,
        effects: effects
            .iter()
            .map(|value| effect(value).map_err(|damage| damage.within(EFFECTS)))
            .collect::<Result<_, _>>()?,
        playbook_version: required(PLAYBOOK, item.number(PLAYBOOK)?)?,
    })
}

fn json(item: Reader<'_>, name: &'static str) -> Result<Option<Value>, Damage> {
    item.parsed(name, |text| serde_json::from_str(text).ok())
}

// ---- Facts ----

fn fact_to_doc(fact: &Fact) -> Doc {
    let doc = Doc::default();
    match fact {
        Fact::Captured(capture) => capture_to_doc(capture),
        Fact::Activity(activity) => activity_to_doc(activity),
        Fact::Sales { what, by, note } => {
            let fields = MoveFields::of(what);
            doc.with_slug("whom", fields.whom.as_ref())
                .with_time("until", fields.until)
                .with_text("reason", fields.reason.as_deref())
                .with_some("deal", fields.deal.as_ref().map(external_to_json))
                .with_some("amount", fields.amount.as_ref().map(money_to_json))
                .with_slug("by", by.as_ref())
                .with_text("note", note.as_deref())
        }
        Fact::FollowUp { channel, result, by, note } => doc
            .with("channel", channel.as_str())
            .with_text("result", result.as_deref())
            .with_slug("by", by.as_ref())
            .with_text("note", note.as_deref()),
        Fact::MarketingFeedback { said, by, note } => doc
            .with_text("campaign", said.campaign.as_deref())
            .with_text("content", said.content.as_deref())
            .with_text("sentiment", said.sentiment.as_deref())
            .with_text("quote", said.quote.as_deref())
            .with_slug("by", by.as_ref())
            .with_text("note", note.as_deref()),
        Fact::Consent(consent) => consent_to_doc(consent),
        Fact::Withdrawn { id, note } => doc.with("id", id.to_string()).with_text("note", note.as_deref()),
        Fact::NurturePaused { until, by, note } => {
            doc.with_time("until", *until).with_slug("by", by.as_ref()).with_text("note", note.as_deref())
        }
        Fact::Reviewed => doc,
    }
}

fn fact_from_doc(kind: &str, doc: Fields<'_>) -> Result<Fact, Damage> {
    Ok(match kind {
        "form" | "profile" => Fact::Captured(Box::new(capture_from_doc(doc)?)),
        "activity" => Fact::Activity(activity_from_doc(doc)?),
        "follow_up" => Fact::FollowUp {
            channel: doc.need("channel", owned)?,
            result: doc.text("result")?,
            by: doc.slug("by")?,
            note: doc.text("note")?,
        },
        "marketing_feedback" => Fact::MarketingFeedback {
            said: MarketingFeedback {
                campaign: doc.text("campaign")?,
                content: doc.text("content")?,
                sentiment: doc.text("sentiment")?,
                quote: doc.text("quote")?,
            },
            by: doc.slug("by")?,
            note: doc.text("note")?,
        },
        "consent" => Fact::Consent(consent_from_doc(doc)?),
        "withdrawn" => Fact::Withdrawn { id: doc.need("id", delivery)?, note: doc.text("note")? },
        "nurture_paused" | "nurture_resumed" => {
            Fact::NurturePaused { until: doc.time("until")?, by: doc.slug("by")?, note: doc.text("note")? }
        }
        "reviewed" => Fact::Reviewed,
        other => {
            let step = step(other)
                .ok_or_else(|| Damage::new("(kind)", "is of a kind that this code does not know"))?;
            let fields = MoveFields {
                whom: doc.slug("whom")?,
                until: doc.time("until")?,
                reason: doc.text("reason")?,
                deal: doc.get("deal", external_from_json)?,
                amount: doc.get("amount", money_from_json)?,
            };
            let what =
                fields.into_move(step).ok_or_else(|| Damage::new("(move)", "lacks a field that it needs"))?;
            Fact::Sales { what, by: doc.slug("by")?, note: doc.text("note")? }
        }
    })
}

fn capture_to_doc(capture: &Capture) -> Doc {
    let attributes =
        capture.attributes.iter().map(|(n, a)| (n.as_str().to_owned(), new_attribute_to_json(a)));
    let Company { name, domain, external_id } = &capture.company;
    let company = Doc::default()
        .with_text("name", name.as_deref())
        .with_text("domain", domain.as_deref())
        .with_some("external_id", external_id.as_ref().map(external_to_json));
    Doc::default()
        .with_doc("attributes", Doc(attributes.collect()))
        .with_doc("company", company)
        .with_some("touch", capture.touch.as_ref().map(touch_to_doc))
        .with_list(
            "consents",
            capture.consents.iter().map(|consent| consent_to_doc(consent).into()).collect(),
        )
        .with_some("activity", capture.activity.as_ref().map(activity_to_doc))
        .with_flag("responded", capture.responded)
        .with_flag("customer", capture.customer)
        .with_flag("public", capture.public)
}

fn capture_from_doc(doc: Fields<'_>) -> Result<Capture, Damage> {
    Ok(Capture {
        attributes: doc.inner("attributes", |attributes| {
            let read = |(name, value): (&String, &Value)| {
                Some((AttributeName::parse(name).ok()?, new_attribute_from_json(value)?))
            };
            let all: Option<_> = attributes.0.iter().map(read).collect();
            all.ok_or_else(|| Damage::new("(attribute)", UNREADABLE))
        })?,
        company: doc.inner("company", |company| {
            Ok(Company {
                name: company.text("name")?,
                domain: company.text("domain")?,
                external_id: company.get("external_id", external_from_json)?,
            })
        })?,
        touch: doc.optional_inner("touch", touch_from_doc)?,
        consents: doc.list("consents", consent_from_doc)?,
        activity: doc.optional_inner("activity", activity_from_doc)?,
        responded: doc.flag("responded")?,
        customer: doc.flag("customer")?,
        public: doc.flag("public")?,
    })
}

fn touch_to_doc(touch: &Touch) -> Doc {
    Doc::default()
        .with_time("at", Some(touch.at))
        .with_text("channel", touch.channel.as_deref())
        .with_text("campaign", touch.campaign.as_deref())
        .with_text("landing_page", touch.landing_page.as_deref())
}

fn touch_from_doc(doc: Fields<'_>) -> Result<Touch, Damage> {
    Ok(Touch {
        at: doc.need("at", time)?,
        channel: doc.text("channel")?,
        campaign: doc.text("campaign")?,
        landing_page: doc.text("landing_page")?,
    })
}

fn consent_to_doc(consent: &ConsentFact) -> Doc {
    let basis = match consent.basis {
        Basis::Consent => None,
        other => Some(other.as_str()),
    };
    Doc::default()
        .with("purpose", consent.purpose.as_str())
        .with("status", consent.status.as_str())
        .with_text("basis", basis)
        .with_text("text", consent.text.as_deref())
        .with_text("source", consent.source.as_deref())
        .with_time("at", Some(consent.at))
}

fn consent_from_doc(doc: Fields<'_>) -> Result<ConsentFact, Damage> {
    let basis = doc.get("basis", |value| of_words(Basis::WORDS, value.as_str()?))?;
    Ok(ConsentFact {
        purpose: doc.word("purpose", Purpose::WORDS)?,
        status: doc.word("status", ConsentStatus::WORDS)?,
        basis: basis.unwrap_or(Basis::Consent),
        text: doc.text("text")?,
        source: doc.text("source")?,
        at: doc.need("at", time)?,
    })
}

fn activity_to_doc(activity: &Activity) -> Doc {
    let properties = activity.properties.iter().map(|(name, value)| (name.clone(), value_to_json(value)));
    Doc::default().with("kind", activity.kind.as_str()).with_doc("properties", Doc(properties.collect()))
}

fn activity_from_doc(doc: Fields<'_>) -> Result<Activity, Damage> {
    Ok(Activity {
        kind: doc.need("kind", owned)?,
        properties: doc.inner("properties", |properties| {
            let read = |(name, value): (&String, &Value)| Some((name.clone(), value_from_json(value)?));
            let all: Option<_> = properties.0.iter().map(read).collect();
            all.ok_or_else(|| Damage::new("(property)", UNREADABLE))
        })?,
    })
}

// ---- Effects ----

const EFFECT: &str = "effect";

fn effect_to_doc(effect: &Effect) -> Doc {
    let doc = |word: &str| Doc::default().with(EFFECT, word);
    match effect {
        Effect::Created => doc("created"),
        Effect::IdentityAdded { kind } => doc("identity_added").with("kind", kind.as_str()),
        Effect::PossibleDuplicate { lead } => doc("possible_duplicate").with("lead", lead.as_str()),
        Effect::AttributeChanged { name, old, new } => doc("attribute_changed")
            .with("name", name.as_str())
            .with_some("old", old.as_ref().map(value_to_json))
            .with("new", value_to_json(new)),
        Effect::AttributeProposed { name, value } => {
            doc("attribute_proposed").with("name", name.as_str()).with("value", value_to_json(value))
        }
        Effect::ConsentChanged { purpose, status } => {
            doc("consent_changed").with("purpose", purpose.as_str()).with("status", status.as_str())
        }
        Effect::ScoreChanged { old, new } => doc("score_changed")
            .with_some("old", old.as_ref().map(score_to_json))
            .with("new", score_to_json(new)),
        Effect::StageChanged { from, to, skipped } => doc("stage_changed")
            .with("from", from.as_str())
            .with("to", to.as_str())
            .with_list("skipped", skipped.iter().map(|stage| stage.as_str().into()).collect()),
        Effect::HandedOff { to, territory, promise_due_at } => doc("handed_off")
            .with("to", to.as_str())
            .with_slug("territory", territory.as_ref())
            .with_time("promise_due_at", Some(*promise_due_at)),
        Effect::Routed(Routed { to, territory, rule, passed }) => doc("routed")
            .with("to", to.as_str())
            .with_slug("territory", territory.as_ref())
            .with("rule", rule.as_str())
            .with_list("passed", passed.iter().map(|passed| passed.to_string().into()).collect()),
        Effect::PromiseDueSoon { owner, due_at } => {
            doc("promise_due_soon").with("owner", owner.as_str()).with_time("promise_due_at", Some(*due_at))
        }
        Effect::PromiseBroken { owner, to } => doc("promise_broken")
            .with("owner", owner.as_str())
            .with_slug("to", to.as_ref().map(|(to, _)| to))
            .with_time("promise_due_at", to.as_ref().map(|(_, due_at)| *due_at)),
        Effect::Held { owner } => doc("held").with("owner", owner.as_str()),
        Effect::PersonaChanged { from, to, because } => doc("persona_changed")
            .with_slug("from", from.as_ref())
            .with_slug("to", to.as_ref())
            .with_flag("ended", because.ended)
            .with_text("because", reasons_to_text(&because.parts).as_deref()),
        Effect::PhaseChanged { from, to, because } => doc("phase_changed")
            .with_text("from", from.map(Phase::as_str))
            .with_text("to", to.map(Phase::as_str))
            .with_flag("ended", because.ended)
            .with_text("because", reasons_to_text(&because.parts).as_deref()),
        Effect::SegmentEntered { segment, because } => doc("segment_entered")
            .with("segment", segment.as_str())
            .with_text("because", reasons_to_text(because).as_deref()),
        Effect::SegmentLeft { segment, because } => doc("segment_left")
            .with("segment", segment.as_str())
            .with_text("because", reasons_to_text(because).as_deref()),
        Effect::ProgramEntered { program, held_out, because, over, given_back } => doc("program_entered")
            .with("program", program.as_str())
            .with_flag("held_out", *held_out)
            .with_text("because", reasons_to_text(because).as_deref())
            .with_list("over", over.iter().map(|other| other.as_str().into()).collect())
            .with_text("given_back", given_back.as_deref()),
        Effect::ProgramLeft { program, exit, because } => doc("program_left")
            .with("program", program.as_str())
            .with("exit", exit.as_str())
            .with_text("because", reasons_to_text(because).as_deref()),
        Effect::ContentExhausted { program } => doc("content_exhausted").with("program", program.as_str()),
        Effect::Impossible { step, stage } => {
            doc("impossible").with("step", step.as_str()).with("stage", stage.as_str())
        }
        Effect::PlaybookChanged { from, to } => doc("playbook_changed").with("from", *from).with("to", *to),
    }
}

/// Writes the parts that decided a condition as numbers with a mark each, one after the other.
fn reasons_to_text(reasons: &[Reason]) -> Option<String> {
    let texts: Vec<String> = reasons.iter().map(Reason::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(" "))
}

fn phase(value: &Value) -> Option<Phase> {
    Phase::parse(value.as_str()?)
}

fn effect_from_doc(doc: Fields<'_>) -> Result<Effect, Damage> {
    let because = || {
        let parts = |value: &Value| value.as_str()?.split(' ').map(Reason::parse).collect();
        Ok(doc.get("because", parts)?.unwrap_or_default())
    };
    let instead = || Ok(Because { ended: doc.flag("ended")?, parts: because()? });
    let name = |name| doc.need(name, |value| AttributeName::parse(value.as_str()?).ok());
    let a_slug = |name| required(name, doc.slug(name)?);
    Ok(match doc.need(EFFECT, Value::as_str)? {
        "created" => Effect::Created,
        "identity_added" => Effect::IdentityAdded { kind: doc.need("kind", owned)? },
        "possible_duplicate" => Effect::PossibleDuplicate { lead: doc.need("lead", lead_id)? },
        "attribute_changed" => Effect::AttributeChanged {
            name: name("name")?,
            old: doc.get("old", value_from_json)?,
            new: doc.need("new", value_from_json)?,
        },
        "attribute_proposed" => {
            Effect::AttributeProposed { name: name("name")?, value: doc.need("value", value_from_json)? }
        }
        "consent_changed" => Effect::ConsentChanged {
            purpose: doc.word("purpose", Purpose::WORDS)?,
            status: doc.word("status", ConsentStatus::WORDS)?,
        },
        "score_changed" => Effect::ScoreChanged {
            old: doc.get("old", score_from_json)?,
            new: doc.need("new", score_from_json)?,
        },
        "stage_changed" => Effect::StageChanged {
            from: doc.need("from", stage)?,
            to: doc.need("to", stage)?,
            skipped: doc
                .get("skipped", |value| value.as_array()?.iter().map(stage).collect())?
                .unwrap_or_default(),
        },
        "handed_off" => Effect::HandedOff {
            to: a_slug("to")?,
            territory: doc.slug("territory")?,
            promise_due_at: doc.need("promise_due_at", time)?,
        },
        "routed" => Effect::Routed(Routed {
            to: a_slug("to")?,
            territory: doc.slug("territory")?,
            rule: doc.word("rule", Rule::WORDS)?,
            passed: doc
                .get("passed", |value| {
                    value.as_array()?.iter().map(|text| Passed::parse(text.as_str()?)).collect()
                })?
                .unwrap_or_default(),
        }),
        "promise_due_soon" => {
            Effect::PromiseDueSoon { owner: a_slug("owner")?, due_at: doc.need("promise_due_at", time)? }
        }
        "promise_broken" => Effect::PromiseBroken {
            owner: a_slug("owner")?,
            to: doc.slug("to")?.zip(doc.time("promise_due_at")?),
        },
        "held" => Effect::Held { owner: a_slug("owner")? },
        "persona_changed" => {
            Effect::PersonaChanged { from: doc.slug("from")?, to: doc.slug("to")?, because: instead()? }
        }
        "phase_changed" => Effect::PhaseChanged {
            from: doc.get("from", phase)?,
            to: doc.get("to", phase)?,
            because: instead()?,
        },
        "segment_entered" => Effect::SegmentEntered { segment: a_slug("segment")?, because: because()? },
        "segment_left" => Effect::SegmentLeft { segment: a_slug("segment")?, because: because()? },
        "program_entered" => Effect::ProgramEntered {
            program: a_slug("program")?,
            held_out: doc.flag("held_out")?,
            because: because()?,
            over: doc
                .get("over", |value| value.as_array()?.iter().map(|id| slug(id.as_str()?)).collect())?
                .unwrap_or_default(),
            given_back: doc.text("given_back")?,
        },
        "program_left" => Effect::ProgramLeft {
            program: a_slug("program")?,
            exit: doc.word("exit", Exit::WORDS)?,
            because: because()?,
        },
        "content_exhausted" => Effect::ContentExhausted { program: a_slug("program")? },
        "impossible" => Effect::Impossible {
            step: doc.need("step", |value| step(value.as_str()?))?,
            stage: doc.need("stage", stage)?,
        },
        "playbook_changed" => {
            Effect::PlaybookChanged { from: doc.need("from", version)?, to: doc.need("to", version)? }
        }
        _ => return Err(Damage::new(EFFECT, "is of a kind that this code does not know")),
    })
}
