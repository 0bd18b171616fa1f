//! How mails look: the text, and the same as HTML.
//!
//! Whatever a stranger may have typed in is made one line of bounded length without addresses and links, and escaped by `maud`
//! where it stands in HTML.
//! The HTML loads nothing and has its looks in `style` attributes, which is what mail programs understand. A link's text says
//! where it leads to in words; its address stands in the text part whole.

use crate::Post;
use adapters::mail::{LINK, Mailbox, Message, discreet};
use domain::hand_over::Why;
use domain::introduction::Introduction;
use domain::stage::{Stage, Step};
use domain::time::Timestamp;
use maud::{DOCTYPE, Markup, html};

/// The longest name in a mail, in characters.
const NAME: usize = 80;
/// The longest sentence, in characters.
const SENTENCE: usize = 200;

/// What can be answered on the confirm page, with the part of the page where it is, and how the mail says it.
pub const ANSWERS: &[(Step, &str, &str)] = &[
    (Step::Accept, "accepted", "Accept"),
    (Step::NotReady, "not_ready", "Not ready yet"),
    (Step::Reject, "rejected", "Reject"),
];

/// A hand-over as its mail tells it.
#[derive(Clone, Debug)]
pub struct Handed<'a> {
    /// What the reader is called.
    pub to: &'a str,
    /// Who the lead is.
    pub lead: &'a Introduction,
    /// Why the reader has it.
    pub why: Why,
    /// What the lead did and when, the latest first.
    pub did: Vec<(String, String)>,
    /// By when an answer is promised, and whether that is over.
    pub answer_by: Option<(String, bool)>,
    /// Where everything known of it stands.
    pub page: Option<String>,
    /// Where the reader answers.
    pub confirm: Option<String>,
    /// What they can answer: the part of the page, and how it is said.
    pub answers: Vec<(&'static str, &'static str)>,
}

/// A lead of a digest.
#[derive(Clone, Debug)]
pub struct Row {
    /// Who the lead is.
    pub lead: Introduction,
    /// Where it stands.
    pub stage: Stage,
    /// Whether it came since the last digest.
    pub is_new: bool,
    /// By when an answer is promised, and whether that is over; none where it was answered.
    pub promise: Option<(String, bool)>,
    /// Where everything known of it stands.
    pub page: Option<String>,
}

/// Puts a mail together.
pub(crate) fn message(
    post: &Post,
    id: String,
    to: Mailbox,
    subject: String,
    text: String,
    html: String,
    date: Timestamp,
) -> Message {
    // So that holiday replies do not answer it (RFC 3834).
    let headers = vec![("Auto-Submitted", "auto-generated".to_owned())];
    let from = post.from.clone();
    Message { id, from, to, reply_to: None, subject, text, html, date, headers, tags: Vec::new() }
}

/// Says who a lead is: the name, and the company where that is another word, and one that may be said: of a company known by
/// its domain alone nothing is.
fn who(lead: &Introduction) -> String {
    let name = discreet(&lead.name, NAME);
    match lead.company.as_deref().map(|company| discreet(company, NAME)) {
        Some(company) if company != name && company != LINK => format!("{name}, {company}"),
        _ => name,
    }
}

/// Says what the lead is, in short parts.
fn what(lead: &Introduction) -> Vec<String> {
    let parts = [
        lead.title.as_deref().map(|title| discreet(title, NAME)),
        Some(format!("label {}", lead.label)),
        lead.persona.as_deref().map(|persona| format!("like {}", discreet(persona, NAME))),
        lead.phase.map(|phase| format!("in the phase {}", phase.as_str())),
    ];
    parts.into_iter().flatten().collect()
}

fn stage(stage: Stage) -> String {
    stage.as_str().replace('_', " ")
}

/// Wraps the body of a mail.
fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta name="viewport" content="width=device-width, initial-scale=1"; title { (title) } }
            body style="font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 40rem; margin: 0 auto; padding: 1rem" {
                (body)
            }
        }
    }
    .into_string()
}

const NOTE: &str = "color: #555c66; font-size: 13px";
const BUTTON: &str = "display: inline-block; padding: .5rem .9rem; margin: 0 .5rem .5rem 0; border-radius: 6px; \
                      border: 1px solid #1f5fbf; color: #1f5fbf; text-decoration: none";
const LATE: &str = "color: #a3231a; font-weight: bold";

