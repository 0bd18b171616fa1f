//! A mail before anybody knows how it is sent: what [`Mailer`](crate::ports::Mailer) takes.
//!
//! It is plain values. The crate `mail` makes MIME of it and sends it, so that only functions which send link what that
//! takes; whoever writes a mail needs this module alone.
//!
//! What stands in a mail was often written by strangers. A line that goes into a header, or into a sentence of the mail,
//! is made one by [`one_line`] first: no line breaks, no other control characters, and none of the marks that turn the
//! direction of writing round for all that follows; [`discreet`] takes out addresses and links too. That is for the looks; that no text can become a header of its own
//! is the business of the library that writes the MIME, and of its tests.

use domain::identity::Email;
use domain::time::Timestamp;

/// An address with the name of who reads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name, where there is one.
    pub name: Option<String>,
    /// The address.
    pub email: Email,
}

/// A mail to one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What tells it from every other mail, in ASCII letters, digits, `-` and `.`: its `Message-ID` is made of it, so that
    /// the same mail sent twice is recognised as one wherever that is looked at.
    pub id: String,
    /// Who writes.
    pub from: Mailbox,
    /// Who reads.
    pub to: Mailbox,
    /// Where answers go; to `from` where nothing is said.
    pub reply_to: Option<Mailbox>,
    /// The subject.
    pub subject: String,
    /// The text, for those who read no HTML.
    pub text: String,
    /// The same as an HTML document.
    pub html: String,
    /// When it was written.
    pub date: Timestamp,
    /// Further headers. Names are written in the code, never taken from anywhere.
    pub headers: Vec<(&'static str, String)>,
    /// By what the mail is known again in what the mail service tells of it, where one does: SES tells, SMTP tells nothing.
    /// They do not stand in the mail. Values are ASCII letters, digits, `-` and `_`.
    pub tags: Vec<(&'static str, String)>,
}

/// Tells whether a character is one of those that turn the direction of writing round, or hide there.
const fn turns(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Makes one line of a text, of at most so many characters.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let clean: String =
        text.chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let cut: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// What [`discreet`] writes where a link stood.
pub const LINK: &str = "(link)";

/// Makes one line of what a stranger typed in for colleagues to read, without what does not belong there: addresses, which
/// mails and their subjects should not carry about, and links, which a mail program would make clickable under our name.
/// Mail programs take `evil.example/win` for one too, so what looks like the name of a host goes: `Inc.`, `e.g.`, `3.5` and
/// initials do not, and neither does `report.pdf`.
#[must_use]
pub fn discreet(text: &str, most: usize) -> String {
    let line = one_line(text, usize::MAX);
    let words = line.split(' ').map(|word| match word {
        _ if word.contains("://") || word.to_ascii_lowercase().starts_with("www.") => LINK,
        _ if word.contains('@') => "(address)",
        _ if names_host(word) => LINK,
        word => word,
    });
    one_line(&words.collect::<Vec<_>>().join(" "), most)
}

/// Endings of files that are no top-level domain, so that no mail program takes a name with one for a host. A list of what
/// is none, rather than of all that are: what is missing here is taken for a link. `zip`, `mov` and `md` are domains, and so
/// is `sc`, which makes a link of `M.Sc.`.
const FILES: [&str; 20] = [
    "bmp", "csv", "doc", "docx", "gif", "htm", "html", "jpeg", "jpg", "json", "pdf", "png", "ppt", "pptx",
    "rtf", "svg", "txt", "xls", "xlsx", "xml",
];

/// Tells whether the name of a host stands in a word, outside of the path of a page of our own, such as `/papers/a.pdf`.
fn names_host(word: &str) -> bool {
    const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];
    let outside = |c: char| !(c.is_alphanumeric() || c == '-' || DOTS.contains(&c));
    let is_label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let is_top = |label: &str| {
        let word = label.chars().count() > 1 && label.chars().all(char::is_alphabetic);
        label.starts_with("xn--") || (word && !FILES.contains(&label.to_ascii_lowercase().as_str()))
    };
    let is_host = |run: &str| {
        let labels: Vec<&str> = run.split(DOTS).collect();
        labels.windows(2).any(|pair| matches!(pair, [label, top] if is_label(label) && is_top(top)))
    };
    let mut in_path = false;
    word.replace("//", " ").split_inclusive(outside).any(|part| {
        let found = !in_path && is_host(part.trim_end_matches(outside));
        in_path = part.ends_with('/');
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_stranger_typed_in_carries_no_address_and_no_link() {
        assert_eq!(discreet("Ada  ada@company.example", 80), "Ada (address)");
        assert_eq!(discreet("/pricing?for=ada@company.example", 80), "(address)");
        assert_eq!(discreet("Win: HTTPS://evil.example/t/f/x WWW.evil.example", 80), "Win: (link) (link)");
        assert_eq!(discreet("Łukasz Žižka, www GmbH: 3//4", 80), "Łukasz Žižka, www GmbH: 3//4");
        assert_eq!(discreet("ada@company.example", 5), "(add…");
    }

    #[test]
    fn the_name_of_a_host_is_a_link_without_a_scheme_too_and_short_forms_stay() {
        for link in [
            "evil.example",
            "evil.example/win",
            "Evil.Example:8080/t?x=1",
            "(evil.example)",
            "“evil.example”,",
            "//evil.example/win",
            "x,evil.example",
            "...evil.example...",
            "e-vil.co.uk#x",
            "bücher.example",
            "evil\u{3002}example",
            "xn--bcher-kva.xn--p1ai",
            "evil.zip",
            "evil.MOV",
            "m.sc.",
            "evil.example.pdf",
            "report.pdf.evil.example",
            "evil.pdfs",
            "report.pdf,evil.example",
            "https://evil.pdf",
            "www.evil.pdf",
        ] {
            assert_eq!(discreet(&format!("Win: {link} now"), 80), "Win: (link) now", "{link}");
        }
        for text in [
            "Acme Inc., e.g. 3.5 t, J.R. Ewing, Ph.D. & Co. KG",
            "Dipl.-Ing. Žižka s.r.o. – 1.250,00 EUR... ok",
            "read /papers/savings.pdf and “/pricing.html”",
            "https: www v1.2 wait...now",
            "see report.pdf, “Prices.XLSX” and offer.v2.docx",
        ] {
            assert_eq!(discreet(text, 80), text);
        }
    }

    #[test]
    fn a_line_has_no_breaks_no_controls_and_no_marks_that_turn_it_round() {
        assert_eq!(one_line(" Ada\r\nBcc: eve@evil.example\t\u{0} ", 80), "Ada Bcc: eve@evil.example");
        assert_eq!(one_line("\u{202e}tfiws\u{2066} \u{200b}x", 80), "tfiws x");
        assert_eq!(one_line("Łukasz Žižka 王", 80), "Łukasz Žižka 王");
        assert_eq!(one_line("Ada Lovelace", 5), "Ada…");
        assert_eq!(one_line("Ada Lovelace", 12), "Ada Lovelace");
    }

    proptest! {
        #[test]
        fn a_line_is_never_longer_than_asked_for_and_making_it_twice_changes_nothing(text in ".{0,200}", most in 1_usize..80) {
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(|c| c.is_control() || turns(c)));
            prop_assert_eq!(one_line(&line, most), line);
        }
    }
}
