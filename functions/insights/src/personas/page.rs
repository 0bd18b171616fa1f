//! A persona card to be read: as Markdown, and as a page that prints on A4.
//!
//! What stands on a card was written by others, prospects and passers-by among them. So a page is put together from
//! `Html`, which nothing but a text that was escaped and the tags written here can become, and from Markdown each mark that
//! would mean something is taken its meaning. The page loads nothing: it looks the same from a folder in ten years.
//!
//! A word that may be an address is shown as code, which is never a link ([`adapters::markdown`]); only the address of a
//! post, which was read and cut down when it came, is one.

use super::card::{AspectShown, CardShown, GroupShown, KindShown, Piece, SideShown, StatementShown};
use adapters::http::escape;
use adapters::markdown::plain;
use domain::phase::Phase;
use serde_json::Value;

/// A percentage, such as "33 %".
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn headline(aspect: &str) -> String {
    let mut chars = aspect.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

/// Says where a piece comes from: who, the source, the address, the day, the weight.
fn origin(piece: &Piece, shown: fn(&str) -> String, link: fn(&str) -> String) -> String {
    let url = piece.detail.get("url").and_then(Value::as_str);
    let source = piece.source.as_deref().map(shown);
    let parts = [Some(shown(&piece.said_by)), source, url.map(link), Some(piece.date.clone())];
    format!("{}, weight {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "), piece.weight)
}

fn quoted(piece: &Piece) -> String {
    if piece.is_quote { format!("“{}”", piece.text) } else { piece.text.clone() }
}

/// Says how much stands on each side of a statement.
fn balance(statement: &StatementShown) -> String {
    let (supports, contradicts) = (&statement.supports, &statement.contradicts);
    format!(
        "{} for (weight {}), {} against (weight {})",
        supports.count, supports.weight, contradicts.count, contradicts.weight
    )
}

/// Says how many pieces are not shown.
fn more(side: &SideShown) -> Option<String> {
    let left = side.count - side.evidence.len();
    (left > 0).then(|| format!("and {left} more"))
}

/// The figures in rows of a name and a value.
fn figures(card: &CardShown) -> Vec<(&'static str, String)> {
    let Some(figures) = &card.figures else { return Vec::new() };
    let group = &figures.group;
    let interval = group.win_rate_interval.as_ref();
    let between =
        |i: &super::card::Bounds| format!(" ({} to {})", percent(Some(i.low)), percent(Some(i.high)));
    let mut rows = vec![
        ("Leads and contacts", format!("{}, {} of the base", group.all, percent(group.share_of_base))),
        ("Leads", format!("{}, {} of all leads", group.leads, percent(group.share_of_leads))),
        ("Won, lost, open", format!("{}, {}, {}", group.won, group.lost, group.open)),
        ("Win rate", percent(group.win_rate) + &interval.map(between).unwrap_or_default()),
        ("Labels", counts(group.labels.iter().map(|(label, n)| (label.as_str(), *n)))),
        ("Phases", counts(phases(group))),
    ];
    let also = card.overlaps.iter().filter_map(|overlap| {
        let other = overlap.personas.iter().find(|id| **id != card.persona_id)?;
        Some((other.as_str(), overlap.all))
    });
    let also = counts(also);
    rows.push(("Meet another persona's condition too", also));
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn phases(group: &GroupShown) -> impl Iterator<Item = (&str, u64)> {
    let words = Phase::WORDS.iter().map(|(word, _)| *word).chain(["none"]);
    words.filter_map(|word| Some((word, *group.phases.get(word)?)))
}

fn counts<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    counts.map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
}

fn as_of(card: &CardShown) -> String {
    format!("As of {}, with playbook version {}.", card.as_of, card.playbook_version)
}

/// Makes a link of an address that was read as one: it has no mark in it that ends it.
fn link(url: &str) -> String {
    format!("<{url}>")
}