/// Writes the mail at a hand-over: its subject, its text, its HTML.
#[must_use]
pub fn handed(handed: &Handed<'_>) -> (String, String, String) {
    let (name, what) = (who(handed.lead), what(handed.lead).join(" · "));
    let (start, opening) = match handed.why {
        Why::Ready => ("New lead", "this lead is ready, and yours:"),
        Why::Given => ("Now yours", "this lead was given to you:"),
        Why::Unanswered => {
            ("Unanswered, now yours", "nobody answered this lead in time, so it is yours now:")
        }
    };
    let subject = format!("{start}: {name} ({})", handed.lead.label);
    let to = discreet(handed.to, NAME);
    let reasons: Vec<String> = handed.lead.reasons.iter().map(|reason| discreet(reason, SENTENCE)).collect();
    let did: Vec<String> =
        handed.did.iter().map(|(at, did)| format!("{at}: {}", discreet(did, SENTENCE))).collect();
    let promise = handed.answer_by.as_ref().map(|(at, over)| {
        if *over {
            format!("An answer was promised by {at}.")
        } else {
            format!("An answer is promised by {at}.")
        }
    });
    let said: Vec<&str> = handed.answers.iter().map(|(_, said)| *said).collect();

    let mut text = format!("{to}, {opening}\n\n{name}\n{what}\n");
    for (title, lines) in [("Why", &reasons), ("What they did last", &did)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n"));
            lines.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
        }
    }
    if let Some(promise) = &promise {
        text.push_str(&format!("\n{promise}\n"));
    }
    if let Some(url) = &handed.confirm {
        text.push_str(&format!("\n{}:\n{url}\n", said.join(", ")));
    }
    if let Some(url) = &handed.page {
        text.push_str(&format!("\nEverything known of this lead:\n{url}\n"));
    }
    if handed.confirm.is_some() {
        text.push_str(&format!("\n{YOURS}\n"));
    }

    let html = document(
        &subject,
        &html! {
            p { (to) ", " (opening) }
            h1 style="font-size: 20px; margin: 0" { (name) }
            p style="margin-top: 0" { (what) }
            @for (title, lines) in [("Why", &reasons), ("What they did last", &did)] {
                @if !lines.is_empty() {
                    p style="margin-bottom: 0" { b { (title) } }
                    ul style="margin-top: 0" { @for line in lines { li { (line) } } }
                }
            }
            @if let Some(promise) = &promise {
                p style=[handed.answer_by.as_ref().filter(|(_, over)| *over).map(|_| LATE)] { (promise) }
            }
            @if let Some(url) = &handed.confirm {
                p { @for (word, said) in &handed.answers { a style=(BUTTON) href=(format!("{url}#{word}")) { (said) } } }
            }
            @if let Some(url) = &handed.page { p { a href=(url) { "Everything known of this lead" } } }
            @if handed.confirm.is_some() { p style=(NOTE) { (YOURS) } }
        },
    );
    (subject, text, html)
}

/// What is said of the link, which is a permission.
const YOURS: &str = "The link is yours: whoever has it answers in your name. It works for 30 days, or until the lead is handed on.";

/// Writes a digest: its subject, its text, its HTML.
#[must_use]
pub fn digest(to: &str, leads: usize, overdue: usize, new: usize, rows: &[Row]) -> (String, String, String) {
    let noun = if leads == 1 { "lead" } else { "leads" };
    let mut subject = format!("Your inbox: {leads} {noun}");
    if overdue > 0 {
        subject.push_str(&format!(", {overdue} overdue"));
    }
    if new > 0 {
        subject.push_str(&format!(", {new} new"));
    }
    let to = discreet(to, NAME);
    let promise = |row: &Row| match &row.promise {
        Some((at, true)) => format!("overdue since {at}"),
        Some((at, false)) => format!("answer by {at}"),
        None => "answered".to_owned(),
    };
    let more = leads.saturating_sub(rows.len());
    let more = (more > 0).then(|| format!("And {more} more in your inbox."));

    let mut text = format!("Good morning, {to}.\n\n{subject}.\n");
    for row in rows {
        let new = if row.is_new { "NEW " } else { "" };
        text.push_str(&format!("\n{new}{} ({})\n", who(&row.lead), row.lead.label));
        text.push_str(&format!("  {}, {}\n", promise(row), stage(row.stage)));
        if let Some(reason) = row.lead.reasons.first() {
            text.push_str(&format!("  {}\n", discreet(reason, SENTENCE)));
        }
        if let Some(url) = &row.page {
            text.push_str(&format!("  {url}\n"));
        }
    }
    if let Some(more) = &more {
        text.push_str(&format!("\n{more}\n"));
    }
    text.push_str(&format!("\n{STOP}\n"));

    let html = document(
        &subject,
        &html! {
            p { "Good morning, " (to) "." }
            p { b { (subject) "." } }
            @for row in rows {
                p style="border-top: 1px solid #c9cfd6; padding-top: .6rem; margin: .6rem 0" {
                    @if row.is_new { b { "NEW " } }
                    @match &row.page {
                        Some(url) => a href=(url) { (who(&row.lead)) },
                        None => (who(&row.lead)),
                    }
                    " (" (row.lead.label) ")" br;
                    span style=[row.promise.as_ref().filter(|(_, over)| *over).map(|_| LATE)] { (promise(row)) }
                    ", " (stage(row.stage))
                    @if let Some(reason) = row.lead.reasons.first() { br; (discreet(reason, SENTENCE)) }
                }
            }
            @if let Some(more) = &more { p { (more) } }
            p style=(NOTE) { (STOP) }
        },
    );
    (subject, text, html)
}

/// How to be rid of it.
const STOP: &str = "You get this once on each of your working days. Whoever keeps people's records can switch it off for you.";

#[cfg(test)]
mod tests;
