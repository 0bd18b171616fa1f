//! Who is in which program, and why.
//!
//! A lead is in the first program by [`place`] that takes it: the lowest priority, then the first by id, since the order of
//! a playbook's lists says nothing. Who is in one stays until it ends or one that comes first takes the lead; which others
//! would have taken it is said at its entry, so that the arbitration is no secret.
//!
//! Everything goes by the day, as conditions do, so that the day on which time alone moves a lead can be found ahead.

use super::{Enrolment, Exit, Nurture, Program, Whose};
use crate::change::Effect;
use crate::condition::{Condition, View};
use crate::consent::Purpose;
use crate::identity::Slug;
use crate::lead::Lead;
use crate::permission::may_write;
use crate::playbook::Playbook;
use crate::reason::{Reason, deciding};
use crate::stage::Step;
use crate::time::{Day, Timestamp};

/// Gives a program's place among the programs.
#[must_use]
pub fn place(program: &Program) -> (u16, &Slug) {
    (program.priority, &program.id)
}

/// Where a lead belongs on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The program that it is in then.
    pub program: Option<&'a Slug>,
    /// Why it leaves the one that it is in, if it does.
    pub exit: Option<Exit>,
    /// Whether it rests from then on.
    pub rests: bool,
}

/// Finds where a lead belongs on a day; `view` shows all that was found of it for that day.
#[must_use]
pub fn placed<'a>(lead: &'a Lead, playbook: &'a Playbook, view: &View<'_>) -> Placed<'a> {
    let today = view.today;
    let current = lead.nurture.program.as_ref();
    let takes = |program: &&Program| takes(program, lead, playbook, view);
    let silent = is_silent(lead, playbook, today);
    let ends = |id: &Slug| match playbook.program(id.as_str()) {
        None => Some(Exit::Retired),
        Some(program) => ends(program, lead, playbook, view).or(silent.then_some(Exit::Silent)),
    };
    let rests = silent || lead.nurture.rests_since.is_some();
    match current.map(|id| (id, ends(id))) {
        Some((id, None)) => {
            let before = |program: &&Program| {
                playbook.program(id.as_str()).is_some_and(|current| place(program) < place(current))
            };
            match playbook.programs.iter().filter(before).find(takes) {
                Some(another) => {
                    Placed { program: Some(&another.id), exit: Some(Exit::Another), rests: false }
                }
                None => Placed { program: Some(id), exit: None, rests: false },
            }
        }
        left => {
            let exit = left.and_then(|(_, exit)| exit);
            let next = playbook.programs.iter().filter(|_| !rests).find(|program| {
                // What it leaves on a day takes it again on a later one at the soonest.
                takes(program) && (exit.is_none() || Some(&program.id) != current)
            });
            Placed { program: next.map(|program| &program.id), exit, rests }
        }
    }
}

/// Says why a lead leaves a program that it is in.
fn ends(program: &Program, lead: &Lead, playbook: &Playbook, view: &View<'_>) -> Option<Exit> {
    let met = |condition: &Option<Condition>| condition.as_ref().is_some_and(|condition| condition.met(view));
    if Whose::of(lead.stage) != Some(program.whose) {
        Some(Exit::Stage)
    } else if may_write(lead, Purpose::Marketing, playbook).is_err() {
        Some(Exit::Permission)
    } else if met(&program.goal) {
        Some(Exit::Goal)
    } else if met(&program.exit) {
        Some(Exit::Condition)
    } else if !program.audience.met(view) || !was_given_back(program, lead) {
        Some(Exit::Audience)
    } else {
        None
    }
}

/// Tells whether a program takes a lead that is not in it.
fn takes(program: &Program, lead: &Lead, playbook: &Playbook, view: &View<'_>) -> bool {
    let again = || match lead.nurture.enrolments.get(&program.id).and_then(|enrolment| enrolment.left) {
        None => true,
        Some((at, _)) => {
            program.again_after_days.is_some_and(|days| at.day().plus(i32::from(days)) <= view.today)
        }
    };
    // A lead that is ready waits for its turn with sales; no program takes it meanwhile.
    let held = program.whose == Whose::Marketing && lead.held_for.is_some();
    !held && again() && ends(program, lead, playbook, view).is_none()
}

/// Tells whether a lead was given back for one of the reasons that a program asks for.
fn was_given_back(program: &Program, lead: &Lead) -> bool {
    program.given_back_for.is_empty()
        || given_back(lead).is_some_and(|reason| program.given_back_for.contains(reason))
}

/// Gives the reason for which sales last gave a lead back, while it is with marketing.
#[must_use]
pub fn given_back(lead: &Lead) -> Option<&str> {
    lead.counts_from?;
    let facts = lead.sales.iter().rev().filter(|fact| !lead.withdrawn.contains(&fact.id));
    let gives_back = |step: Step| matches!(step, Step::Reject | Step::NotReady | Step::Lose);
    facts.filter(|fact| gives_back(fact.what.step())).find_map(|fact| fact.what.reason())
}

