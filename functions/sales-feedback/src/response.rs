//! What sales gets.
//!
//! # Layout
//!
//! * this file – leads, scores, the timeline, what became of a fact;
//! * [`inbox`] – the inbox, as JSON and CSV.

pub mod inbox;

use crate::dossier::Known;
use crate::dossier::brief::Brief;
use adapters::http::Problem;
use adapters::ports::Page;
use adapters::wire;
use adapters::write_path::Recorded;
use domain::activity::Activity;
use domain::attribute::AttributeValue;
use domain::change::{Capture, Effect, Entry, Fact, Incoming, Outcome, entry_id};
use domain::consent::{ConsentFact, Purpose};
use domain::evaluation::Evaluation;
use domain::identity::{Identity, Slug};
use domain::lead::{Company, Lead};
use domain::nurture::Exit;
use domain::outlook::{fading, ways_to_qualify};
use domain::permission::{Refusal, may_write};
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::playbook::diff::{condition_at, condition_of, in_words, reasons_in_words};
use domain::reason::Reason;
use domain::sales::{Deal, DealState, Move, Stay, stays};
use domain::score::{Basis, Explanation, Score, explain};
use domain::sentence::{self, Names};
use domain::suppression;
use domain::time::{DAY_MS, Day, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most activities of a signal that an explanation lists.
const MOST_ACTIVITIES: usize = 50;

/// Gives the result of a look-up.
#[must_use]
pub fn found(lead: Option<&Lead>) -> Value {
    json!({ "items": lead.map(summary).into_iter().collect::<Vec<Value>>() })
}

fn summary(lead: &Lead) -> Value {
    json!({
        "lead_id": lead.id.as_str(),
        "email": lead.email().map(domain::identity::Email::as_str),
        "phone": lead.phone().map(domain::identity::Phone::as_str),
        "external_ids": wire::external_ids_json(lead),
        "company": company(&lead.company),
        "stage": lead.stage.as_str(),
        "owner": wire::owner_json(lead),
        "score": wire::score_json(&lead.score),
    })
}

fn company(company: &Company) -> Value {
    if company.is_empty() {
        return Value::Null;
    }
    json!({
        "name": company.name,
        "domain": company.domain,
        "external_id": company.external_id.as_ref().map(|id| json!({ "system": id.system(), "id": id.id() })),
    })
}

/// Gives a lead's score with everything that explains it: the activities behind it, when it fades, what would qualify the
/// lead.
#[must_use]
pub fn score(lead: &Lead, playbook: &Playbook, version: u32, facts: &[Incoming], at: Timestamp) -> Value {
    let today = at.day();
    let explanation = explain(playbook, &lead.view(today));
    let mut json = wire::explanation_json(&explanation, version, at);
    if let Some(map) = json.as_object_mut() {
        map.insert("activities".to_owned(), activities(&explanation, playbook, facts, at));
        map.insert("fading".to_owned(), wire::fading_json(&fading(lead, playbook, today)));
        map.insert("outlook".to_owned(), wire::outlook_json(&ways_to_qualify(lead, playbook, today)));
    }
    json
}

/// Lists, for each signal that gives points, the activities that showed it, latest first.
fn activities(explanation: &Explanation, playbook: &Playbook, facts: &[Incoming], at: Timestamp) -> Value {
    let mut all = Map::new();
    for line in &explanation.lines {
        let Basis::Hits { signal: id, .. } = &line.basis else { continue };
        let Some(signal) = playbook.signals.iter().find(|signal| signal.id == *id) else { continue };
        let shows = |fact: &&Incoming| {
            let activity = match &fact.fact {
                Fact::Activity(activity) => Some(activity),
                Fact::Captured(capture) => capture.activity.as_ref(),
                _ => None,
            };
            fact.occurred_at <= at
                && activity
                    .is_some_and(|activity| signal.matches(activity) && playbook.withheld(activity).is_none())
        };
        let shown = facts.iter().rev().filter(shows).take(MOST_ACTIVITIES);
        let shown: Vec<Value> = shown
            .map(|fact| {
                let id = entry_id(fact.occurred_at, fact.delivery);
                json!({ "id": id, "at": fact.occurred_at.to_string(), "by": fact.by })
            })
            .collect();
        all.insert(id.as_str().to_owned(), shown.into());
    }
    all.into()
}

/// Gives the segments, the persona and the phase that a lead is in on a day, each with its condition as a sentence.
#[must_use]
pub fn segments(
    lead: Option<&Lead>,
    playbook: &Playbook,
    document: &Value,
    version: u32,
    at: Timestamp,
) -> Value {
    let found = lead.map(|lead| Evaluation::of(lead, playbook, at.day()));
    let (segments, persona, phase) =
        found.map_or_else(Default::default, |found| (found.segments, found.persona, found.phase));
    let items = playbook.segments.iter().filter(|segment| segments.contains(&segment.id)).map(|segment| {
        let written = condition_of(document, "segments", segment.id.as_str());
        let says = written.map(|condition| in_words(condition, document));
        json!({ "segment_id": segment.id.as_str(), "title": segment.title, "says": says })
    });
    json!({
        "playbook_version": version, "as_of": at.to_string(), "items": items.collect::<Vec<_>>(),
        "persona": persona.as_ref().map(Slug::as_str), "phase": phase.map(Phase::as_str),
    })
}

/// Gives a lead's labels over time.
#[must_use]
pub fn labels(version: u32, points: &[(Day, Score)]) -> Value {
    let points = points.iter().map(|(day, score)| {
        let mut json = wire::score_json(score);
        if let Some(map) = json.as_object_mut() {
            map.insert("day".to_owned(), day.to_string().into());
        }
        json
    });
    json!({ "playbook_version": version, "items": points.collect::<Vec<_>>() })
}

/// Gives what a lead's nurturing is at.
fn nurture(lead: &Lead, playbook: &Playbook) -> Value {
    let nurture = &lead.nurture;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let programs = nurture.enrolments.iter().map(|(program, enrolment)| {
        json!({
            "program": program.as_str(),
            "eligible_at": enrolment.eligible_at.to_string(),
            "held_out": enrolment.held_out,
            "entered_at": enrolment.entered_at.to_string(),
            "left_at": time(enrolment.left.map(|(at, _)| at)),
            "exit": enrolment.left.map(|(_, exit)| exit.as_str()),
            "mails": enrolment.messages,
        })
    });
    json!({
        "program": nurture.program.as_ref().map(Slug::as_str),
        "held_out": nurture.enrolment().is_some_and(|enrolment| enrolment.held_out),
        "next_mail_at": time(nurture.next_at),
        "last_mail_at": time(nurture.sent.last().copied()),
        "mails": nurture.messages,
        "unanswered": nurture.unanswered,
        "exhausted": nurture.exhausted.is_some(),
        "rests_since": time(nurture.rests_since),
        "paused_until": time(nurture.paused.map(|(until, _)| until)),
        "no_mails_because": may_write(lead, Purpose::Marketing, playbook).err().map(Refusal::words),
        "programs": programs.collect::<Vec<_>>(),
    })
}

/// Gives the dossier.
#[must_use]
pub(crate) fn dossier(
    known: &Known,
    brief: &Brief,
    explanation: &Explanation,
    entries: &Page<Entry>,
    documents: &Documents,
) -> Value {
    let Known { lead, playbook, now, .. } = known;
    let now = *now;
    let titles = known.contents.iter().map(|(id, content)| (id.clone(), content.title.clone())).collect();
    let names = Names { playbook, content: &titles, people: &known.people };
    let standing = lead.standing();
    let emails: Vec<&str> = lead
        .identities
        .iter()
        .filter_map(
            |identity| if let Identity::Email(email) = identity { Some(email.as_str()) } else { None },
        )
        .collect();
    let mut shown = json!({
        "lead_id": lead.id.as_str(),
        "email": emails.first(),
        "emails": emails,
        "phone": lead.phone().map(domain::identity::Phone::as_str),
        "external_ids": wire::external_ids_json(lead),
        "company": company(&lead.company),
        "attributes": wire::attributes_json(lead),
        "attribute_origins": lead.attributes.iter().map(|(name, a)| (name.as_str().to_owned(), json!({
            "set_at": a.set_at.to_string(),
            "set_by": a.set_by,
            "known_at": a.known_at.map(|at| at.to_string()),
        }))).collect::<Map<String, Value>>(),
        "stage": lead.stage.as_str(),
        "stage_since": lead.stage_since.to_string(),
        "cycle": lead.cycle,
        "stages": stages(lead, now),
        "legal_feedback": lead.stage.legal(),
        "reasons": reasons(lead, playbook),
        "owner": wire::owner_json(lead),
        "ready": lead.ready,
        "held_for": lead.held_for.as_ref().map(Slug::as_str),
        "waits_for_pool": lead.to_assign.is_some(),
        "promise": promise(lead, now),
        "not_before": standing.not_before.map(|at| at.to_string()),
        "score": wire::explanation_json(explanation, lead.playbook_version, now),
        "persona": lead.persona.as_ref().map(Slug::as_str),
        "phase": lead.phase.map(Phase::as_str),
        "segments": lead.segments.iter().map(Slug::as_str).collect::<Vec<_>>(),
        "nurture": nurture(lead, playbook),
        "consent": wire::consents_json(&lead.consents),
        "suppressed": lead.suppressed.map(suppression::Reason::as_str),
        "source": {
            "first": lead.touches.first.as_ref().map(wire::touch_json),
            "last": lead.touches.last().map(wire::touch_json),
        },
        "deals": standing.deals.iter().map(deal).collect::<Vec<_>>(),
        "possible_duplicates": lead.possible_duplicates.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "created_at": lead.created_at.to_string(),
        "responded_at": lead.responded_at.map(|at| at.to_string()),
        "next_review_at": lead.due_at.map(|at| at.to_string()),
        "version": lead.version,
        "timeline": {
            "items": entries.items.iter().map(|entry| self::entry(entry, documents, &names)).collect::<Vec<_>>(),
            "next_cursor": entries.next,
        },
    });
    if let (Some(map), Ok(Value::Object(brief))) = (shown.as_object_mut(), serde_json::to_value(brief)) {
        map.extend(brief);
    }
    shown
}

/// Tells how long the lead was in each stage, in whole days; until now in the last one.
fn stages(lead: &Lead, now: Timestamp) -> Vec<Value> {
    let stays = stays(lead);
    let ends = stays.iter().skip(1).map(|next| Some(next.since)).chain([None]);
    let stay = |(stay, until): (&Stay, Option<Timestamp>)| {
        json!({
            "stage": stay.stage.as_str(), "cycle": stay.cycle, "since": stay.since.to_string(),
            "until": until.map(|at| at.to_string()),
            "days": until.unwrap_or(now).since(stay.since).max(0) / DAY_MS,
        })
    };
    stays.iter().zip(ends).map(stay).collect()
}

/// Lists the reasons that sales may give by now, by the kind of feedback; any text where a kind has none.
fn reasons(lead: &Lead, playbook: &Playbook) -> Value {
    let legal = lead.stage.legal();
    let legal = playbook.reasons.iter().filter(|(step, _)| legal.contains(&step.as_str()));
    let list = legal.map(|(step, reasons)| {
        let reasons = reasons.iter().map(|reason| {
            let then = if reason.disqualifies { "disqualify" } else { "nurture" };
            json!({ "id": reason.id.as_str(), "title": reason.title, "then": then })
        });
        (step.as_str().to_owned(), reasons.collect::<Vec<_>>().into())
    });
    Value::Object(list.collect())
}

fn deal(deal: &Deal) -> Value {
    json!({
        "deal": { "system": deal.id.system(), "id": deal.id.id() },
        "state": match deal.state { DealState::Open => "open", DealState::Won => "won", DealState::Lost => "lost" },
        "amount": deal.amount.as_ref().map(wire::money_json),
        "at": deal.at.to_string(),
    })
}

fn promise(lead: &Lead, now: Timestamp) -> Value {
    match lead.promise_due_at {
        Some(due) => json!({ "due_at": due.to_string(), "overdue": due <= now }),
        None => Value::Null,
    }
}

/// Gives what became of one fact.
#[must_use]
pub fn recorded(recorded: &Recorded) -> Value {
    let lead = &recorded.lead;
    let outcome = recorded.outcomes.first();
    let fact_id = match outcome {
        Some(Outcome::Created { entry } | Outcome::Updated { entry }) => Some(entry.as_str()),
        _ => None,
    };
    json!({
        "status": outcome.map_or("unchanged", wire::status),
        "lead_id": lead.id.as_str(),
        "fact_id": fact_id,
        "stage": lead.stage.as_str(),
        "cycle": lead.cycle,
        "owner": wire::owner_json(lead),
        "score": wire::score_json(&lead.score),
    })
}

/// Gives a fact that was not stored, with why.
#[must_use]
pub fn rejected(problem: &Problem) -> Value {
    json!({ "status": "rejected", "problem": problem.to_json() })
}

/// The documents of the playbooks that decided something, by their versions: what tells why something changed names parts
/// of their conditions.
pub type Documents = BTreeMap<u32, Arc<Value>>;

/// Tells whether an entry says why something changed.
#[must_use]
pub fn says_why(entry: &Entry) -> bool {
    entry.effects.iter().any(|effect| !why(effect).1.is_empty())
}

/// Gives the section and the id of the condition that made an effect, and the parts of it that did.
fn why(effect: &Effect) -> (Option<(&'static str, &str, &'static str)>, &[Reason]) {
    match effect {
        Effect::PersonaChanged { from, to, because } => {
            let id = if because.ended { from } else { to };
            (id.as_ref().map(|id| ("personas", id.as_str(), "when")), &because.parts)
        }
        Effect::PhaseChanged { from, to, because } => {
            let phase = if because.ended { from } else { to };
            (phase.map(|phase| ("phases", phase.as_str(), "when")), &because.parts)
        }
        Effect::SegmentEntered { segment, because } | Effect::SegmentLeft { segment, because } => {
            (Some(("segments", segment.as_str(), "when")), because)
        }
        Effect::ProgramEntered { program, because, .. } => {
            (Some(("programs", program.as_str(), "audience")), because)
        }
        Effect::ProgramLeft { program, exit, because } => {
            let field = match exit {
                Exit::Goal => "goal",
                Exit::Condition => "exit",
                _ => "audience",
            };
            (Some(("programs", program.as_str(), field)), because)
        }
        _ => (None, &[]),
    }
}

/// Says why something changed, where the playbook that decided is known.
fn because(effect: &Effect, document: Option<&Value>) -> Vec<String> {
    let (place, reasons) = why(effect);
    let said = place.zip(document).and_then(|((section, id, field), document)| {
        Some(reasons_in_words(reasons, condition_at(document, section, id, field)?, document))
    });
    said.unwrap_or_default()
}

/// Gives an entry of the timeline.
#[must_use]
fn entry(entry: &Entry, documents: &Documents, names: &Names<'_>) -> Value {
    let document = documents.get(&entry.playbook_version).map(Arc::as_ref);
    let mut json = json!({
        "id": entry.id,
        "kind": entry.fact.kind(),
        "says": sentence::of_fact(&entry.fact, names),
        "at": entry.at.to_string(),
        "recorded_at": entry.recorded_at.to_string(),
        "by": entry.by,
        "history": entry.history,
        "playbook_version": entry.playbook_version,
        "effects": entry.effects.iter().map(|effect| self::effect(effect, document)).collect::<Vec<_>>(),
        "then": entry.effects.iter().map(|effect| sentence::of_effect(effect, names)).collect::<Vec<_>>(),
    });
    if let (Some(map), Value::Object(details)) = (json.as_object_mut(), details(&entry.fact)) {
        map.extend(details.into_iter().filter(|(_, value)| !value.is_null()));
    }
    json
}

fn properties(properties: &BTreeMap<String, AttributeValue>) -> Value {
    properties
        .iter()
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect::<Map<String, Value>>()
        .into()
}

fn activity(activity: &Activity) -> Value {
    json!({ "activity": activity.kind, "properties": properties(&activity.properties) })
}

fn details(fact: &Fact) -> Value {
    match fact {
        Fact::Captured(capture) => captured(capture),
        Fact::Activity(done) => activity(done),
        Fact::Sales { what, by, note } => sales(what, by.as_ref(), note.as_deref()),
        Fact::FollowUp { channel, result, by, note } => json!({
            "channel": channel, "result": result, "person": by.as_ref().map(Slug::as_str), "note": note,
        }),
        Fact::MarketingFeedback { said, by, note } => json!({
            "about": { "campaign": said.campaign, "content": said.content },
            "sentiment": said.sentiment, "quote": said.quote,
            "person": by.as_ref().map(Slug::as_str), "note": note,
        }),
        Fact::Consent(said) => consent(said),
        Fact::Withdrawn { id, note } => json!({ "withdraws": id.to_string(), "note": note }),
        Fact::NurturePaused { until, by, note } => json!({
            "until": until.map(|at| at.to_string()), "person": by.as_ref().map(Slug::as_str), "note": note,
        }),
        Fact::Reviewed => json!({}),
    }
}

fn consent(said: &ConsentFact) -> Value {
    json!({
        "purpose": said.purpose.as_str(), "status": said.status.as_str(),
        "basis": said.basis.as_str(), "text": said.text, "source": said.source,
    })
}

fn captured(capture: &Capture) -> Value {
    let attributes: Map<String, Value> = capture
        .attributes
        .iter()
        .map(|(name, new)| (name.as_str().to_owned(), new.value.to_json()))
        .collect();
    let mut json = capture.activity.as_ref().map_or_else(|| json!({}), activity);
    if let Some(map) = json.as_object_mut() {
        map.insert("attributes".to_owned(), Value::Object(attributes));
        map.insert("company".to_owned(), company(&capture.company));
        let said: Vec<Value> = capture.consents.iter().map(consent).collect();
        map.insert("consent".to_owned(), if said.is_empty() { Value::Null } else { said.into() });
        map.insert("source".to_owned(), capture.touch.as_ref().map_or(Value::Null, wire::touch_json));
    }
    json
}

fn sales(what: &Move, by: Option<&Slug>, note: Option<&str>) -> Value {
    let mut json = json!({ "person": by.map(Slug::as_str), "note": note });
    let Some(map) = json.as_object_mut() else { return json };
    let mut add = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    if let Some(deal) = what.deal() {
        add("deal", json!({ "system": deal.system(), "id": deal.id() }));
    }
    match what {
        Move::Rejected { reason } | Move::Lost { reason, .. } | Move::Disqualified { reason } => {
            add("reason", json!(reason));
        }
        Move::NotReady { reason, not_before } => {
            add("reason", json!(reason));
            add("not_before", json!(not_before.map(|at| at.to_string())));
        }
        Move::Assigned { to, promise_due_at } => {
            add("to", json!(to.as_str()));
            add("promise_due_at", json!(promise_due_at.map(|at| at.to_string())));
        }
        // Never facts of their own: what they say stands in an effect or in a follow-up.
        Move::FollowedUp | Move::PromiseDueSoon | Move::PromiseBroken { .. } => {}
        Move::Opportunity { amount, .. } | Move::Won { amount, .. } => {
            add("amount", amount.as_ref().map_or(Value::Null, wire::money_json));
        }
        Move::MarketingQualified { owner, promise_due_at } => {
            add("to", json!(owner.as_str()));
            add("promise_due_at", json!(promise_due_at.to_string()));
        }
        Move::Accepted | Move::Qualified | Move::Churned => {}
    }
    json
}

fn effect(effect: &Effect, document: Option<&Value>) -> Value {
    let because = || because(effect, document);
    match effect {
        Effect::Created => json!({ "effect": "created" }),
        Effect::IdentityAdded { kind } => json!({ "effect": "identity_added", "identity": kind }),
        Effect::PossibleDuplicate { lead } => {
            json!({ "effect": "possible_duplicate", "lead_id": lead.as_str() })
        }
        Effect::AttributeChanged { name, old, new } => json!({
            "effect": "attribute_changed", "attribute": name.as_str(),
            "old": old.as_ref().map(AttributeValue::to_json), "new": new.to_json(),
        }),
        Effect::AttributeProposed { name, value } => json!({
            "effect": "attribute_proposed", "attribute": name.as_str(), "value": value.to_json(),
        }),
        Effect::ConsentChanged { purpose, status } => json!({
            "effect": "consent_changed", "purpose": purpose.as_str(), "status": status.as_str(),
        }),
        Effect::ScoreChanged { old, new } => json!({
            "effect": "score_changed", "old": old.as_ref().map(wire::score_json), "new": wire::score_json(new),
        }),
        Effect::StageChanged { from, to, skipped } => json!({
            "effect": "stage_changed", "from": from.as_str(), "to": to.as_str(),
            "skipped": skipped.iter().map(|stage| stage.as_str()).collect::<Vec<_>>(),
        }),
        Effect::HandedOff { to, territory, promise_due_at } => json!({
            "effect": "handed_off", "to": to.as_str(), "territory": territory.as_ref().map(Slug::as_str),
            "promise_due_at": promise_due_at.to_string(),
        }),
        Effect::Routed(routed) => json!({
            "effect": "routed", "to": routed.to.as_str(),
            "territory": routed.territory.as_ref().map(Slug::as_str), "rule": routed.rule.as_str(),
            "passed_over": routed.passed.iter().map(|passed| json!({
                "person": passed.person.as_str(), "because": passed.because.as_str(),
            })).collect::<Vec<_>>(),
        }),
        Effect::PromiseDueSoon { owner, due_at } => json!({
            "effect": "promise_due_soon", "owner": owner.as_str(), "promise_due_at": due_at.to_string(),
        }),
        Effect::PromiseBroken { owner, to } => json!({
            "effect": "promise_broken", "owner": owner.as_str(),
            "to": to.as_ref().map(|(to, _)| to.as_str()),
            "promise_due_at": to.as_ref().map(|(_, due_at)| due_at.to_string()),
        }),
        Effect::Held { owner } => json!({ "effect": "held", "for": owner.as_str() }),
        Effect::PersonaChanged { from, to, .. } => json!({
            "effect": "persona_changed", "from": from.as_ref().map(Slug::as_str),
            "to": to.as_ref().map(Slug::as_str), "because": because(),
        }),
        Effect::PhaseChanged { from, to, .. } => json!({
            "effect": "phase_changed", "from": from.map(Phase::as_str), "to": to.map(Phase::as_str),
            "because": because(),
        }),
        Effect::SegmentEntered { segment, .. } => json!({
            "effect": "segment_entered", "segment": segment.as_str(), "because": because(),
        }),
        Effect::SegmentLeft { segment, .. } => json!({
            "effect": "segment_left", "segment": segment.as_str(), "because": because(),
        }),
        Effect::ProgramEntered { program, held_out, over, given_back, .. } => json!({
            "effect": "program_entered", "program": program.as_str(), "held_out": held_out,
            "over": over.iter().map(Slug::as_str).collect::<Vec<_>>(), "given_back": given_back,
            "because": because(),
        }),
        Effect::ProgramLeft { program, exit, .. } => json!({
            "effect": "program_left", "program": program.as_str(), "exit": exit.as_str(), "because": because(),
        }),
        Effect::ContentExhausted { program } => {
            json!({ "effect": "content_exhausted", "program": program.as_str() })
        }
        Effect::Impossible { step, stage } => json!({
            "effect": "impossible", "asked": step.as_str(), "stage": stage.as_str(),
        }),
        Effect::PlaybookChanged { from, to } => {
            json!({ "effect": "playbook_changed", "from": from, "to": to })
        }
    }
}
