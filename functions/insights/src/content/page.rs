//! The matrix as a page to look at and to print: one file, nothing fetched from anywhere.

use super::written::{RANK, listed};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

/// Its looks. Colours are printed too, and every figure stands in words, so that nothing is told by colour alone.
const STYLE: &str = "
:root { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.note { color: #555c66; margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #c9cfd6; padding: .45rem .6rem; text-align: left; vertical-align: top; }
thead th { background: #f2f4f7; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.cell { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
td.cell b { font-size: 1.3rem; } td.cell small { display: block; }
@media print { body { margin: 0; max-width: none; } table { page-break-inside: auto; } tr { page-break-inside: avoid; } }
@page { size: A4 landscape; margin: 12mm; }
";

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// The colour of a cell: red where nothing is there or the larger a share waits, green where nobody does.
fn colour(cell: &Value) -> String {
    let (content, leads, waiting) = (number(cell, "content"), number(cell, "leads"), number(cell, "waiting"));
    let share = if content == 0 { 100 } else { (waiting * 100).checked_div(leads).unwrap_or(0) };
    let (hue, light) = if share == 0 { (130, 91) } else { (8, 94_u64.saturating_sub(share / 5)) };
    format!("background: hsl({hue} 70% {light}%)")
}

/// Gives the page of the matrix.
pub(super) fn matrix(found: &Value) -> Markup {
    let phases: Vec<&str> = listed(found, "phases").filter_map(Value::as_str).collect();
    let mut languages: Vec<Option<&str>> =
        listed(found, "cells").map(|cell| cell.get("language").and_then(Value::as_str)).collect();
    languages.sort_unstable();
    languages.dedup();
    let divided = languages.iter().any(Option::is_some);
    let persona_name = |id: &str| {
        let persona = listed(found, "personas").find(|persona| text(persona, "id") == id);
        persona.map_or_else(|| id.to_owned(), |persona| text(persona, "name").to_owned())
    };
    let apart = |name: &str| found.pointer(&format!("/apart/{name}")).cloned().unwrap_or_default();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Content: who waits for what" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Content: who waits for what" }
                p.note {
                    "As of " (text(found, "as_of")) ", playbook version " (number(found, "playbook_version")) ". "
                    (found.pointer("/content/valid").and_then(Value::as_u64).unwrap_or(0)) " pieces of content hold today, of "
                    (found.pointer("/content/in_all").and_then(Value::as_u64).unwrap_or(0)) " in the catalog."
                }
                @for language in &languages {
                    @if divided { h2 { "Language: " (language.unwrap_or("unknown")) } }
                    table {
                        thead { tr { th { "Persona" } @for phase in &phases { th { (phase) } } } }
                        tbody {
                            @for persona in listed(found, "personas") {
                                tr {
                                    th { (text(persona, "name")) }
                                    @for cell in listed(found, "cells").filter(|cell| text(cell, "persona") == text(persona, "id")
                                        && cell.get("language").and_then(Value::as_str) == *language) {
                                        td.cell style=(colour(cell)) {
                                            b { (number(cell, "content")) } " to say"
                                            small { (number(cell, "leads")) " leads, " (number(cell, "waiting")) " waiting" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                @if listed(found, "personas").next().is_none() {
                    p { "The active playbook has no personas, so the matrix has no rows." }
                }
                p.note {
                    "Apart: " (number(&apart("no_persona"), "leads")) " leads mirror no persona, "
                    (number(&apart("no_phase"), "leads")) " are in no phase, "
                    (number(&apart("neither"), "leads")) " neither; "
                    (number(found, "disqualified")) " are disqualified and wait for nothing."
                }
                h2 { "Gaps, what matters most first" }
                table {
                    thead {
                        tr {
                            th { "Persona" } th { "Phase" } @if divided { th { "Language" } }
                            th { "To say" } th { "Waiting" } th { "Searches a month" } th { "Rank" } th { "Missing topics" }
                        }
                    }
                    tbody {
                        @for gap in listed(found, "gaps") {
                            tr {
                                td { (persona_name(text(gap, "persona"))) }
                                td { (text(gap, "phase")) }
                                @if divided { td { (gap.get("language").and_then(Value::as_str).unwrap_or("unknown")) } }
                                td.number { (number(gap, "content")) }
                                td.number { (number(gap, "waiting")) }
                                td.number { (number(gap, "demand")) }
                                td.number { (gap.get("rank").and_then(Value::as_f64).unwrap_or(0.0)) }
                                td {
                                    @for (at, topic) in listed(gap, "missing_topics").enumerate() {
                                        @if at > 0 { ", " }
                                        (topic.get("title").and_then(Value::as_str).unwrap_or(text(topic, "topic")))
                                        " (" (number(topic, "monthly_searches")) ")"
                                    }
                                }
                            }
                        }
                    }
                }
                p.note { "Rank = " (RANK) ". A lead waits where nothing fits it that it has not had." }
            }
        }
    }
}
