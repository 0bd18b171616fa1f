//! Who said it is taken out of what was said.
//!
//! What is promised is a form, not a person: e-mail addresses, handles, phone numbers with their country code, and addresses
//! of pages that name a writer. People paste such things with every character that looks right, so a full-width `＠` is
//! an `@`, and any space or dash may stand within a number. Where a form is in doubt, the words go: a quote with a hole
//! still serves, a name that was kept is found only by its owner. What has a currency behind it, or no letter behind its
//! `@`, is a figure, and stays.
//!
//! Of a network that is known, an address is kept only in the forms of which is known that they name nobody, since
//! each network writes names in another place, and a new place every year. Of all other sites it is kept unless it looks
//! like a writer's page.

use percent_encoding::percent_decode_str;

/// What stands where a name was.
const BLACKED_OUT: &str = "[…]";
/// How many digits a phone number has at least, the country code included.
const PHONE_DIGITS: usize = 7;
/// What makes a number an amount, behind it.
const CURRENCIES: &[&str] = &["€", "$", "£", "¥", "%", "EUR", "USD", "CHF", "GBP"];
/// After these a path, and as these a field of a query, names a person on most sites.
const WRITERS: &[&str] = &[
    "account", "accounts", "answer", "author", "authors", "in", "member", "members", "people", "profile",
    "profiles", "u", "user", "username", "users",
];
/// The networks whose addresses name people, each with how paths begin that do not.
const NETWORKS: &[(&str, &[&str])] = &[
    ("bsky.app", &["hashtag"]),
    ("facebook.com", &["events", "groups", "hashtag", "reel", "watch"]),
    ("instagram.com", &["p", "reel", "reels", "tv"]),
    ("linkedin.com", &["feed", "groups"]),
    ("medium.com", &["p", "tag"]),
    ("pinterest.com", &["pin"]),
    ("quora.com", &[]),
    ("reddit.com", &["comments", "r"]),
    ("snapchat.com", &[]),
    ("t.me", &[]),
    ("threads.com", &["t"]),
    ("threads.net", &["t"]),
    ("tiktok.com", &["t", "tag"]),
    ("tumblr.com", &["tagged"]),
    ("twitter.com", &["hashtag", "i"]),
    ("wa.me", &[]),
    ("x.com", &["hashtag", "i"]),
    ("xing.com", &["communities"]),
    ("youtube.com", &["live", "playlist", "shorts", "watch"]),
];
/// On these a writer has a host of their own.
const HOSTS: &[&str] = &[
    "blogspot.com",
    "bsky.social",
    "github.io",
    "medium.com",
    "substack.com",
    "tumblr.com",
    "wordpress.com",
];

/// Blacks out e-mail addresses, handles such as `@ada` and phone numbers with their country code, and cuts down addresses
/// of pages.
#[must_use]
pub fn without_names(text: &str) -> String {
    let words: String = text.split_inclusive(char::is_whitespace).map(without_handle).collect();
    without_phones(&words)
}

/// Tells what is not seen, such as the marks of direction around a number that was copied from a telephone.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠' | '﹫')
}

/// Blacks out a word that is or holds a handle or an e-mail address, but for the marks around it.
fn without_handle(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if let Some((before, address)) =
        ["https://", "http://"].iter().find_map(|scheme| word.split_at_checked(lower.find(scheme)?))
        && !before.contains(is_at)
    {
        let bare = address.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '/' | '-' | '_')));
        let end = address.strip_prefix(bare).unwrap_or_default();
        return format!("{before}{}{end}", without_author(bare).as_deref().unwrap_or(BLACKED_OUT));
    }
    let written = word.replace("%40", "@");
    // A letter behind it, wherever within the word: a number is a price, and what is unseen hides no name.
    let names = written.split(is_at).skip(1).any(|after| {
        let mut seen = after.chars().skip_while(|c| is_unseen(*c));
        let first = seen.next().filter(|c| c.is_alphanumeric() || *c == '_');
        first.is_some_and(|first| first.is_alphabetic() || first == '_' || seen.any(char::is_alphabetic))
    });
    if !names {
        return word.to_owned();
    }
    let mark = |c: char| !(c.is_alphanumeric() || c == '_' || is_at(c) || is_unseen(c));
    let (start, end) = (word.len() - word.trim_start_matches(mark).len(), word.trim_end_matches(mark).len());
    let (start, end) = (word.get(..start).unwrap_or_default(), word.get(end..).unwrap_or_default());
    format!("{start}{BLACKED_OUT}{end}")
}

