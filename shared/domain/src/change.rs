//! The one way a lead changes: facts go in, a [`Change`] comes out.
//!
//! [`decide`] is pure. It takes a lead (or none), what was delivered, the playbook and the time, and gives the new lead
//! together with the timeline entries and outgoing events that belong to it, so that all of them can be stored in one
//! transaction or not at all. [`advance`] does the same where only time has passed or the playbook has changed.
//!
//! Facts more than [`STALE_MS`] old on arrival, and everything delivered as history, change state but start no
//! hand-off, promise or event.
//!
//! # Layout
//!
//! * this file – how effects and events follow from facts;
//! * `facts` – facts, effects and events themselves;
//! * `profile` – what a delivery says of a lead, taken in;
//! * `moves` – which persona, phase and segments it came to or left, and why;
//! * `promises` – what was promised when, and what has to be said of it;
//! * `count` – signals counted anew from a timeline;
//! * `due` – whether a lead is ready, and when time alone changes something;
//! * [`nurture`] – what happens to its nurturing, and how a mail is claimed;
//! * `routing` – how it goes to somebody of a pool.

mod count;
mod due;
mod facts;
mod moves;
pub mod nurture;
mod profile;
mod promises;
mod routing;

pub use count::{Counted, Recount};
pub use due::{LOOK_AHEAD_DAYS, is_ready, next_review};
pub use facts::{
    Capture, Change, Effect, Entry, Event, EventKind, Fact, Incoming, MarketingFeedback, Outcome, Subject,
    entry_id,
};
pub use routing::{ASK_AGAIN_MS, assign};

use crate::activity::Activity;
use crate::claim::holder;
use crate::condition::View;
use crate::consent::{ConsentStatus, Consents};
use crate::identity::{Identity, LeadId, Slug};
use crate::lead::{Company, Lead, MOST_OF_A_KIND, MOST_RECENT, RECENT_DELIVERIES, Touch, Touches};
use crate::ledger::Ledger;
use crate::machine::{self, Machines};
use crate::member::Members;
use crate::nurture::Nurture;
use crate::nurture::enrol::enrol;
use crate::nurture::opt_in::OptIn;
use crate::nurture::pace::next_at;
use crate::persona::persona;
use crate::phase::phase;
use crate::playbook::Playbook;
use crate::promise::{People, promised};
use crate::routing::qualify;
use crate::sales::{DeliveryId, Move, SalesFact, insert};
use crate::score::{Engagement, Label, Score, score};
use crate::segment::segments;
use crate::stage::Stage;
use crate::suppression;
use crate::time::{DAY_MS, Day, SECOND_MS, Timestamp};
use due::becomes_a_lead;
pub(crate) use due::first_difference;
use moves::{Cause, moves};
use profile::{
    activity_into, capture_into, consent_into, content_into, first_address_into, member_into,
    own_address_into,
};
use promises::{dated, raise};
use std::collections::{BTreeMap, BTreeSet};

/// The most facts that one change may hold, so that it fits into one transaction.
pub const MOST_FACTS: usize = 41;
/// From which age on arrival a fact starts nothing any more: seven days, in milliseconds.
pub const STALE_MS: i64 = 7 * DAY_MS;

fn new_lead(id: LeadId, playbook_version: u32, playbook: &Playbook, at: Timestamp) -> Lead {
    let mut lead = Lead {
        id,
        version: 0,
        playbook_version,
        identities: Vec::new(),
        company: Company::default(),
        attributes: BTreeMap::new(),
        consents: Consents::default(),
        opt_in: OptIn::default(),
        suppressed: None,
        touches: Touches::default(),
        created_at: at,
        responded_at: None,
        was_customer: false,
        sales: Vec::new(),
        withdrawn: Vec::new(),
        activities: 0,
        ledger: Ledger::default(),
        counts_from: None,
        ledger_since: Ledger::default(),
        machines: Machines::default(),
        score: Score {
            fit: 0,
            engagement: 0,
            label: Label { fit: crate::score::Fit::D, engagement: Engagement::Four },
        },
        ready: false,
        held_for: None,
        stage: Stage::Contact,
        stage_since: at,
        cycle: 1,
        person: None,
        person_since: None,
        promise_due_at: None,
        to_assign: None,
        persona: None,
        phase: None,
        segments: BTreeSet::new(),
        content: BTreeMap::new(),
        due_at: None,
        recent: Vec::new(),
        members: Members::default(),
        nurture: Nurture::default(),
        possible_duplicates: BTreeSet::new(),
    };
    lead.score = score(playbook, &lead.view(at.day()));
    lead
}

