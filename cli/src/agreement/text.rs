//! Answers of the API as people read them in a terminal.
//!
//! A backtest has hundreds of figures. Shown are those that a decision needs: whom it looked at, what was refused, the
//! tested version beside the active one line by line, and what to mind. `--json` has the rest.

use super::{at, word};
use jiff::civil::Date;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many leads are shown that one version qualifies and the other does not.
const EXAMPLES: usize = 3;
/// How many lines of a score's explanation are shown of each of them.
const REASONS: usize = 3;
/// The moment whose labels and best leads are shown; the others are in the JSON.
const MOMENT: &str = "day_30";

fn list<'a>(json: &'a Value, name: &str) -> &'a [Value] {
    at(json, name).as_array().map_or(&[], Vec::as_slice)
}

fn texts<'a>(json: &'a Value, name: &str) -> Vec<&'a str> {
    list(json, name).iter().filter_map(Value::as_str).collect()
}

fn whole(json: &Value, name: &str) -> u64 {
    at(json, name).as_u64().unwrap_or_default()
}

/// Writes a number with commas between the thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

fn leads(n: u64) -> String {
    count(n, "lead", "leads")
}

/// Writes a number that may be missing: where there is nothing to count there is no share.
fn number(json: &Value, digits: usize) -> String {
    json.as_f64().map_or_else(|| "–".to_owned(), |n| format!("{n:.digits$}"))
}