/// Tells what may stand between the digits of a phone number: every space and dash that people type or paste.
fn is_within_phone(c: char) -> bool {
    c.is_whitespace()
        || is_unseen(c)
        || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
        || matches!(c, '/' | '(' | ')' | '.' | '·')
}

/// Blacks out phone numbers with their country code, which a plus sign or two zeros announce.
fn without_phones(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if let Some(after) = phone(&out, rest) {
            out.push_str(BLACKED_OUT);
            rest = after;
        } else {
            out.push(first);
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    out
}

/// Gives what follows a phone number at the start of a text; none where there is no such number.
fn phone<'a>(before: &str, text: &'a str) -> Option<&'a str> {
    let last = before.chars().next_back();
    let digit_before = |text: &str| text.chars().next_back().is_some_and(char::is_numeric);
    let number = if let Some(number) = text.strip_prefix(['+', '＋', '﹢']) {
        // In "2 + 3 000 000" it is a sum.
        let sum = number.starts_with(char::is_whitespace) && digit_before(before.trim_end());
        (!sum).then_some(number)?
    } else {
        let number = text.strip_prefix("00")?;
        // Thousands go on with zeros, and no country's code begins with one; what follows a comma or colon is the rest of
        // an amount or a time.
        let goes_on = last.is_some_and(|c| {
            c.is_alphanumeric()
                || (matches!(c, '.' | ',' | ':' | '\'' | '’') && digit_before(before.trim_end_matches(c)))
        });
        let country = number.chars().find(|c| !is_within_phone(*c))?;
        (!goes_on && country.is_numeric() && country != '0').then_some(number)?
    };
    let end = number.find(|c: char| !(c.is_numeric() || is_within_phone(c))).unwrap_or(number.len());
    // What follows the last digit belongs to the sentence.
    let digits = number.get(..end)?.trim_end_matches(|c: char| !c.is_numeric());
    let after = number.strip_prefix(digits)?;
    let enough = digits.chars().filter(|c| c.is_numeric()).count() >= PHONE_DIGITS;
    let decimals =
        after.strip_prefix(',').is_some_and(|cents| cents.starts_with(|c: char| c.is_ascii_digit()));
    let amount = decimals || CURRENCIES.iter().any(|unit| after.trim_start().starts_with(unit));
    (enough && !amount).then_some(after)
}