/// Decides what the facts change. `claims` are the identities that came with them and that nobody owns.
#[must_use]
pub fn decide(
    subject: Subject,
    claims: Vec<Identity>,
    possible_duplicates: &[LeadId],
    facts: &[Incoming],
    playbook: &Playbook,
    people: &People,
    now: Timestamp,
) -> Change {
    let mut change = take(subject, claims, possible_duplicates, facts, playbook, people, now);
    due(&mut change.lead, playbook, people, now, now);
    change
}

/// Finds when a lead is due again. One that waits for somebody of a pool is so at `ask_at`.
fn due(lead: &mut Lead, playbook: &Playbook, people: &People, now: Timestamp, ask_at: Timestamp) {
    // The index knows whole seconds.
    let whole = |at: Timestamp| Timestamp::from_secs(at.plus(SECOND_MS - 1).secs());
    lead.nurture.next_at = next_at(lead, playbook, now).map(whole);
    let review = next_review(lead, playbook, people, now);
    lead.due_at = routing::due(lead, review, ask_at).into_iter().chain(lead.nurture.next_at).min();
}

/// Decides all but when the lead is due again, which costs a look at many days and which a replay finds out as it goes.
pub(crate) fn take(
    subject: Subject,
    claims: Vec<Identity>,
    possible_duplicates: &[LeadId],
    facts: &[Incoming],
    playbook: &Playbook,
    people: &People,
    now: Timestamp,
) -> Change {
    let first_at = facts.iter().map(|fact| fact.occurred_at).min().unwrap_or(now);
    let (mut lead, expected) = match subject {
        Subject::Existing(lead) => {
            let version = lead.version;
            (*lead, Some(version))
        }
        Subject::New { id, playbook_version } => (new_lead(id, playbook_version, playbook, first_at), None),
    };
    // A request of many facts widens the memory to all of them, so that it is recognised as a whole when it comes again;
    // each later delivery narrows it by one.
    let remembered = lead.recent.len();
    let mut change = Worker { playbook, people, now, entries: Vec::new(), events: Vec::new() };
    let mut outcomes = Vec::new();
    let mut arriving: Vec<Effect> = Vec::new();
    if expected.is_none() {
        arriving.push(Effect::Created);
    }
    // A lead has room for some of each kind; what is over stays nobody's, so that no stranger can fill a lead up.
    let room = |identity: &Identity| {
        lead.identities.iter().filter(|known| known.kind() == identity.kind()).count() < MOST_OF_A_KIND
            || matches!(identity, Identity::Anonymous(_))
    };
    let claims: Vec<Identity> = claims.into_iter().filter(|identity| room(identity)).collect();
    let before: Vec<Identity> = lead.identities.clone();
    for identity in &claims {
        if lead.know(identity.clone()) && expected.is_some() {
            arriving.push(Effect::IdentityAdded { kind: identity.kind().to_owned() });
        }
    }
    let public = |fact: &Incoming| matches!(&fact.fact, Fact::Captured(capture) if capture.public);
    if facts.iter().any(public) {
        if expected.is_some() {
            first_address_into(&mut lead, &before, now, &mut arriving);
        }
    } else {
        own_address_into(&mut lead, &claims, now, &mut arriving);
    }
    for duplicate in possible_duplicates {
        if lead.possible_duplicates.len() < 20 && lead.possible_duplicates.insert(duplicate.clone()) {
            arriving.push(Effect::PossibleDuplicate { lead: duplicate.clone() });
        }
    }
    for fact in facts {
        outcomes.push(change.take(&mut lead, fact, &mut arriving));
    }
    let created = expected.is_none();
    if created
        && let Some(Outcome::Updated { entry }) =
            outcomes.iter().find(|o| matches!(o, Outcome::Updated { .. })).cloned()
    {
        outcomes
            .iter_mut()
            .filter(|outcome| matches!(outcome, Outcome::Updated { entry: e } if *e == entry))
            .for_each(|outcome| *outcome = Outcome::Created { entry: entry.clone() });
    }
    let room =
        if facts.len() > 1 { MOST_RECENT } else { RECENT_DELIVERIES.max(remembered.saturating_sub(1)) };
    lead.recent.drain(..lead.recent.len().saturating_sub(room));
    let nothing = change.entries.is_empty();
    lead.version = expected.unwrap_or(0) + u64::from(!nothing || !claims.is_empty());
    Change { lead, expected, entries: change.entries, claims, events: change.events, outcomes }
}