fn percent(json: &Value) -> String {
    json.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

/// Writes a share with its interval.
fn rate(json: &Value) -> String {
    let bound = |name: &str| at(json, name).as_f64().map(|share| format!("{:.0}", 100.0 * share));
    match (bound("low"), bound("high")) {
        (Some(low), Some(high)) if !at(json, "rate").is_null() => {
            format!("{} ({low} to {high} %)", percent(at(json, "rate")))
        }
        _ => percent(at(json, "rate")),
    }
}

fn auc(moment: &Value) -> String {
    let auc = at(moment, "auc");
    let [value, low, high] = ["value", "low", "high"].map(|name| number(at(auc, name), 3));
    if at(auc, "value").is_null() { value } else { format!("{value} ({low} to {high})") }
}

/// Writes lines of cells below each other, each column as wide as its widest cell.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or_default()).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(text, format!("  {}", cells.join("   ")).trim_end());
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn heading(text: &mut String, head: &str) {
    text.push('\n');
    line(text, head);
}

/// Writes the answer of a backtest's job.
pub(super) fn backtest(job: &Value) -> String {
    let result = at(job, "result");
    let version = whole(result, "version");
    let active = whole(result, "active_version");
    let beside = !at(result, "active").is_null();
    let mut text = String::new();
    let day: String = word(result, "as_of").chars().take(10).collect();
    line(
        &mut text,
        &format!(
            "Version {version}{}: who was won within {}, as of {day}",
            if beside { format!(" beside version {active}, the active one") } else { String::new() },
            count(whole(result, "horizon_days"), "day", "days")
        ),
    );
    looked_at(&mut text, result);

    let refused = list(result, "refused");
    if !refused.is_empty() {
        heading(&mut text, "Refused, so that nothing rests on them:");
        for one in refused {
            let rules = texts(one, "rules");
            let without =
                if rules.is_empty() { String::new() } else { format!("; left out: {}", rules.join(", ")) };
            line(&mut text, &format!("  {}{without}", word(one, "because")));
        }
    }

    text.push('\n');
    let mut versions = vec![(version, at(result, "tested"))];
    if beside {
        versions.push((active, at(result, "active")));
    }
    table(&mut text, &figures(&versions));

    if beside {
        let flips = at(result, "flips");
        flip(&mut text, at(flips, "newly_qualified"), ["tested", "active"], [version, active]);
        flip(&mut text, at(flips, "no_longer_qualified"), ["active", "tested"], [active, version]);
    }
    let mind: Vec<&str> = texts(result, "caution").into_iter().chain(texts(result, "notes")).collect();
    if !mind.is_empty() {
        heading(&mut text, "Mind:");
        mind.iter().for_each(|one| line(&mut text, &format!("  {one}")));
    }
    heading(
        &mut text,
        &format!(
            "Who signs with this before them says so: leadloop playbook sign {version} --backtest {}",
            word(job, "job")
        ),
    );
    text
}

/// Writes which leads were judged, and which were not.
fn looked_at(text: &mut String, result: &Value) {
    let judged = whole(result, "leads");
    line(
        text,
        &format!(
            "{} judged: {} won, {} lost, {} too young to tell; sales never worked {} of them ({})",
            leads(judged),
            grouped(whole(result, "wins")),
            grouped(whole(result, "losses")),
            grouped(whole(result, "censored")),
            grouped(whole(at(result, "never_worked"), "hits")),
            percent(at(at(result, "never_worked"), "rate")),
        ),
    );
    let clipped = at(result, "clipped");
    let touched: Vec<String> = ["day_0", "day_7", "day_30"]
        .iter()
        .filter(|moment| whole(clipped, moment) > 0)
        .map(|moment| format!("{} by {}", leads(whole(clipped, moment)), name(moment)))
        .collect();
    if !touched.is_empty() {
        line(
            text,
            &format!("sales had touched {}: those are judged as they were just before", touched.join(", ")),
        );
    }
    let apart: Vec<String> = [
        ("contacts", "that never responded"),
        ("customers", "that were customers before"),
        ("sales_came_first", "that sales touched before they came"),
        ("forgotten", "whose timeline no longer reaches back"),
    ]
    .iter()
    .filter_map(|(kind, why)| {
        Some(whole(at(result, "apart"), kind)).filter(|n| *n > 0).map(|n| format!("{} {why}", leads(n)))
    })
    .collect();
    if !apart.is_empty() {
        line(text, &format!("not judged: {}", apart.join(", ")));
    }
}

fn name(moment: &str) -> String {
    if moment == "first_crossing" { "the first crossing".to_owned() } else { moment.replace('_', " ") }
}

/// Gives the figures of versions, a column each.
fn figures(versions: &[(u64, &Value)]) -> Vec<Vec<String>> {
    let moment = |version: &Value, name: &str| at(at(version, "moments"), name).clone();
    let row = |title: String, cell: &dyn Fn(&Value) -> String| {
        std::iter::once(title).chain(versions.iter().map(|(_, version)| cell(version))).collect()
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    rows.push(
        std::iter::once(String::new())
            .chain(versions.iter().map(|(number, _)| format!("version {number}")))
            .collect(),
    );
    for when in ["day_0", "day_7", "day_30", "first_crossing"] {
        rows.push(row(format!("AUC at {}", name(when)), &|version| auc(&moment(version, when))));
    }
    for (title, figure) in
        [("lift in the best 10 %", "best_10_percent"), ("lift in the best 20 %", "best_20_percent")]
    {
        rows.push(row(format!("{title}, {}", name(MOMENT)), &|version| {
            number(at(at(&moment(version, MOMENT), "lift"), figure), 2)
        }));
    }
    let over = |version: &Value| at(&moment(version, "first_crossing"), "line").clone();
    rows.push(row("ever over the line".to_owned(), &|version| leads(whole(&over(version), "qualified"))));
    rows.push(row("  of them won (precision)".to_owned(), &|version| rate(at(&over(version), "precision"))));
    rows.push(row("  of the won (recall)".to_owned(), &|version| rate(at(&over(version), "recall"))));

    let labels = |version: &Value| -> BTreeMap<String, Value> {
        let moment = moment(version, MOMENT);
        list(&moment, "labels").iter().map(|one| (word(one, "label").to_owned(), one.clone())).collect()
    };
    let all: BTreeSet<String> =
        versions.iter().flat_map(|(_, version)| labels(version).into_keys()).collect();
    for label in all {
        rows.push(row(format!("{label} on {}: won", name(MOMENT)), &|version| {
            labels(version).get(&label).map_or_else(
                || "–".to_owned(),
                |one| format!("{} of {}", rate(at(one, "win_rate")), leads(whole(at(one, "win_rate"), "of"))),
            )
        }));
    }

    let starts = |version: &Value| -> Vec<Date> {
        list(version, "hand_offs").iter().filter_map(|one| word(one, "starts").parse().ok()).collect()
    };
    let all: Vec<Date> = versions.iter().flat_map(|(_, version)| starts(version)).collect();
    let weeks = match (all.iter().min(), all.iter().max()) {
        (Some(first), Some(last)) => {
            first.until(*last).map_or(1, |span| i64::from(span.get_days()) / 7 + 1).max(1)
        }
        _ => 1,
    };
    let owners: BTreeSet<&str> = versions
        .iter()
        .flat_map(|(_, version)| list(version, "hand_offs").iter().map(|one| word(one, "owner")))
        .collect();
    for owner in owners {
        rows.push(row(format!("hand-offs a week to {owner}"), &|version| {
            let of = list(version, "hand_offs").iter().filter(|one| word(one, "owner") == owner);
            let of: Vec<u64> = of.map(|one| whole(one, "leads")).collect();
            #[allow(clippy::cast_precision_loss, reason = "counts of leads and weeks stay far below 2^53")]
            let mean = of.iter().sum::<u64>() as f64 / weeks as f64;
            format!("{mean:.1}, {} in the busiest", grouped(of.iter().copied().max().unwrap_or_default()))
        }));
    }
    rows
}

/// Writes the leads that the first of two versions qualifies and the second does not, a few of them with the reason.
fn flip(text: &mut String, flips: &Value, sides: [&str; 2], versions: [u64; 2]) {
    let ([qualifies, other], [version, beside]) = (sides, versions);
    let n = whole(flips, "leads");
    let (how_many, such) = if n == 0 { ("no leads".to_owned(), "") } else { (leads(n), ", such as") };
    heading(text, &format!("Version {version} qualifies {how_many} that version {beside} does not{such}"));
    for one in list(flips, "sample").iter().take(EXAMPLES) {
        let score = |side: &str| {
            let score = at(one, side);
            let [fit, engagement] = ["fit", "engagement"].map(|part| whole(score, part));
            format!("{} (fit {fit}, engagement {engagement})", word(score, "label"))
        };
        let day: String = word(one, "at").chars().take(10).collect();
        let id = word(one, "lead_id");
        line(text, &format!("  {id} on {day}: {} instead of {}", score(qualifies), score(other)));
        let mut reasons: Vec<&Value> = list(at(one, qualifies), "explanation").iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(at(reason, "points").as_i64()));
        for reason in reasons.iter().take(REASONS) {
            let points = at(reason, "points").as_i64().unwrap_or_default();
            line(text, &format!("    {points:+4}  {}", word(reason, "because")));
        }
    }
}

/// Writes a suggested card.
pub(super) fn suggestion(result: &Value) -> String {
    let mut text = String::new();
    let version = whole(result, "version");
    let rules = list(result, "rules");
    line(
        &mut text,
        &format!(
            "Version {version}, a draft: {} from {}, {} of them won",
            count(rules.len() as u64, "rule", "rules"),
            leads(whole(result, "leads")),
            grouped(whole(result, "wins"))
        ),
    );
    for part in ["fit", "engagement"] {
        let of: Vec<Vec<String>> = rules
            .iter()
            .filter(|rule| word(rule, "part") == part)
            .map(|rule| {
                let points = at(rule, "points").as_i64().unwrap_or_default();
                vec![format!("{points:+4}"), word(rule, "says").to_owned(), word(rule, "because").to_owned()]
            })
            .collect();
        if !of.is_empty() {
            heading(&mut text, &format!("{}:", if part == "fit" { "Fit" } else { "Engagement" }));
            table(&mut text, &of);
        }
    }
    let document = at(result, "document");
    text.push('\n');
    for (part, words) in [("fit", ["A", "B", "C"]), ("engagement", ["1", "2", "3"])] {
        let from = at(at(document, "bands"), part);
        let bands = words.map(|word| format!("{word} from {}", whole(from, word)));
        line(&mut text, &format!("Bands of {part}: {}", bands.join(", ")));
    }
    let labels = texts(at(document, "marketing_qualified"), "labels");
    line(&mut text, &format!("The line: {}", labels.join(", ")));
    let expected = at(result, "expected");
    line(
        &mut text,
        &format!(
            "Expected of leads it was not fitted to: AUC {}; the line qualifies {} of them, of whom {} are won, and finds {} of the won",
            number(at(expected, "auc"), 3),
            percent(at(expected, "share_qualified")),
            percent(at(expected, "precision")),
            percent(at(expected, "recall")),
        ),
    );
    left_out(&mut text, result);
    text
}

/// Writes what a suggestion left out, and why.
pub(super) fn left_out(text: &mut String, result: &Value) {
    let left_out = list(result, "left_out");
    if !left_out.is_empty() {
        heading(text, "Left out:");
        left_out.iter().for_each(|one| line(text, &format!("  {}", word(one, "because"))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_counted_is_a_dash_and_no_zero() {
        let none = json!({"rate": null, "low": 0.1, "high": 0.9});
        assert_eq!((rate(&none), auc(&Value::Null)), ("–".to_owned(), "–".to_owned()));
        assert_eq!(rate(&json!({"rate": 0.5, "low": 0.446, "high": 0.6})), "50 % (45 to 60 %)");
        let moment = json!({"auc": {"value": 0.88, "low": 0.8571, "high": 0.9}});
        assert_eq!(auc(&moment), "0.880 (0.857 to 0.900)");
        assert_eq!((leads(1), leads(1_234_567)), ("1 lead".to_owned(), "1,234,567 leads".to_owned()));
    }

    #[test]
    fn hand_offs_are_shared_out_over_every_week_that_either_version_filled() {
        let week = |starts: &str, leads: u64| json!({"starts": starts, "owner": "at-1", "leads": leads});
        let tested = json!({"hand_offs": [week("2026-03-02", 4), week("2026-03-23", 8)]});
        let active = json!({"hand_offs": [week("2026-03-09", 2)]});
        let rows = figures(&[(2, &tested), (1, &active)]);
        let cells = ["hand-offs a week to at-1", "3.0, 8 in the busiest", "0.5, 2 in the busiest"];
        assert_eq!(rows.last().unwrap(), &cells);
    }
}
