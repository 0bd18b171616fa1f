//! The points that were withheld since machines showed what they are for.
//!
//! They are what a rule would give by itself, before any cap of its group, if the withheld hits counted, less what it gives.
//! Their lines have no points of their own, so that the lines of an explanation still add up to the score.

use super::{Basis, Line, LineKind, Part, Rule};
use crate::condition::{Condition, View};
use crate::identity::Slug;
use crate::ledger::SignalKey;
use crate::machine::withheld_keys;
use crate::playbook::{EngagementRule, How, Playbook};

/// Gives a line for each rule that would give other points, in the order of the playbook.
pub(super) fn lines(playbook: &Playbook, view: &View<'_>) -> Vec<Line> {
    if view.withheld.is_empty() {
        return Vec::new();
    }
    // As if all of it counted, and what that adds: signal, title, rule, how often.
    let mut ledger = view.ledger.clone();
    let mut hits = Vec::new();
    for (signal, rule, key) in withheld_keys(playbook) {
        let Some(counts) = view.withheld.get(key) else { continue };
        let mut older = counts.total;
        for (day, n) in counts.days {
            ledger.add(signal.key, *day, *n);
            older = older.saturating_sub(*n);
        }
        if older > 0 {
            ledger.add(signal.key, counts.first, older);
        }
        let until = counts.until(view.today);
        if until > 0 {
            hits.push((signal.key, signal.title.as_str(), rule, until));
        }
    }
    let as_if = View { ledger: &ledger, ..*view };
    let groups = (playbook.fit.iter())
        .flat_map(|group| group.rules.iter().map(|rule| (Part::Fit, &group.id, Rule::Fit(rule))))
        .chain(playbook.engagement.iter().flat_map(|group| {
            group.rules.iter().map(|rule| (Part::Engagement, &group.id, Rule::Engagement(rule)))
        }));
    let line = |(part, group, rule): (Part, &Slug, Rule<'_>)| {
        let points = rule.net(playbook, &as_if).1 - rule.net(playbook, view).1;
        if points == 0 {
            return None;
        }
        let asked = asked(rule);
        let mut by = Vec::new();
        let mut because: Vec<String> = Vec::new();
        for (_, title, machine, n) in hits.iter().filter(|(key, ..)| asked.contains(key)) {
            because.push(format!("{n} × {title}, by machines ({})", machine.as_str()));
            match by.iter_mut().find(|(known, _)| known == machine) {
                Some((_, sum)) => *sum += n,
                None => by.push((*machine, *n)),
            }
        }
        Some(Line {
            part,
            kind: LineKind::Withheld,
            group: Some(group.clone()),
            rule: Some(rule.id().clone()),
            points: 0,
            because: because.join("; "),
            basis: Basis::Withheld { points, hits: by },
        })
    };
    groups.filter_map(line).collect()
}

/// Gives the signals that a rule looks at.
fn asked(rule: Rule<'_>) -> Vec<SignalKey> {
    if let Rule::Engagement(EngagementRule { how: How::PerHit { key, .. }, .. }) = rule {
        return vec![*key];
    }
    let mut keys = Vec::new();
    if let Some(condition) = rule.when() {
        condition.visit(&mut |part| {
            if let Condition::Signal { key, .. } | Condition::Seen { key, .. } = part {
                keys.push(*key);
            }
        });
    }
    keys
}