/// Brings a lead up to the time and to a playbook version; `None` where nothing about it changes.
///
/// `refilled` is what it showed, counted anew from the timeline, where the version knows signals that the lead's does not.
#[must_use]
pub fn advance(
    lead: &Lead,
    playbook: &Playbook,
    version: u32,
    refilled: Option<Counted>,
    people: &People,
    now: Timestamp,
) -> Option<Change> {
    review(lead, playbook, version, refilled, Pace::AtOnce, people, now)
}

/// How leads that are ready go to sales in a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// What becomes ready is handed off.
    AtOnce,
    /// What becomes ready waits for its turn: a new playbook may make thousands ready on one day.
    Hold,
    /// What is ready and was never handed off waits for its turn: after an import of history.
    HoldAll,
    /// What waits is handed off, its turn has come.
    Release,
}

/// Brings a lead up to the time and to a playbook version, as [`advance`] does, at a pace that sales can follow.
#[must_use]
pub fn review(
    lead: &Lead,
    playbook: &Playbook,
    version: u32,
    refilled: Option<Counted>,
    pace: Pace,
    people: &People,
    now: Timestamp,
) -> Option<Change> {
    let mut next = lead.clone();
    let mut effects = Vec::new();
    if next.playbook_version != version {
        effects.push(Effect::PlaybookChanged { from: next.playbook_version, to: version });
        next.playbook_version = version;
    }
    if let Some(Counted { ledger, withheld }) = refilled {
        next.ledger = ledger;
        next.machines.withheld = withheld;
        next.counts_from = None;
    }
    machine::retain(&mut next, playbook);
    let settled = machine::settle(&mut next, playbook, now);
    next.ledger.retain(|key| playbook.signals.iter().any(|signal| signal.key == key));
    next.ledger_since.retain(|key| playbook.signals.iter().any(|signal| signal.key == key));
    let worker = Worker { playbook, people, now, entries: Vec::new(), events: Vec::new() };
    let hand_off = match pace {
        Pace::AtOnce | Pace::Hold if machine::waits(&next) => HandOff::Never,
        // A click that is a person's by now: this lead did something, it is none of many.
        Pace::AtOnce | Pace::Hold if settled => HandOff::WhenReady,
        Pace::AtOnce => HandOff::WhenNewlyReady,
        Pace::Hold => HandOff::Hold,
        Pace::HoldAll => HandOff::HoldAll,
        Pace::Release => HandOff::WhenHeld,
    };
    let owed = raise(&mut next, playbook, people, now);
    let handed = worker.evaluate(&mut next, now, hand_off, Some(lead.score), &mut effects);
    effects.extend(owed);
    effects.extend(moves(Some(lead), Cause::Time, &next, playbook, now.day()));
    routing::wait(&mut next, None, playbook, now.day());
    next.ledger = next.ledger.folded(playbook.horizon(now.day()));
    next.machines.withheld = next.machines.withheld.folded(playbook.horizon(now.day()));
    due(&mut next, playbook, people, now, now.plus(ASK_AGAIN_MS));
    // Numbers that fade by themselves are recomputed on read; they alone are no reason to write.
    effects.retain(
        |effect| !matches!(effect, Effect::ScoreChanged { old: Some(old), new } if old.label == new.label),
    );
    // A review that stands earlier than it need is no reason to write: it will find out when it comes.
    let early = lead.due_at.is_some_and(|due| due > now && next.due_at.is_none_or(|next| next >= due));
    let waits_alike = next.ready == lead.ready && next.held_for == lead.held_for;
    if effects.is_empty() && (early || next.due_at == lead.due_at) && waits_alike {
        return None;
    }
    Some(closed(lead, next, effects, handed, now))
}