/// Cuts off the address of a post what names who wrote it: of what is known to do so, all but the network.
///
/// `None` where it is no address of a page.
#[must_use]
pub fn without_author(url: &str) -> Option<String> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| {
        url.split_at_checked(scheme.len()).is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme))
    })?;
    let (_, rest) = url.split_at_checked(scheme.len())?;
    let (host, path) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if host.is_empty() || !host.chars().all(plain) || url.contains(|c: char| !c.is_ascii_graphic()) {
        return None;
    }
    if url.contains(['"', '<', '>', '\\', '`']) {
        return None;
    }
    let site = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let site = site.strip_prefix("www.").unwrap_or(&site);
    let under = |name: &str| site.strip_suffix(name).is_some_and(|sub| sub.ends_with('.'));
    if let Some(shared) = HOSTS.iter().find(|name| under(name)) {
        return Some(format!("{scheme}{shared}/"));
    }
    // As the site's server reads it.
    let read = |text: &str| percent_decode_str(text).decode_utf8_lossy().to_lowercase();
    let (path, more) = path.split_at_checked(path.find(['?', '#']).unwrap_or(path.len()))?;
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(read).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (query, more_is_read) =
        (more.split('#').next().unwrap_or_default().trim_start_matches('?'), read(more));
    let fields = query.split('&').map(|field| field.split_once('=').unwrap_or((field, "")));
    let writer = |word: &str| WRITERS.contains(&word.split('.').next().unwrap_or(word));
    let names = parts.iter().any(|part| part.starts_with('~') || matches!(*part, "." | "..") || writer(part))
        || parts.iter().chain([&more_is_read.as_str()]).any(|part| part.contains(is_at))
        || fields.clone().any(|(name, _)| writer(&read(name)));
    let network = NETWORKS.iter().find(|(name, _)| site == *name || under(name));
    let Some((network, nameless)) = network else {
        return Some(if names { format!("{scheme}{host}/") } else { url.to_owned() });
    };
    if let ("x.com" | "twitter.com", [_, "status" | "statuses", post, ..]) = (*network, parts.as_slice())
        && post.chars().all(|c| c.is_ascii_digit())
    {
        return Some(format!("{scheme}{host}/i/status/{post}"));
    }
    // A subreddit of its own is everybody's on Reddit.
    let own = matches!(parts.as_slice(), ["r", own, ..] if own.starts_with("u_"));
    if names || own || !parts.first().is_some_and(|first| nameless.contains(first)) {
        return Some(format!("{scheme}{host}/"));
    }
    // Of what follows the path a network needs at most which video; the rest may say who watched and who shared it.
    let video = fields.clone().find(|(name, _)| *name == "v").map(|(_, video)| format!("?v={video}"));
    Some(format!("{scheme}{host}{path}{}", video.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_keeps_what_was_said_and_not_by_whom() {
        for (text, kept) in [
            ("Thanks @ada_l, it works!", "Thanks […], it works!"),
            ("Thanks @@ada_l!", "Thanks […]!"),
            ("Thanks ＠ada and ﹫ada", "Thanks […] and […]"),
            ("Thanks @\u{200b}ada", "Thanks […]"),
            ("Thanks\u{a0}@ada\u{a0}now\n@ada\tthen", "Thanks\u{a0}[…]\u{a0}now\n[…]\tthen"),
            ("Write to ada@company.example.", "Write to […]."),
            ("Mail 5@/each:ada@company.example", "Mail […]"),
            ("mailto:ada%40company.example", "[…]"),
            ("(@ada) said so", "([…]) said so"),
            ("@99ada and @_a", "[…] and […]"),
            (
                "See (https://x.com/ada/status/17), or https://youtube.com/@ada.",
                "See (https://x.com/i/status/17), or https://youtube.com/.",
            ),
            ("Call +43 (1) 234-567 89, please", "Call […], please"),
            ("Call 0043 664 1234567.", "Call […]."),
            ("Tel:0043664/1234567", "Tel:[…]"),
            ("Room 5, 0043 664 1234567", "Room 5, […]"),
            ("00\u{a0}43 664 1234567", "[…]"),
            ("+43\u{2009}664\u{202f}123\u{a0}45 67!", "[…]!"),
            ("\u{202a}+43\u{202c} 664 \u{2066}1234567\u{2069}", "\u{202a}[…]\u{2069}"),
            ("+43–664–1234567 or +43—664‑1234567", "[…] or […]"),
            ("+ 43 664 1234567 and ＋43 664 1234567", "[…] and […]"),
            ("+４３ ６６４ １２３４５６７", "[…]"),
            ("+43\n664\r\n1234567", "[…]"),
        ] {
            assert_eq!(without_names(text), kept, "{text:?}");
            assert_eq!(without_names(kept), kept, "twice: {text:?}");
        }
    }

    #[test]
    fn a_figure_is_no_name() {
        for text in [
            "We grew +20 % in 2026",
            "Sold @ 5 EUR, or 5@ each",
            "At 5@10, 5@10.50 or @10€",
            "From 2019–2026 and 2020 - 2024",
            "1 000 000 000 users, 1.000.000,00 EUR",
            "It was 10:00 1234567 times, 3,00 1234567",
            "+1 200 000 € and +1.234.567,89",
            "2 + 3 000 000 are many",
            "Order 0012345, room 007",
            "In C++ 20 and Google+ since 2011",
            "agent 0000000000",
            "Nothing",
            "",
            "https://news.example/item?id=17",
        ] {
            assert_eq!(without_names(text), text);
        }
    }

    #[test]
    fn an_address_keeps_what_does_not_name_its_author() {
        for (url, kept) in [
            ("https://x.com/ada/status/17?s=20", "https://x.com/i/status/17"),
            ("https://twitter.com/Ada/Status/17", "https://twitter.com/i/status/17"),
            ("https://x.com/ada", "https://x.com/"),
            ("https://x.com/p/ada", "https://x.com/"),
            ("https://x.com/groups/status/ada", "https://x.com/"),
            ("https://x.com/search?q=from%3Aada", "https://x.com/"),
            ("https://mastodon.example/@ada/17", "https://mastodon.example/"),
            ("https://mastodon.example/web/%40ada/17", "https://mastodon.example/"),
            ("https://mastodon.example/Users/ada/statuses/17", "https://mastodon.example/"),
            ("https://www.linkedin.com/posts/ada-example_work-17", "https://www.linkedin.com/"),
            ("https://at.linkedin.com/In/ada-example", "https://at.linkedin.com/"),
            ("https://www.linkedin.com/pulse/work-ada-example", "https://www.linkedin.com/"),
            ("https://facebook.com/p/Ada-Example-100064/", "https://facebook.com/"),
            ("https://m.facebook.com./ada.example", "https://m.facebook.com./"),
            ("https://facebook.com:443/ada.example", "https://facebook.com:443/"),
            ("https://facebook.com/profile.php?id=100064", "https://facebook.com/"),
            ("https://facebook.com/groups/17/user/100064", "https://facebook.com/"),
            ("https://facebook.com/groups/../ada.example", "https://facebook.com/"),
            ("https://facebook.com/groups/%2e%2e/ada.example", "https://facebook.com/"),
            ("https://www.instagram.com/ada.example/", "https://www.instagram.com/"),
            ("https://www.instagram.com/ada.example/p/C17/", "https://www.instagram.com/"),
            ("https://www.instagram.com/p/C17/?igsh=ada", "https://www.instagram.com/p/C17/"),
            ("https://www.reddit.com/user/ada/comments/17", "https://www.reddit.com/"),
            ("https://www.reddit.com/User/ada/comments/17", "https://www.reddit.com/"),
            ("https://www.reddit.com/r/u_ada/comments/17", "https://www.reddit.com/"),
            ("https://bsky.app/Profile/ada.example/post/17", "https://bsky.app/"),
            ("https://youtube.com/c/AdaExample", "https://youtube.com/"),
            ("https://youtube.com/@ada", "https://youtube.com/"),
            ("https://youtube.com/AdaExample", "https://youtube.com/"),
            ("https://www.youtube.com/watch?ab_channel=Ada&v=a17", "https://www.youtube.com/watch?v=a17"),
            ("https://www.tiktok.com/@ada/video/17", "https://www.tiktok.com/"),
            ("https://ada.substack.com/p/work", "https://substack.com/"),
            ("https://ada.tumblr.com/post/17", "https://tumblr.com/"),
            ("https://medium.com/ada/work-17", "https://medium.com/"),
            ("https://wa.me/436641234567", "https://wa.me/"),
            ("https://forum.example/%55ser/ada", "https://forum.example/"),
            ("https://forum.example/posts?User=ada", "https://forum.example/"),
            ("https://forum.example/posts?by=ada%40company.example", "https://forum.example/"),
            ("https://forum.example/~ada/", "https://forum.example/"),
            ("HTTPS://forum.example/u/ada", "https://forum.example/"),
        ] {
            assert_eq!(without_author(url).as_deref(), Some(kept), "{url}");
            assert_eq!(without_author(kept).as_deref(), Some(kept), "twice: {url}");
        }
        for url in [
            "https://www.linkedin.com/feed/update/urn:li:activity:17",
            "https://www.reddit.com/r/erp/comments/17",
            "https://www.facebook.com/groups/17/posts/18",
            "https://www.instagram.com/p/C17/",
            "https://news.example/item?id=17",
            "https://news.example/p/work?page=2#comments",
            "https://notx.com/ada/status/17",
            "https://youtu.be/a17",
        ] {
            assert_eq!(without_author(url).as_deref(), Some(url), "{url}");
        }
        for url in [
            "https://ada:secret@news.example/",
            "javascript:alert(1)",
            "https://news.example/\"onclick=",
            "https://",
            "https://news.example/a b",
            "ä",
        ] {
            assert_eq!(without_author(url), None, "{url}");
        }
    }
}
