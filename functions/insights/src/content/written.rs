//! What the routes of content answer.

use crate::response;
use adapters::http::Problem;
use adapters::playbooks::Version;
use axum::response::Response;
use domain::content::choice::{Choice, DRAW, FAIR_IN, FAIR_TRIES, Ranked, Turn};
use domain::content::matrix::{Apart, Leads, Matrix, MatrixCell, Waiting};
use domain::content::results::{MOVES_WITHIN_DAYS, Results, Sums, WINS_WITHIN_DAYS};
use domain::content::{Content, Lack, Reader};
use domain::identity::Slug;
use domain::phase::Phase;
use domain::playbook::Playbook;
use domain::segment::harmless_cell;
use domain::time::Timestamp;
use learning::measure::{Rate, rounded};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many runners-up an answer names.
const RUNNERS_UP: usize = 4;
/// How many missing topics a gap names.
const MOST_TOPICS: usize = 5;
/// The words for how gaps are ranked.
pub(super) const RANK: &str = "waiting × (1 + demand / demand of all topics)";

/// The columns of the matrix as CSV: what stands above, and where it stands in a cell.
pub(super) const MATRIX_COLUMNS: &[(&str, &str)] = &[
    ("persona", "/persona"),
    ("phase", "/phase"),
    ("language", "/language"),
    ("content", "/content"),
    ("leads", "/leads"),
    ("waiting", "/waiting"),
    ("demand", "/demand"),
    ("rank", "/rank"),
];

/// The columns of the report as CSV. `of` says whether a row is a whole `content` or one `cell` of it.
pub(crate) const RESULT_COLUMNS: &[(&str, &str)] = &[
    ("of", "/of"),
    ("content", "/content"),
    ("title", "/title"),
    ("persona", "/persona"),
    ("phase", "/phase"),
    ("leads", "/leads"),
    ("sent", "/sent/hits"),
    ("opened", "/opened/hits"),
    ("clicked", "/clicked/hits"),
    ("otherwise", "/otherwise/hits"),
    ("judged", "/moved/of"),
    ("moved", "/moved/hits"),
    ("moved_rate", "/moved/rate"),
    ("moved_low", "/moved/low"),
    ("moved_high", "/moved/high"),
    ("decided", "/won/of"),
    ("won", "/won/hits"),
    ("won_rate", "/won/rate"),
    ("won_low", "/won/low"),
    ("won_high", "/won/high"),
    ("bounced", "/bounced/hits"),
    ("told", "/told/hits"),
];

/// Gives rows as a table, the head first.
pub(crate) fn table<'a>(
    rows: impl IntoIterator<Item = &'a Value>,
    columns: &[(&str, &str)],
) -> Vec<Vec<String>> {
    let line = |row: &Value| {
        let cells = columns.iter().map(|(_, pointer)| match row.pointer(pointer) {
            Some(Value::String(text)) => harmless_cell(text).into_owned(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => String::new(),
        });
        cells.collect()
    };
    let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    std::iter::once(head).chain(rows.into_iter().map(line)).collect()
}

/// Gives rows as CSV.
///
/// # Errors
///
/// Where it cannot be written.
pub(crate) fn csv<'a>(
    rows: impl IntoIterator<Item = &'a Value>,
    columns: &[(&str, &str)],
) -> Result<Response, Problem> {
    response::csv(table(rows, columns)).ok_or_else(Problem::internal)
}

/// Gives the list of an answer.
pub(crate) fn listed<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Gives topics with how often a month people search for them.
pub(super) fn topics(playbook: &Playbook, missing: &[(Slug, u64)]) -> Value {
    let topic = |(id, searches): &(Slug, u64)| {
        let title = playbook.topic(id.as_str()).map(|topic| topic.title.as_str());
        json!({ "topic": id.as_str(), "title": title, "monthly_searches": searches })
    };
    missing.iter().take(MOST_TOPICS).map(topic).collect()
}

/// Gives the matrix.
pub(super) fn matrix(
    matrix: &Matrix,
    waiting: &Waiting,
    active: &Version,
    catalog: &[Content],
    now: Timestamp,
) -> Value {
    let playbook = &active.playbook;
    let gap = |cell: &MatrixCell| {
        let mut json = cell_json(cell);
        if let Some(map) = json.as_object_mut() {
            map.insert("missing_topics".to_owned(), topics(playbook, &cell.missing));
        }
        json
    };
    let apart = Apart::WORDS.iter().map(|(word, apart)| {
        let leads = waiting.apart.get(apart).copied().unwrap_or_default();
        ((*word).to_owned(), leads_json(&leads))
    });
    // Personas that left the playbook while leads still mirror them have no row; their leads are among those apart.
    let personas = playbook.personas.iter().map(|p| json!({ "id": p.id.as_str(), "name": p.name }));
    json!({
        "as_of": now.to_string(),
        "playbook_version": active.number,
        "personas": personas.collect::<Vec<_>>(),
        "phases": Phase::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
        "cells": matrix.cells.iter().map(cell_json).collect::<Vec<_>>(),
        "gaps": matrix.gaps().into_iter().map(gap).collect::<Vec<_>>(),
        "rank": RANK,
        "demand_of_all_topics": matrix.demand,
        "apart": apart.collect::<Map<_, _>>(),
        "disqualified": waiting.disqualified,
        "content": {
            "in_all": catalog.len(),
            "valid": catalog.iter().filter(|content| content.stale(now.day()).is_none()).count(),
            "with_unknown_names": matrix.strays.iter().map(Slug::as_str).collect::<Vec<_>>(),
        },
    })
}

fn leads_json(leads: &Leads) -> Value {
    json!({ "leads": leads.leads, "waiting": leads.waiting })
}