/// Closes a review: a version more, and an entry that says what it changed, if there is anything to say.
fn closed(lead: &Lead, mut next: Lead, effects: Vec<Effect>, handed: Option<Slug>, now: Timestamp) -> Change {
    next.version = lead.version + 1;
    let delivery = DeliveryId::new("review", &format!("{} {}", lead.id, next.version));
    let entry = Entry {
        id: entry_id(now, delivery),
        at: now,
        recorded_at: now,
        by: "system".to_owned(),
        history: false,
        fact: Fact::Reviewed,
        effects,
        playbook_version: next.playbook_version,
    };
    let events = events(&entry, lead, &next, handed);
    let entries = if entry.effects.is_empty() { Vec::new() } else { vec![entry] };
    Change {
        lead: next,
        expected: Some(lead.version),
        entries,
        claims: Vec::new(),
        events,
        outcomes: Vec::new(),
    }
}

/// Brings a lead of the past up to a time at which nothing happened. What was is history: nobody is handed anything.
pub(crate) fn elapse(lead: &mut Lead, playbook: &Playbook, now: Timestamp) {
    let people = People::nobody();
    let worker = Worker { playbook, people, now, entries: Vec::new(), events: Vec::new() };
    let old_score = Some(lead.score);
    worker.evaluate(lead, now, HandOff::Never, old_score, &mut Vec::new());
}

/// When a lead that meets the definition is handed off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandOff {
    /// Not now.
    Never,
    /// Not now, nor does anything else come of it yet: it may turn out to be a machine's doing.
    Wait,
    /// If it did not meet it before: time or a new playbook made it ready.
    WhenNewlyReady,
    /// If it meets it.
    WhenReady,
    /// If it waits for its turn and still meets it.
    WhenHeld,
    /// Not now; it waits for its turn if it did not meet it before.
    Hold,
    /// Not now; it waits for its turn if it meets it.
    HoldAll,
}

struct Worker<'a> {
    playbook: &'a Playbook,
    people: &'a People,
    now: Timestamp,
    entries: Vec<Entry>,
    events: Vec<Event>,
}

