//! Whether a lead is ready, and on which day time alone changes that or anything else about it.

use crate::condition::{Level, View};
use crate::evaluation::Evaluation;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::machine::settles_at;
use crate::nurture::enrol;
use crate::persona::persona;
use crate::playbook::{LeadWhen, Playbook};
use crate::promise::{People, running};
use crate::score::{Engagement, score};
use crate::stage::Stage;
use crate::time::{Day, SECOND_MS, Timestamp};

/// How many days ahead a score is looked at to find when it changes by itself.
pub const LOOK_AHEAD_DAYS: i32 = 400;

/// Tells whether a contact is a lead by now, where the playbook has a condition for that.
pub(super) fn becomes_a_lead(lead: &Lead, playbook: &Playbook, today: Day) -> bool {
    lead.responded_at.is_none()
        && matches!(&playbook.lead_when, LeadWhen::Met(condition) if condition.met(&lead.view(today)))
}

/// Tells whether a lead that marketing owns meets the definition. For one that sales gave back only what it did since
/// then counts, and it must have done something that a signal listens for and that lifts it out of the lowest band: who
/// they are was known before.
#[must_use]
pub fn is_ready(lead: &Lead, playbook: &Playbook, today: Day) -> bool {
    if !matches!(lead.stage, Stage::Inquiry | Stage::Nurturing) {
        return false;
    }
    let mut view = lead.view(today);
    if lead.counts_from.is_some() {
        view.ledger = &lead.ledger_since;
    }
    let score = score(playbook, &view);
    let idle = lead.ledger_since.is_empty() || score.label.engagement == Engagement::Four;
    if lead.counts_from.is_some() && idle {
        return false;
    }
    if !playbook.marketing_qualified.labels.contains(&score.label) {
        return false;
    }
    let Some(condition) = &playbook.marketing_qualified.when else { return true };
    view.score = Some(&score);
    // Whom it mirrors, it does by all that it did, also before sales gave it back.
    let mirrors = (condition.level() >= Level::Persona).then(|| mirrors(lead, playbook, today)).flatten();
    condition.met(&View { persona: mirrors, ..view })
}

fn mirrors<'a>(lead: &Lead, playbook: &'a Playbook, today: Day) -> Option<&'a Slug> {
    let facts = lead.view(today);
    let score = score(playbook, &facts);
    persona(playbook, &View { score: Some(&score), ..facts }).map(|persona| &persona.id)
}

/// Finds the first day on which the label, the persona, the phase, the segments, the readiness or whether it is a lead at
/// all differ with nothing happening, or the moment before at which something has to be said of a promise.
#[must_use]
pub fn next_review(lead: &Lead, playbook: &Playbook, people: &People, now: Timestamp) -> Option<Timestamp> {
    let owed = running(lead).and_then(|clock| clock.next_at(people, &playbook.promises));
    // The index knows whole seconds.
    let owed = owed.map(|at| Timestamp::from_secs(at.plus(SECOND_MS - 1).secs()));
    let settles = settles_at(lead);
    owed.into_iter().chain(settles).chain(next_difference(lead, playbook, now)).min()
}

fn next_difference(lead: &Lead, playbook: &Playbook, now: Timestamp) -> Option<Timestamp> {
    let today = now.day();
    let end = today.plus(LOOK_AHEAD_DAYS);
    let fades_on = quiet_from(lead, playbook).is_some_and(|quiet| quiet > end);
    first_difference(lead, playbook, today, end)
        .or_else(|| if fades_on { Some(end) } else { next_turn(lead, playbook, end) })
        .map(Day::start)
}

/// Gives the day from which counts of signals and points stay as they are while nothing happens: every window has run
/// out, and every point has faded. None where it never did anything.
fn quiet_from(lead: &Lead, playbook: &Playbook) -> Option<Day> {
    let last = lead.ledger.iter().map(|(_, counts)| counts.last()).max();
    last.map(|last| last.plus(playbook.lookback_days + 1))
}

/// Gives the first day after `after` on which the test of a day may turn out otherwise: a date gets too old or comes
/// round again, a stage lasts long enough.
fn next_turn(lead: &Lead, playbook: &Playbook, after: Day) -> Option<Day> {
    let view = lead.view(after);
    // Whether a lead that sales gave back is ready goes by what it did since.
    let views = [view, View { ledger: &lead.ledger_since, ..view }];
    let mut next: Option<Day> = None;
    for condition in playbook.conditions() {
        condition.visit(&mut |part| {
            let turns = views.iter().filter_map(|view| part.next_turn(view));
            next = next.into_iter().chain(turns).min();
        });
    }
    next.into_iter().chain(enrol::next_turn(lead, playbook, after)).min()
}

/// Finds the first day after `after` and up to `through` on which time alone changes the lead.
pub(crate) fn first_difference(lead: &Lead, playbook: &Playbook, after: Day, through: Day) -> Option<Day> {
    // Points may fade on any day, so each is looked at; later only those on which the test of a day turns.
    let quiet = quiet_from(lead, playbook).map_or(after, |quiet| quiet.min(through).max(after));
    let daily = (after.0.saturating_add(1)..=quiet.0).map(Day);
    let turns =
        std::iter::successors(next_turn(lead, playbook, quiet), |day| next_turn(lead, playbook, *day));
    let mut days = daily.chain(turns.take_while(|day| *day <= through)).peekable();
    days.peek()?;
    let ready = is_ready(lead, playbook, after);
    days.find(|day| {
        let then = Evaluation::of(lead, playbook, *day);
        then.score.label != lead.score.label
            || then.persona != lead.persona
            || then.phase != lead.phase
            || then.segments != lead.segments
            || becomes_a_lead(lead, playbook, *day)
            || is_ready(lead, playbook, *day) != ready
            || enrol::placed(lead, playbook, &then.view(lead, *day)).program != lead.nurture.program.as_ref()
    })
}