fn cell_json(cell: &MatrixCell) -> Value {
    json!({
        "persona": cell.at.persona.as_str(),
        "phase": cell.at.phase.as_str(),
        "language": cell.at.language,
        "content": cell.content,
        "leads": cell.leads.leads,
        "waiting": cell.leads.waiting,
        "demand": cell.demand,
        "rank": cell.rank.map(rounded),
    })
}

/// Gives what content did: a row for each piece, those in the catalog that nobody had included, the most had first.
pub(super) fn results(asked: &Value, found: &Value, results: &Results, catalog: &[Content]) -> Value {
    let known: BTreeMap<&Slug, &Content> = catalog.iter().map(|content| (&content.id, content)).collect();
    let ids: BTreeSet<&Slug> =
        known.keys().copied().chain(results.cells.keys().map(|cell| &cell.content)).collect();
    let mut rows: Vec<(Sums, Value)> = Vec::new();
    for id in ids {
        let content = known.get(id);
        let title = content.map(|content| content.title.as_str());
        let row = |of: &str, sums: &Sums, more: Value| {
            let mut row = json!({ "of": of, "content": id.as_str(), "title": title });
            for part in [more, sums_json(sums)] {
                if let (Some(map), Value::Object(part)) = (row.as_object_mut(), part) {
                    map.extend(part);
                }
            }
            row
        };
        let cells = results.cells.iter().filter(|(cell, _)| cell.content == *id);
        let cells = cells.map(|(cell, sums)| {
            let place = json!({
                "persona": cell.persona.as_ref().map(Slug::as_str), "phase": cell.phase.map(Phase::as_str),
            });
            row("cell", sums, place)
        });
        let cells: Vec<Value> = cells.collect();
        let kind = content.map(|content| content.kind.as_str());
        let whole = results.of(id);
        rows.push((whole, row("content", &whole, json!({ "kind": kind, "cells": cells }))));
    }
    // Stable: what was had equally often stays in the order of the ids.
    rows.sort_by_key(|(sums, _)| std::cmp::Reverse(sums.leads));
    let mut whole = asked.clone();
    if let Some(map) = whole.as_object_mut() {
        for name in ["as_of", "playbook_version"] {
            map.insert(name.to_owned(), found.get(name).cloned().unwrap_or_default());
        }
        map.insert("moves_within_days".to_owned(), MOVES_WITHIN_DAYS.into());
        map.insert("wins_within_days".to_owned(), WINS_WITHIN_DAYS.into());
        map.insert("rows".to_owned(), rows.into_iter().map(|(_, row)| row).collect());
        map.insert("unknown".to_owned(), results.unknown.into());
        map.insert("left_out".to_owned(), results.left_out.into());
    }
    whole
}

/// Gives the sums of a piece with their shares.
pub(crate) fn sums_json(sums: &Sums) -> Value {
    let rate = |hits: u64, of: u64| Rate { hits, of }.to_json();
    json!({
        "leads": sums.leads,
        "sent": rate(sums.sent, sums.leads + sums.bounced),
        "bounced": rate(sums.bounced, sums.sent),
        "opened": rate(sums.opened, sums.leads),
        "clicked": rate(sums.clicked, sums.leads),
        "otherwise": rate(sums.otherwise, sums.leads),
        "told": rate(sums.told, sums.leads),
        "moved": rate(sums.moved, sums.judged),
        "moved_or_won": rate(sums.succeeded, sums.judged),
        "won": rate(sums.won, sums.decided),
    })
}

/// Gives the next piece of content for a lead, or what is missing.
pub(super) fn choice(
    reader: &Reader<'_>,
    choice: &Choice<'_>,
    missing: Option<Value>,
    results_as_of: Option<Timestamp>,
    now: Timestamp,
) -> Value {
    let left_out = Lack::WORDS
        .iter()
        .map(|(word, lack)| ((*word).to_owned(), choice.left_out.get(lack).copied().unwrap_or(0).into()));
    let (persona, phase) = (reader.persona.map(Slug::as_str), reader.phase.map(Phase::as_str));
    let language = reader.tongue.language().map(ToString::to_string);
    let turn = choice.chosen().map(|_| match choice.turn {
        Turn::Best => "best",
        Turn::New => "new",
    });
    let gap = missing.map(|topics| {
        json!({ "persona": persona, "phase": phase, "language": language, "missing_topics": topics })
    });
    json!({
        "lead_id": reader.lead.as_str(),
        "as_of": now.to_string(),
        "results_as_of": results_as_of.map(|at| at.to_string()),
        "persona": persona,
        "phase": phase,
        "language": language,
        "language_because": reader.tongue.because(),
        "content": choice.chosen().map(ranked),
        "turn": turn,
        "because": choice.because(reader),
        "runners_up": choice.fits.iter().skip(1).take(RUNNERS_UP).map(ranked).collect::<Vec<_>>(),
        "fits": choice.fits.len(),
        "left_out": left_out.collect::<Map<_, _>>(),
        "gap": gap,
        "method": {
            "success": format!("moved on or won within {MOVES_WITHIN_DAYS} days"),
            "average": rounded(choice.average),
            "drawn_by_leads": DRAW,
            "new_below_leads": FAIR_TRIES,
            "one_lead_in": FAIR_IN,
        },
    })
}

fn ranked(ranked: &Ranked<'_>) -> Value {
    let Ranked { content, sums, rate } = ranked;
    json!({
        "id": content.id.as_str(),
        "title": content.title,
        "url": content.url,
        "kind": content.kind.as_str(),
        "language": content.language.as_ref().map(ToString::to_string),
        "had_by": sums.leads,
        "tries": sums.tries(),
        "judged": sums.judged,
        "succeeded": sums.succeeded,
        "rate": rounded(*rate),
        "new": ranked.is_new(),
    })
}
