//! Which segments a lead is in, and what each part of a condition does to a list.

use crate::condition::{Condition, View};
use crate::identity::Slug;
use crate::playbook::Playbook;
use std::collections::BTreeSet;

/// Evaluates every segment of the playbook, each after those that it refers to.
#[must_use]
pub fn segments(playbook: &Playbook, view: &View<'_>) -> BTreeSet<Slug> {
    let mut found = BTreeSet::new();
    for segment in &playbook.segments {
        if segment.when.met(&View { segments: &found, ..*view }) {
            found.insert(segment.id.clone());
        }
    }
    found
}

/// What one part of a condition did to the leads that were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Kept {
    /// Where the part stands in the condition, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// Leads that meet it.
    pub met: u64,
    /// Leads that do not.
    pub not_met: u64,
    /// Leads of whom it cannot be known.
    pub not_known: u64,
    /// For a line of the outermost `all`: leads that meet this line and all before it.
    pub left: Option<u64>,
    /// For a line of the outermost `all`: leads that meet every other line, and that this one alone throws away.
    pub drops_alone: Option<u64>,
}

/// Counts, part by part, whom a condition keeps: which line throws away whom.
#[derive(Clone, Debug)]
pub struct Sieve<'a> {
    condition: &'a Condition,
    parts: Vec<(&'a Condition, Kept)>,
}

impl<'a> Sieve<'a> {
    /// Takes a condition apart.
    #[must_use]
    pub fn new(condition: &'a Condition) -> Self {
        let mut sieve = Self { condition, parts: Vec::new() };
        sieve.take_apart(condition, String::new());
        for (at, _) in lines(condition).iter().enumerate() {
            let pointer = format!("/all/{at}");
            if let Some((_, kept)) = sieve.parts.iter_mut().find(|(_, kept)| kept.pointer == pointer) {
                (kept.left, kept.drops_alone) = (Some(0), Some(0));
            }
        }
        sieve
    }

    fn take_apart(&mut self, condition: &'a Condition, pointer: String) {
        self.parts.push((condition, Kept { pointer: pointer.clone(), ..Kept::default() }));
        let (word, inner): (&str, &[Condition]) = match condition {
            Condition::All(parts) => ("all", parts),
            Condition::Any(parts) => ("any", parts),
            Condition::Not(part) => {
                self.take_apart(part, format!("{pointer}/not"));
                return;
            }
            _ => return,
        };
        for (at, part) in inner.iter().enumerate() {
            self.take_apart(part, format!("{pointer}/{word}/{at}"));
        }
    }

    /// Lets a lead fall through, and tells whether the whole keeps it.
    pub fn add(&mut self, view: &View<'_>) -> bool {
        let lines: Vec<bool> = lines(self.condition).iter().map(|line| line.met(view)).collect();
        let thrown = lines.iter().filter(|met| !**met).count();
        let (mut line, mut so_far) = (0, true);
        for (part, kept) in &mut self.parts {
            match part.eval(view) {
                Some(true) => kept.met += 1,
                Some(false) => kept.not_met += 1,
                None => kept.not_known += 1,
            }
            if let (Some(left), Some(alone)) = (&mut kept.left, &mut kept.drops_alone) {
                so_far &= lines.get(line) == Some(&true);
                *left += u64::from(so_far);
                *alone += u64::from(thrown == 1 && lines.get(line) == Some(&false));
                line += 1;
            }
        }
        self.condition.met(view)
    }

    /// Gives what each part did, the whole first, each before its own parts.
    #[must_use]
    pub fn kept(self) -> Vec<Kept> {
        self.parts.into_iter().map(|(_, kept)| kept).collect()
    }
}

/// Gives the lines of a condition whose outermost word is `all`.
fn lines(condition: &Condition) -> &[Condition] {
    if let Condition::All(lines) = condition { lines } else { &[] }
}

/// Makes a text harmless for spreadsheets, which run a cell as a formula when it starts with `=`, `+`, `-`, `@`, a tab
/// or a line break, by a leading apostrophe (OWASP, "CSV Injection").
#[must_use]
pub fn harmless_cell(text: &str) -> std::borrow::Cow<'_, str> {
    let first = text.trim_start_matches([' ', '\u{a0}', '\u{feff}']).chars().next().or(text.chars().next());
    // The full-width forms are taken for the plain ones by some spreadsheets.
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '|' | '%' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}").into()
        }
        _ => text.into(),
    }
}

/// Makes a phone number harmless for spreadsheets as [`harmless_cell`] does, but leaves one in E.164 as it is: `+` with
/// digits only is a number and no formula, and an apostrophe before it is dialled by nobody.
#[must_use]
pub fn harmless_phone(text: &str) -> std::borrow::Cow<'_, str> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        text.into()
    } else {
        harmless_cell(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_left_alone_and_what_only_begins_as_one_is_not() {
        assert_eq!(harmless_phone("+436641234567"), "+436641234567");
        for bad in ["+", "+43+1", "+43*2", "+43 664", "++43", "+A1", "=43", "+٤٣"] {
            assert!(harmless_phone(bad).starts_with('\''), "{bad:?}");
        }
    }

    #[test]
    fn cells_that_a_spreadsheet_would_run_are_made_harmless() {
        for bad in ["=1+1", "+43", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"] {
            assert!(harmless_cell(bad).starts_with('\''), "{bad:?}");
        }
        for good in ["", "a", "5", "a=b", "'x"] {
            assert_eq!(harmless_cell(good), good);
        }
    }
}