/// Gives the card as Markdown.
#[must_use]
pub fn markdown(card: &CardShown) -> String {
    let mut lines = vec![format!("# {}", plain(&card.name)), String::new()];
    let mut paragraph = |text: String| lines.extend([text, String::new()]);
    if let Some(portrait) = &card.portrait {
        paragraph(plain(portrait));
    }
    if !card.channels.is_empty() {
        paragraph(format!("Preferred channels: {}.", card.channels.join(", ")));
    }
    paragraph(as_of(card));
    lines.extend(["| | |".to_owned(), "| --- | --- |".to_owned()]);
    lines.extend(figures(card).iter().map(|(name, value)| format!("| {name} | {value} |")));
    lines.push(String::new());
    for aspect in card.aspects.iter().filter(|aspect| !aspect.statements.is_empty()) {
        lines.extend([format!("## {}", headline(aspect.aspect)), String::new()]);
        for statement in &aspect.statements {
            lines.push(format!("* **{}** – {}", plain(&statement.text), statement.says));
            lines.push(format!("  * `{}`: {}", statement.id, balance(statement)));
            lines.extend(statement.supports.evidence.iter().map(|piece| format!("  * for: {}", line(piece))));
            lines.extend(more(&statement.supports).map(|more| format!("  * for: {more}")));
            lines.extend(
                statement.contradicts.evidence.iter().map(|piece| format!("  * against: {}", line(piece))),
            );
            lines.extend(more(&statement.contradicts).map(|more| format!("  * against: {more}")));
        }
        lines.push(String::new());
    }
    lines.extend(["## What does not stand".to_owned(), String::new()]);
    for one in &card.unsupported {
        lines.push(format!("* {} (`{}`): **{}**", plain(&one.text), one.id, one.says));
    }
    if card.unsupported.is_empty() {
        lines.push("Every statement stands on evidence.".to_owned());
    }
    lines.extend([String::new(), "## The six kinds of evidence".to_owned(), String::new()]);
    lines.extend(["| kind | pieces |".to_owned(), "| --- | --- |".to_owned()]);
    lines.extend(card.evidence.iter().map(|of_kind| format!("| {} | {} |", of_kind.title, pieces(of_kind))));
    lines.push(String::new());
    for of_kind in card.evidence.iter().filter(|of_kind| of_kind.beside.count > 0) {
        lines.extend([format!("### {}, about no statement", of_kind.title), String::new()]);
        lines.extend(of_kind.beside.evidence.iter().map(|piece| format!("* {}", line(piece))));
        lines.extend(more(&of_kind.beside).map(|more| format!("* {more}")));
        lines.push(String::new());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

fn line(piece: &Piece) -> String {
    format!("{} – {}", plain(&quoted(piece)), origin(piece, plain, link))
}

fn pieces(of_kind: &KindShown) -> String {
    if of_kind.count == 0 { "**missing**".to_owned() } else { of_kind.count.to_string() }
}

/// A piece of a page: a text that was escaped, or tags written here around such.
struct Html(String);

fn text(text: &str) -> Html {
    Html(escape(text))
}

fn tag(name: &'static str, class: &'static str, inside: impl IntoIterator<Item = Html>) -> Html {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let inside: String = inside.into_iter().map(|html| html.0).collect();
    Html(format!("<{name}{class}>{inside}</{name}>"))
}

/// The style of a page. A4, black on white; no piece of evidence is torn apart.
const STYLE: &str = "\
@page { size: A4; margin: 18mm 16mm; }
* { box-sizing: border-box; }
body { font: 10.5pt/1.45 system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; color: #1b1f24; background: #fff;
  max-width: 178mm; margin: 8mm auto; padding: 0 4mm; overflow-wrap: anywhere; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
header { border-bottom: 2px solid #1b1f24; margin-bottom: 5mm; padding-bottom: 3mm; }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 2mm; }
h2 { font-size: 12.5pt; margin: 6mm 0 2mm; border-bottom: 1px solid #c8ccd1; padding-bottom: 1mm; break-after: avoid; }
p { margin: 0 0 2mm; }
small, .origin { color: #57606a; font-size: 9pt; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.8mm 3mm 0.8mm 0; border-bottom: 1px solid #e3e6ea; }
th { font-weight: 600; width: 72mm; }
tr, li { break-inside: avoid; }
.statement { margin: 0 0 4mm; }
.statement > p { margin: 0 0 1mm; font-weight: 600; break-after: avoid; }
.verdict { display: inline-block; font-size: 8.5pt; font-weight: 600; border: 1px solid; border-radius: 3px; padding: 0 1.5mm; margin-right: 2mm; }
.stands { color: #116329; } .disputed { color: #7d4e00; } .contradicted, .claims_evidence, .missing { color: #a40e26; } .guess { color: #57606a; }
ul { margin: 1mm 0 0; padding: 0; list-style: none; }
li { margin: 0 0 1.2mm; padding-left: 5mm; position: relative; }
li::before { position: absolute; left: 0; font-weight: 700; }
.for li::before { content: '+'; color: #116329; } .against li::before { content: '−'; color: #a40e26; } .beside li::before { content: '·'; }
.missing { font-weight: 600; }
";

/// Gives the card as a page that prints on A4.
#[must_use]
pub fn html(card: &CardShown) -> String {
    let mut head = vec![tag("h1", "", [text(&card.name)])];
    head.extend(card.portrait.as_deref().map(|portrait| tag("p", "", [text(portrait)])));
    if !card.channels.is_empty() {
        head.push(tag("p", "", [text(&format!("Preferred channels: {}.", card.channels.join(", ")))]));
    }
    head.push(tag("small", "", [text(&as_of(card))]));
    let mut body = vec![tag("header", "", head)];
    body.push(table(figures(card).into_iter().map(|(name, value)| (name.to_owned(), text(&value)))));
    let said = card.aspects.iter().filter(|aspect| !aspect.statements.is_empty());
    body.extend(said.map(aspect_html));
    body.push(tag("h2", "", [text("What does not stand")]));
    if card.unsupported.is_empty() {
        body.push(tag("p", "", [text("Every statement stands on evidence.")]));
    }
    let unsupported = card.unsupported.iter();
    let unsupported = unsupported.map(|one| {
        tag("li", "", [verdict(one.verdict, one.says), text(&format!("{} ({})", one.text, one.id))])
    });
    body.push(tag("ul", "beside", unsupported));
    body.push(tag("h2", "", [text("The six kinds of evidence")]));
    body.push(table(card.evidence.iter().map(|of_kind| {
        let count = if of_kind.count == 0 {
            tag("span", "missing", [text("missing")])
        } else {
            text(&of_kind.count.to_string())
        };
        (of_kind.title.to_owned(), count)
    })));
    for of_kind in card.evidence.iter().filter(|of_kind| of_kind.beside.count > 0) {
        body.push(tag("h2", "", [text(&format!("{}, about no statement", of_kind.title))]));
        body.push(pieces_html("beside", &of_kind.beside));
    }
    let (title, body) = (text(&card.name).0, tag("body", "", body).0);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>{body}</html>\n"
    )
}

fn table(rows: impl Iterator<Item = (String, Html)>) -> Html {
    tag(
        "table",
        "",
        rows.map(|(name, value)| tag("tr", "", [tag("th", "", [text(&name)]), tag("td", "", [value])])),
    )
}

fn aspect_html(aspect: &AspectShown) -> Html {
    let head = tag("h2", "", [text(&headline(aspect.aspect))]);
    tag("section", "", std::iter::once(head).chain(aspect.statements.iter().map(statement_html)))
}

fn statement_html(statement: &StatementShown) -> Html {
    let balance = format!("{} · {}", balance(statement), statement.id);
    let mut inside = vec![
        tag("p", "", [text(&statement.text)]),
        verdict(statement.verdict, statement.says),
        tag("small", "", [text(&balance)]),
    ];
    for (class, side) in [("for", &statement.supports), ("against", &statement.contradicts)] {
        if side.count > 0 {
            inside.push(pieces_html(class, side));
        }
    }
    tag("div", "statement", inside)
}

fn verdict(verdict: &'static str, says: &str) -> Html {
    // The class is one of a fixed set of words.
    Html(format!("<span class=\"verdict {verdict}\">{}</span>", escape(says)))
}

fn pieces_html(class: &'static str, side: &SideShown) -> Html {
    let piece = |piece: &Piece| {
        let origin = tag("span", "origin", [text(&origin(piece, str::to_owned, str::to_owned))]);
        tag("li", "", [text(&quoted(piece)), text(" "), origin])
    };
    let more = more(side).map(|more| tag("li", "", [tag("small", "", [text(&more)])]));
    tag("ul", class, side.evidence.iter().map(piece).chain(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use comrak::{Options, markdown_to_html};
    use serde_json::{Map, json};

    /// Renders as GitHub does, and with what else becomes a link elsewhere.
    fn rendered(markdown: &str) -> String {
        let mut options = Options::default();
        options.extension.autolink = true;
        options.extension.table = true;
        options.extension.strikethrough = true;
        options.parse.relaxed_autolinks = true;
        markdown_to_html(markdown, &options)
    }

    fn piece(words: &str) -> Piece {
        let url = json!({ "url": "https://www.reddit.com/r/erp/comments/17" });
        let detail: Map<String, Value> = url.as_object().unwrap().clone();
        Piece {
            evidence_id: String::new(),
            kind: "social_listening",
            text: words.to_owned(),
            source: Some(words.to_owned()),
            date: "2026-03-01".to_owned(),
            weight: 1,
            detail,
            said_by: words.to_owned(),
            is_quote: true,
        }
    }

    #[test]
    fn a_strangers_words_make_no_link_and_the_address_of_a_post_does() {
        for words in [
            "www.evil.example",
            "WWW.evil.example",
            "(www.evil.example)",
            "*www.evil.example*",
            "https://evil.example/a_b_c?d=*e*",
            "HTTP://evil.example",
            "ftp://evil.example",
            "see:https://evil.example.",
            "ada@evil.example mailto:ada@evil.example xmpp:ada@evil.example",
            "`https://evil.example",
            "`` `https://evil.example` ``",
            "a`b``https://evil.example```",
            "\\`https://evil.example\\`",
            "[x](https://evil.example)",
            "[x](//evil.example)",
            "[x]: //evil.example",
            "<https://evil.example>",
            "<a href=\"//evil.example\">x</a>",
            "![x](https://evil.example/x.png)",
            "https\u{3000}://evil.example www.\nevil.example",
        ] {
            let html = rendered(&format!("* **{}** – for\n  * for: {}\n", plain(words), line(&piece(words))));
            let links: Vec<&str> = html.split("href=\"").skip(1).collect();
            assert_eq!(links.len(), 1, "{words}: {html}");
            assert!(links[0].starts_with("https://www.reddit.com/r/erp/comments/17\""), "{words}: {html}");
            assert!(!html.contains("<img") && !html.contains("<a href=\"//"), "{words}: {html}");
        }
        // What the test would see, were nothing done.
        assert!(rendered("www.evil.example and https://evil.example").matches("href=").count() == 2);
    }

    #[test]
    fn what_looks_like_an_address_is_read_as_it_was_written() {
        for (words, read) in [
            ("at www.evil.example/a_b", "<p>at <code>www.evil.example/a_b</code></p>"),
            ("`https://evil.example`", "<p><code>`https://evil.example`</code></p>"),
            ("a_b_c & *d*", "<p>a_b_c &amp; *d*</p>"),
        ] {
            assert_eq!(rendered(&plain(words)).trim_end(), read);
        }
    }
}
