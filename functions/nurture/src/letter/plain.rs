//! The text of a letter, for those who read no HTML, and for spam filters, which want both to say the same.
//!
//! It is made of the HTML: tables are read cell by cell, since mails are laid out in them, and links are numbered in the text
//! and stand whole at its end, each in a line of its own. Or the template has its own, whose links are led as those of the
//! HTML are.

use super::address::Links;
use html2text::config;
use linkify::{LinkFinder, LinkKind};

/// How many characters a line has.
const WIDTH: usize = 76;

/// Makes the text of HTML whose links lead where they should.
///
/// # Errors
///
/// That there is none.
pub(super) fn from_html(html: &str) -> Result<String, String> {
    let text = config::plain_no_decorate()
        .raw_mode(true)
        .link_footnotes(true)
        .no_link_wrapping()
        .allow_width_overflow()
        .string_from_read(html.as_bytes(), WIDTH)
        .map_err(|error| format!("cannot be made a text: {error}"))?;
    Ok(tidy(&text))
}

/// Leads the links of a text where they should.
pub(super) fn led(text: &str, links: &Links<'_>) -> String {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    let mut written = String::with_capacity(text.len());
    for span in finder.spans(text) {
        match span.kind() {
            Some(_) => written.push_str(&links.written(span.as_str()).unwrap_or(span.as_str().into())),
            None => written.push_str(span.as_str()),
        }
    }
    tidy(&written)
}

/// Takes away what trails at lines, and more than one empty line after the other.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy.push('\n');
    tidy
}

/// Tells whether a text shows another, however its lines are broken: also within what has no spaces, such as an address in
/// Japanese.
pub(super) fn shows(text: &str, what: &str) -> bool {
    let letters = |text: &str| text.split_whitespace().collect::<String>();
    letters(text).contains(&letters(what))
}
