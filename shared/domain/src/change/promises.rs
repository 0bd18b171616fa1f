//! What was promised when, and what has to be said of it: facts that only Leadloop itself states.

use super::{Effect, Fact};
use crate::lead::Lead;
use crate::playbook::Playbook;
use crate::promise::{People, Turn, clocks, running, turns};
use crate::sales::{DeliveryId, Move, SalesFact, insert};
use crate::time::Timestamp;

/// Writes into an assignment by when whoever gets the lead answers it, where an answer is owed. What happened long ago
/// (`quiet`) starts no clock and moves none. The clock is read as it stood at that moment, so that what is known already
/// of later ones makes no difference.
pub(super) fn dated(
    fact: &Fact,
    lead: &Lead,
    at: Timestamp,
    quiet: bool,
    playbook: &Playbook,
    people: &People,
) -> Fact {
    let mut fact = fact.clone();
    if let Fact::Sales { what: Move::Assigned { to, promise_due_at }, .. } = &mut fact
        && !quiet
    {
        let clock = clocks(turns(lead, None).into_iter().take_while(|(then, _)| *then <= at)).pop();
        let hours = playbook.promises.first_answer_hours;
        *promise_due_at = clock.and_then(|clock| clock.moved(to, at, people, hours));
    }
    fact
}

/// Records what has to be said of a promise by now, once: that it is due soon, or that it was broken and who has the lead
/// since.
pub(super) fn raise(lead: &mut Lead, playbook: &Playbook, people: &People, now: Timestamp) -> Option<Effect> {
    let clock = running(lead)?;
    let owner = lead.person.clone()?;
    let (what, effect) = match clock.raise(people, &playbook.promises, now)? {
        Turn::DueSoonRaised => {
            (Move::PromiseDueSoon, Effect::PromiseDueSoon { owner, due_at: lead.promise_due_at? })
        }
        Turn::LapseRaised { to } => {
            (Move::PromiseBroken { to: to.clone() }, Effect::PromiseBroken { owner, to })
        }
        _ => return None,
    };
    let id = DeliveryId::new("promise", &format!("{} {} {now}", lead.id, what.step().as_str()));
    // Behind every fact that is known, also one whose sender's clock ran ahead.
    let at = lead.sales.last().map_or(now, |last| now.max(last.at.plus(1)));
    insert(&mut lead.sales, SalesFact { at, id, by: None, what, ends: false });
    Some(effect)
}