impl Worker<'_> {
    /// Takes one fact in; `arriving` holds effects of the delivery as a whole, which go into the first entry written.
    fn take(&mut self, lead: &mut Lead, incoming: &Incoming, arriving: &mut Vec<Effect>) -> Outcome {
        if lead.remembers(incoming.delivery)
            || matches!(&incoming.fact, Fact::Activity(activity) if suppression::is_known(lead, activity, incoming))
        {
            return Outcome::Unchanged;
        }
        let quiet = incoming.history || self.now.since(incoming.occurred_at) > STALE_MS;
        let settled = !quiet && machine::settle(lead, self.playbook, self.now);
        let before = lead.clone();
        let mut effects = Vec::new();
        let mut new = true;
        let fact = dated(&incoming.fact, lead, incoming.occurred_at, quiet, self.playbook, self.people);
        let fact = match fact {
            Fact::Activity(activity) => Fact::Activity(machine::judged(activity, lead, incoming)),
            fact => fact,
        };
        match &fact {
            Fact::Captured(capture) => {
                new = capture_into(lead, capture, incoming, self.playbook, &mut effects);
                if capture.activity.is_some() {
                    lead.nurture.reacted(incoming.occurred_at);
                }
            }
            Fact::Activity(activity) => {
                let waits = machine::must_wait(activity, incoming, self.playbook, self.now);
                activity_into(lead, activity, incoming.occurred_at, self.playbook, waits);
                machine::remember(lead, activity, incoming, self.playbook, waits);
                if self.playbook.withheld(activity).is_none() {
                    if let Some(touch) = Touch::of(activity, incoming.occurred_at) {
                        lead.touches.take(touch);
                    }
                    content_into(lead, activity, incoming, self.playbook);
                }
                member_into(lead, activity, incoming);
                if !waits && self.playbook.withheld(activity).is_none() {
                    nurture::heard(lead, activity, incoming);
                }
                for consent in suppression::take(lead, activity, incoming) {
                    consent_into(lead, &consent, &incoming.by, &mut effects);
                }
            }
            Fact::Sales { what, by, .. } => {
                let fact = SalesFact {
                    at: incoming.occurred_at,
                    id: incoming.delivery,
                    by: by.clone(),
                    what: what.clone(),
                    ends: self.playbook.ends(what),
                };
                match self.sales(lead, fact, incoming.strict, &mut effects) {
                    Ok(inserted) => new = inserted,
                    Err(illegal) => {
                        *lead = before;
                        return illegal;
                    }
                }
            }
            Fact::Consent(consent) => consent_into(lead, consent, &incoming.by, &mut effects),
            Fact::Withdrawn { id, .. } => {
                if lead.withdrawn.contains(id) {
                    new = false;
                } else {
                    lead.withdrawn.push(*id);
                }
            }
            Fact::FollowUp { by, .. } => {
                let (at, id, what) = (incoming.occurred_at, incoming.delivery, Move::FollowedUp);
                new = insert(&mut lead.sales, SalesFact { at, id, by: by.clone(), what, ends: false });
            }
            Fact::NurturePaused { until, .. } => new = nurture::paused(lead, *until, incoming.occurred_at),
            Fact::MarketingFeedback { .. } | Fact::Reviewed => {}
        }
        if !quiet {
            lead.opt_in.hear(&before.consents, &lead.consents, self.now);
        }
        let says_nothing = !new && arriving.is_empty() && *lead == before;
        if says_nothing {
            return Outcome::Unchanged;
        }
        lead.created_at = lead.created_at.min(incoming.occurred_at);
        lead.recent.push(incoming.delivery);
        let fresh = arriving.contains(&Effect::Created);
        let mut all = std::mem::take(arriving);
        all.append(&mut effects);
        // What the lead did may hand it off; what was only said about it may only where that made it ready.
        // While a click waits to be told from a machine's, neither it nor what is said meanwhile hands the lead over.
        let own = self.is_own_doing(&fact, incoming, &before, lead);
        let hand_off = match (quiet, own || settled) {
            (true, _) => HandOff::Never,
            (false, false) if machine::waits_for(lead, incoming.delivery) => HandOff::Wait,
            (false, false) if machine::waits(lead) => HandOff::Never,
            (false, true) => HandOff::WhenReady,
            (false, false) => HandOff::WhenNewlyReady,
        };
        let known = if fresh { None } else { Some(&before) };
        let old_score = known.map(|known| known.score);
        let handed = self.evaluate(lead, incoming.occurred_at, hand_off, old_score, &mut all);
        let found = matches!(&incoming.fact, Fact::Sales { what: Move::Qualified, .. }) && !quiet;
        routing::wait(lead, found.then_some(incoming.delivery), self.playbook, self.now.day());
        all.extend(moves(known, Cause::Fact, lead, self.playbook, self.now.day()));
        let entry = Entry {
            id: entry_id(incoming.occurred_at, incoming.delivery),
            at: incoming.occurred_at,
            recorded_at: self.now,
            by: incoming.by.clone(),
            history: incoming.history,
            fact,
            effects: all,
            playbook_version: lead.playbook_version,
        };
        if !quiet {
            self.events.extend(events(&entry, &before, lead, handed));
        }
        let id = entry.id.clone();
        self.entries.push(entry);
        Outcome::Updated { entry: id }
    }

    /// Tells whether a fact is something that the lead did and that somebody asked to hear of: a signal, or a response.
    /// A profile that a system sends once more is neither, however much of it is new, unless it brings another touch; one
    /// that a person sends by itself is a response of this moment.
    fn is_own_doing(&self, fact: &Fact, incoming: &Incoming, before: &Lead, after: &Lead) -> bool {
        let heard = |activity: &Activity| {
            activity.is_own_doing()
                && self.playbook.withheld(activity).is_none()
                && !machine::must_wait(activity, incoming, self.playbook, self.now)
                && (activity.is_response() || self.playbook.signals_of(activity).next().is_some())
        };
        match fact {
            Fact::Captured(capture) => {
                let from = |touch: &Touch| {
                    (touch.channel.clone(), touch.campaign.clone(), touch.landing_page.clone())
                };
                let touched = capture.touch.as_ref().is_some_and(|touch| {
                    before.touches.last().is_none_or(|known| from(known) != from(touch))
                });
                let responded = incoming.strict && capture.responded;
                responded
                    || touched
                    || before.responded_at != after.responded_at
                    || capture.activity.as_ref().is_some_and(heard)
            }
            Fact::Activity(activity) => heard(activity),
            _ => false,
        }
    }

    fn sales(
        &self,
        lead: &mut Lead,
        fact: SalesFact,
        strict: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, Outcome> {
        if strict && holder(lead, &fact.what, fact.by.as_ref()).is_some() {
            return Err(Outcome::Illegal { stage: lead.stage, legal: lead.stage.legal() });
        }
        let id = fact.id;
        let newest = lead.sales.iter().all(|known| known.at <= fact.at || known.what.moves_nothing());
        if !insert(&mut lead.sales, fact) {
            return Ok(false);
        }
        let standing = lead.standing();
        if let Some(problem) = standing.impossible.iter().find(|problem| problem.id == id) {
            if strict && newest {
                return Err(Outcome::Illegal { stage: problem.stage, legal: problem.stage.legal() });
            }
            effects.push(Effect::Impossible { step: problem.step, stage: problem.stage });
        }
        Ok(true)
    }

    /// Brings everything that follows from the facts up to date, in the order in which one needs the other, and tells
    /// to whom the lead was handed off, if it was. `at` is the time of the fact that may have made it a lead.
    fn evaluate(
        &self,
        lead: &mut Lead,
        at: Timestamp,
        hand_off: HandOff,
        old_score: Option<Score>,
        effects: &mut Vec<Effect>,
    ) -> Option<Slug> {
        let today = self.now.day();
        let stage_before = lead.stage;
        let person_before = lead.person.clone();
        if !machine::waits(lead) && becomes_a_lead(lead, self.playbook, today) {
            lead.responded_at = Some(at);
        }
        lead.score = score(self.playbook, &lead.view(today));
        if old_score != Some(lead.score) {
            effects.push(Effect::ScoreChanged { old: old_score, new: lead.score });
        }
        lead.persona = persona(self.playbook, &View { score: Some(&lead.score), ..lead.view(today) })
            .map(|persona| persona.id.clone());
        self.stand(lead);
        let was_ready = lead.ready;
        lead.ready = self.is_ready(lead, today);
        let due = match hand_off {
            HandOff::Never | HandOff::Wait | HandOff::Hold | HandOff::HoldAll => false,
            HandOff::WhenNewlyReady => lead.ready && !was_ready,
            HandOff::WhenReady => lead.ready,
            HandOff::WhenHeld => lead.ready && lead.held_for.is_some(),
        };
        let newly_held = match hand_off {
            HandOff::Hold => lead.ready && !was_ready,
            HandOff::HoldAll => lead.ready,
            _ => false,
        };
        let mut handed = None;
        if due {
            let territory = self.playbook.territory(lead, today);
            let routed = qualify(self.playbook, territory, self.people, self.now);
            let (territory, owner) = (routed.territory.clone(), routed.to.clone());
            let hours = self.playbook.promises.first_answer_hours;
            let not_before = lead.standing().not_before;
            let promise_due_at = promised(&self.people.get(&owner).calendar, self.now, not_before, hours);
            let id = DeliveryId::new("hand-off", &format!("{} {} {}", lead.id, lead.cycle, self.now));
            let what = Move::MarketingQualified { owner: owner.clone(), promise_due_at };
            // Behind every fact that is known, also one whose sender's clock ran ahead.
            let at = lead.sales.last().map_or(self.now, |last| self.now.max(last.at.plus(1)));
            insert(&mut lead.sales, SalesFact { at, id, by: None, what, ends: false });
            self.stand(lead);
            lead.ready = self.is_ready(lead, today);
            effects.push(Effect::HandedOff { to: owner.clone(), territory, promise_due_at });
            if !routed.passed.is_empty() {
                effects.push(Effect::Routed(routed));
            }
            handed = Some(owner);
        }
        // Who waits, waits for whoever qualifies its country by now, and only as long as it is ready.
        let held = lead.ready && (newly_held || lead.held_for.is_some());
        let held_for = held.then(|| self.playbook.qualifier(lead, today).1.clone());
        if let Some(owner) = held_for.clone().filter(|_| lead.held_for.is_none()) {
            effects.push(Effect::Held { owner });
        }
        lead.held_for = held_for;
        if person_before != lead.person {
            lead.person_since = lead.person.is_some().then_some(self.now);
        }
        if stage_before != lead.stage {
            let skipped = stage_before.skipped(lead.stage);
            effects.push(Effect::StageChanged { from: stage_before, to: lead.stage, skipped });
        }
        lead.phase = phase(self.playbook, &lead.evaluated(today));
        lead.segments = segments(self.playbook, &lead.evaluated(today));
        if hand_off != HandOff::Wait {
            enrol(lead, self.playbook, self.now, effects);
        }
        handed
    }

    /// Folds the facts and lets the lead stand where they put it.
    fn stand(&self, lead: &mut Lead) {
        let standing = lead.standing();
        lead.promise_due_at = standing.promise_due_at;
        lead.stage = standing.stage;
        lead.stage_since = standing.since;
        lead.cycle = standing.cycle;
        lead.person = standing.person;
        if lead.person.is_none() && lead.stage.in_inbox() {
            // Sales opened it without anybody's name: it is the qualifier's, so that somebody owns it.
            lead.person = Some(self.playbook.qualifier(lead, self.now.day()).1.clone());
        }
        let counts_from =
            standing.returned_at.max(standing.not_before.filter(|_| standing.returned_at.is_some()));
        if lead.counts_from != counts_from {
            lead.counts_from = counts_from;
            lead.ledger_since = counts_from.map(|at| lead.ledger.after(at.day())).unwrap_or_default();
        }
    }

    fn is_ready(&self, lead: &Lead, today: Day) -> bool {
        is_ready(lead, self.playbook, today)
    }
}

