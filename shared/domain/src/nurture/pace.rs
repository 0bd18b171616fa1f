//! When the next mail may go.
//!
//! Three clocks must all have run out: the program's own (its first mail so many days after the entry, then so many days
//! after the latest mail of any program), the week's (so many mails in any seven days, of all programs together), and
//! whatever sales or an empty shelf asked for. Days are of 24 hours here, so that the gap is what it says, also where a
//! clock is put forward. Then the moment has to lie in the hours in which mails may go, in each of the lead's zones, and on
//! no holiday; everything outside of them is quiet. Whoever sends may be late, into the night: what is late waits for the next
//! moment that suits.

use super::{LEASE_MS, Mail, Program, days_ms, zones};
use crate::calendar::Calendar;
use crate::lead::Lead;
use crate::nurture::opt_in;
use crate::playbook::Playbook;
use crate::time::Timestamp;

/// The time of a week, in milliseconds.
const WEEK_MS: i64 = 7 * crate::time::DAY_MS;
/// How often a moment is moved on until it suits in every zone of a country: a few weeks of days.
const TRIES: usize = 60;

/// Gives the moment from which the next mail of the lead's program may go, or an open claim ends; none where nothing is to
/// be sent: it is in no program, or held out.
#[must_use]
pub fn next_at(lead: &Lead, playbook: &Playbook, now: Timestamp) -> Option<Timestamp> {
    if let Some(sending) = &lead.nurture.sending {
        return Some(sending.at.plus(LEASE_MS));
    }
    let asks = opt_in::owed_at(lead, now).map(|at| lead.nurture.wait_until.map_or(at, |wait| at.max(wait)));
    let mails = due_program(lead, playbook).and_then(|program| mail_at(lead, program, playbook, now));
    asks.into_iter().chain(mails).min()
}

/// Gives the program whose next mail is to be sent to a lead; none where it is in none, or held out.
#[must_use]
pub fn due_program<'a>(lead: &Lead, playbook: &'a Playbook) -> Option<&'a Program> {
    let held_out = lead.nurture.enrolment().is_none_or(|enrolment| enrolment.held_out);
    let program = lead.nurture.program.as_ref().filter(|_| !held_out)?;
    playbook.program(program.as_str())
}

/// Gives the first moment at which a program's next mail may go, or could have gone if it still may.
fn mail_at(lead: &Lead, program: &Program, playbook: &Playbook, now: Timestamp) -> Option<Timestamp> {
    let nurture = &lead.nurture;
    // Behind the last try nothing goes until the lead does something, or rests.
    if playbook.nurture.sunset.as_ref().is_some_and(|sunset| nurture.unanswered > sunset.after_mails) {
        return None;
    }
    let first = nurture.enrolment()?.entered_at.plus(days_ms(program.first_after_days));
    let gap = nurture.sent.last().map(|last| last.plus(days_ms(program.gap_days)));
    // With `most` mails in any week, the next may go a week after the one that was `most` mails ago.
    let most = usize::from(playbook.nurture.most_per_week);
    let week = nurture.sent.len().checked_sub(most).and_then(|at| nurture.sent.get(at));
    let paused = nurture.paused.map(|(until, _)| until);
    let clocks = [gap, week.map(|at| at.plus(WEEK_MS)), paused, nurture.wait_until, nurture.exhausted];
    let from = clocks.into_iter().flatten().fold(first, Timestamp::max);
    let at = suits(lead, program, playbook, from)?;
    if at < now && !is_open(lead, program, playbook, now) {
        suits(lead, program, playbook, now)
    } else {
        Some(at)
    }
}

/// Tells whether a program's mails may go to a lead at a moment.
fn is_open(lead: &Lead, program: &Program, playbook: &Playbook, at: Timestamp) -> bool {
    suits(lead, program, playbook, at) == Some(at)
}

/// Gives the first moment from one on that lies in the hours in which a program's mails may go to a lead.
#[must_use]
pub fn suits(lead: &Lead, program: &Program, playbook: &Playbook, from: Timestamp) -> Option<Timestamp> {
    let rules = &playbook.nurture;
    let hours = program.hours.as_ref().unwrap_or(&rules.hours);
    let zones = zones::of(lead, &playbook.timezone);
    let calendars: Vec<Calendar> =
        zones.into_iter().map(|zone| Calendar::new(zone, hours.clone(), rules.holidays.clone())).collect();
    let mut at = from;
    for _ in 0..TRIES {
        let moved = calendars.iter().try_fold(at, |at, calendar| calendar.next_working(at))?;
        if moved == at {
            return Some(at);
        }
        at = moved;
    }
    // No moment suits in every zone: the hours are too few for so wide a country. The first zone decides.
    calendars.first()?.next_working(from)
}

/// Tells whether the mail that somebody claimed may still go: nothing about the lead ended it meanwhile, and it is not
/// quiet by now.
#[must_use]
pub fn may_go(lead: &Lead, mail: &Mail, playbook: &Playbook, now: Timestamp) -> bool {
    match mail {
        Mail::OptIn => opt_in::owed(lead, now).is_some(),
        Mail::Program { program, .. } => {
            let due = due_program(lead, playbook).filter(|due| due.id == *program);
            due.is_some_and(|due| is_open(lead, due, playbook, now)) && !lead.nurture.is_paused(now)
        }
    }
}
