//! Which segments a lead is in.

use crate::condition::View;
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

#[cfg(test)]
mod tests {
    use super::*;

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