fn events(entry: &Entry, before: &Lead, lead: &Lead, handed: Option<Slug>) -> Vec<Event> {
    let mut events = Vec::new();
    let anothers = handed.is_none() && before.person.is_some() && before.person != lead.person;
    let given = match &entry.fact {
        Fact::Sales { what: Move::Assigned { to, .. }, .. } => anothers || lead.person.as_ref() == Some(to),
        _ => anothers,
    };
    let mut add = |kind: EventKind, detail: Vec<(&'static str, String)>| {
        // Numbered: one fact may withdraw consent for several purposes.
        let id = format!("{}-{}-{}", entry.id, events.len(), kind.as_str());
        events.push(Event { id, kind, at: entry.at, detail });
    };
    if entry.effects.contains(&Effect::Created) {
        add(EventKind::Captured, vec![("stage", lead.stage.to_string())]);
    }
    if let Some(owner) = handed {
        add(EventKind::BecameQualified, vec![("label", lead.score.label.to_string())]);
        add(EventKind::HandedOff, vec![("owner", owner.to_string()), ("cycle", lead.cycle.to_string())]);
    }
    for effect in &entry.effects {
        match effect {
            Effect::PromiseDueSoon { owner, due_at } => add(
                EventKind::PromiseDueSoon,
                vec![("owner", owner.to_string()), ("promise_due_at", due_at.to_string())],
            ),
            Effect::PromiseBroken { owner, .. } => {
                add(EventKind::PromiseBroken, vec![("owner", owner.to_string())]);
            }
            Effect::StageChanged { from, to, .. } => {
                add(EventKind::StageChanged, vec![("from", from.to_string()), ("to", to.to_string())]);
            }
            Effect::ConsentChanged { purpose, status: ConsentStatus::Withdrawn } => {
                add(EventKind::ConsentWithdrawn, vec![("purpose", purpose.as_str().to_owned())]);
            }
            _ => {}
        }
    }
    // Whatever gave it to somebody else: a fact that says so, that they took it, a promise that was broken, or one that
    // was kept after all.
    if let Some(owner) = lead.person.as_ref().filter(|_| given) {
        add(EventKind::Assigned, vec![("owner", owner.to_string())]);
    }
    if let Fact::Sales { what: what @ (Move::Won { .. } | Move::Lost { .. }), .. } = &entry.fact {
        add(EventKind::Outcome, vec![("outcome", what.step().as_str().to_owned())]);
    }
    events
}