/// Tells whether a lead reacted to nothing, not even to the last try.
fn is_silent(lead: &Lead, playbook: &Playbook, today: Day) -> bool {
    let Some(sunset) = &playbook.nurture.sunset else { return false };
    let tried = lead.nurture.unanswered > sunset.after_mails;
    tried && lead.nurture.sent.last().is_some_and(|at| at.day().plus(i32::from(sunset.wait_days)) <= today)
}

/// Brings a lead into the program that it belongs to, and says what changed.
pub(crate) fn enrol(lead: &mut Lead, playbook: &Playbook, now: Timestamp, effects: &mut Vec<Effect>) {
    if playbook.programs.is_empty() && lead.nurture.program.is_none() {
        return;
    }
    let view = lead.evaluated(now.day());
    let Placed { program, exit, rests } = placed(lead, playbook, &view);
    let (program, current) = (program.cloned(), lead.nurture.program.clone());
    let of = |id: &Option<Slug>| playbook.program(id.as_ref()?.as_str());
    let (left, entered) = (of(&current), of(&program));
    let why = |condition: Option<&Condition>| -> Vec<Reason> {
        condition.map(|condition| deciding(condition, &view)).unwrap_or_default()
    };
    let mut said = Vec::new();
    if let (Some(exit), Some(id)) = (exit, &current) {
        let condition = left.and_then(|left| match exit {
            Exit::Goal => left.goal.as_ref(),
            Exit::Condition => left.exit.as_ref(),
            Exit::Audience => Some(&left.audience),
            _ => None,
        });
        said.push(Effect::ProgramLeft { program: id.clone(), exit, because: why(condition) });
    }
    if let Some(entered) = entered.filter(|_| program != current) {
        let others = playbook.programs.iter().filter(|other| {
            other.id != entered.id
                && Some(&other.id) != current.as_ref()
                && takes(other, lead, playbook, &view)
        });
        let known = lead.nurture.enrolments.get(&entered.id);
        said.push(Effect::ProgramEntered {
            program: entered.id.clone(),
            held_out: known.map_or_else(|| entered.holds_out(lead.id.as_str()), |known| known.held_out),
            because: why(Some(&entered.audience)),
            over: others.map(|other| other.id.clone()).collect(),
            given_back: given_back(lead).map(str::to_owned),
        });
    }
    let (persona, phase) = (lead.persona.clone(), lead.phase);
    let nurture = &mut lead.nurture;
    for effect in &said {
        match effect {
            Effect::ProgramLeft { program, exit, .. } => leave(nurture, program, *exit, now),
            Effect::ProgramEntered { program, held_out, .. } => {
                let share = entered.map_or(0, |entered| entered.holdout_percent);
                enter(nurture, program, (*held_out, share), (persona.clone(), phase), now);
            }
            _ => {}
        }
    }
    if rests && nurture.rests_since.is_none() {
        nurture.rests_since = Some(now);
    }
    nurture.program = program;
    effects.extend(said);
}

fn leave(nurture: &mut Nurture, program: &Slug, exit: Exit, now: Timestamp) {
    if let Some(enrolment) = nurture.enrolments.get_mut(program) {
        enrolment.left = Some((now, exit));
    }
    (nurture.wait_until, nurture.exhausted) = (None, None);
}

fn enter(
    nurture: &mut Nurture,
    program: &Slug,
    (held_out, share): (bool, u8),
    (persona, phase): (Option<Slug>, Option<crate::phase::Phase>),
    now: Timestamp,
) {
    if !nurture.enrolments.contains_key(program) {
        nurture.make_room();
    }
    let (eligible_at, entered_at) = (now, now);
    let new =
        || Enrolment { eligible_at, held_out, share, persona, phase, entered_at, left: None, messages: 0 };
    let enrolment = nurture.enrolments.entry(program.clone()).or_insert_with(new);
    (enrolment.entered_at, enrolment.left) = (now, None);
    (nurture.wait_until, nurture.exhausted) = (None, None);
}

/// Takes a lead out of its program because nothing is left to send.
pub(crate) fn move_on(lead: &mut Lead, now: Timestamp) -> Option<Effect> {
    let program = lead.nurture.program.take()?;
    leave(&mut lead.nurture, &program, Exit::Exhausted, now);
    Some(Effect::ProgramLeft { program, exit: Exit::Exhausted, because: Vec::new() })
}

/// Gives the first day after `after` on which a program may take a lead again, or one that reacts to nothing rests.
#[must_use]
pub fn next_turn(lead: &Lead, playbook: &Playbook, after: Day) -> Option<Day> {
    let again = playbook.programs.iter().filter_map(|program| {
        let (at, _) = lead.nurture.enrolments.get(&program.id)?.left?;
        Some(at.day().plus(i32::from(program.again_after_days?)))
    });
    let silent = playbook.nurture.sunset.as_ref().filter(|s| lead.nurture.unanswered > s.after_mails);
    let rests =
        silent.and_then(|sunset| Some(lead.nurture.sent.last()?.day().plus(i32::from(sunset.wait_days))));
    again.chain(rests).filter(|day| *day > after).min()
}
