//! Texts of others made harmless in Markdown: each mark that would mean something is taken its meaning.
//!
//! Addresses need no mark to become links on GitHub and elsewhere, some before marks are read and some after, so that
//! no way of escaping holds everywhere. A word that may be one is shown as code, which is never a link.

/// Takes the marks of Markdown their meaning, and keeps a text in its line.
#[must_use]
pub fn plain(text: &str) -> String {
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Shows a word as it is, or as code where it may be taken for an address.
fn word(word: &str) -> String {
    let lower = word.to_lowercase();
    if ["://", "www.", "@", "mailto:", "xmpp:"].iter().any(|address| lower.contains(address)) {
        return code(word);
    }
    let mut out = String::new();
    for c in word.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Shows a text as code, between more backticks than it has beside each other.
#[must_use]
pub fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let (fence, space) = ("`".repeat(longest + 1), if longest > 0 { " " } else { "" });
    format!("{fence}{space}{text}{space}{fence}")
}
