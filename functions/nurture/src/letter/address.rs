//! Where the links of a letter lead.
//!
//! A link of the web gets, in this order: the own site before it where it is a path, the parameters by which web analytics
//! and our own forms recognise where a visit came from, and the address by which a click is seen. Parameters that stand there
//! already are kept, so that whoever wrote the template or planned the content decides.

use super::Ways;
use std::borrow::Cow;

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A place on the web, whole.
    Web(String),
    /// To write, to call, or a place in the same mail: it stays as it is.
    Kept,
    /// A path of our own site, and nobody said where that is.
    Homeless,
    /// What no mail program should be asked to follow.
    Wrong,
}

/// Finds out what a link is; `site` is where our own is, without a slash at the end, or empty.
pub(super) fn read(href: &str, site: &str) -> Link {
    // Browsers leave out line breaks and tabs, wherever they stand.
    let href: String = href.trim().chars().filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
    let scheme = href.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if href.chars().any(char::is_control) || href.is_empty() {
        Link::Wrong
    } else if href.starts_with('#') {
        Link::Kept
    } else if href.starts_with("//") {
        Link::Web(format!("https:{href}"))
    } else if href.starts_with('/') {
        if site.is_empty() { Link::Homeless } else { Link::Web(format!("{site}{href}")) }
    } else {
        match scheme.as_deref() {
            Some("http" | "https") if host(&href).is_some_and(|host| !host.is_empty()) => Link::Web(href),
            Some("mailto" | "tel" | "sms") => Link::Kept,
            _ => Link::Wrong,
        }
    }
}

/// Gives the part of a link of the web that names the server.
pub(super) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

/// Adds parameters to a link of the web; those of a name that stands there are kept.
pub(super) fn with_parameters(url: &str, parameters: &[(&str, &str)]) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let (path, query) = url.split_once('?').map_or((url, ""), |(path, query)| (path, query));
    let has = |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(known, _)| known == name);
    let mut added = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.iter().filter(|(name, _)| !has(name)) {
        added.append_pair(name, value);
    }
    let added = added.finish();
    let parts: Vec<&str> = [query, &added].into_iter().filter(|part| !part.is_empty()).collect();
    let mut whole = path.to_owned();
    // What the server sees of a path without one is `/`.
    if host(path).is_some_and(|host| path.ends_with(host)) && !parts.is_empty() {
        whole.push('/');
    }
    if !parts.is_empty() {
        whole.push('?');
        whole.push_str(&parts.join("&"));
    }
    if let Some(fragment) = fragment {
        whole.push('#');
        whole.push_str(fragment);
    }
    whole
}

/// What is done to the links of one letter.
pub(super) struct Links<'a> {
    /// Where our own site is, without a slash at the end; empty where nobody said so.
    pub(super) site: &'a str,
    /// The parameters that every link of the web gets.
    pub(super) parameters: Vec<(&'static str, &'a str)>,
    /// The link that unsubscribes, which nobody counts clicks of.
    pub(super) unsubscribe: &'a str,
    /// How clicks are seen.
    pub(super) ways: &'a Ways<'a>,
}

impl Links<'_> {
    /// Gives what stands in the letter for a link: `None` where none should.
    pub(super) fn written<'h>(&self, href: &'h str) -> Result<Cow<'h, str>, Link> {
        if href == self.unsubscribe {
            return Ok(Cow::Borrowed(href));
        }
        match read(href, self.site) {
            Link::Web(url) => {
                let url = with_parameters(&url, &self.parameters);
                Ok(Cow::Owned(self.ways.click(&url).unwrap_or(url)))
            }
            Link::Kept => Ok(Cow::Borrowed(href)),
            other => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_link_is_of_the_web_or_kept_or_nothing_to_follow() {
        let web = |url: &str| Link::Web(url.to_owned());
        for (href, link) in [
            ("https://a.example/x", web("https://a.example/x")),
            (" HTTP://a.example ", web("HTTP://a.example")),
            ("https://a.exam\nple/x", web("https://a.example/x")),
            ("//a.example/x", web("https://a.example/x")),
            ("/papers/savings", web("https://www.company.example/papers/savings")),
            ("mailto:a@b.example", Link::Kept),
            ("TEL:+43", Link::Kept),
            ("#top", Link::Kept),
            ("java\tscript:alert(1)", Link::Wrong),
            ("data:text/html,x", Link::Wrong),
            ("papers/savings", Link::Wrong),
            ("https://", Link::Wrong),
            ("", Link::Wrong),
            ("\u{1}https://a.example", Link::Wrong),
        ] {
            assert_eq!(read(href, "https://www.company.example"), link, "{href:?}");
        }
        assert_eq!(read("/papers/savings", ""), Link::Homeless);
    }

    #[test]
    fn parameters_are_added_and_those_that_stand_there_are_kept() {
        let with = |url: &str| with_parameters(url, &[("utm_medium", "email"), ("utm_campaign", "a b&c")]);
        for (url, expected) in [
            ("https://a.example", "https://a.example/?utm_medium=email&utm_campaign=a+b%26c"),
            ("https://a.example/x#top", "https://a.example/x?utm_medium=email&utm_campaign=a+b%26c#top"),
            ("https://a.example/x?q=1", "https://a.example/x?q=1&utm_medium=email&utm_campaign=a+b%26c"),
            ("https://a.example/?utm_campaign=own", "https://a.example/?utm_campaign=own&utm_medium=email"),
            (
                "https://a.example/x?utm%5Fmedium=own&utm_campaign=",
                "https://a.example/x?utm%5Fmedium=own&utm_campaign=",
            ),
        ] {
            assert_eq!(with(url), expected);
        }
    }

    proptest! {
        #[test]
        fn adding_twice_changes_nothing_and_the_path_stays(
            path in "[a-z/%0-9]{0,20}", query in proptest::option::of("[a-z&=%_+]{0,30}"), fragment in proptest::option::of("[a-z?]{0,9}"),
        ) {
            let mut url = format!("https://a.example/{path}");
            url.extend(query.iter().map(|query| format!("?{query}")));
            url.extend(fragment.iter().map(|fragment| format!("#{fragment}")));
            let parameters = [("utm_source", "nurture"), ("utm_content", "x")];
            let once = with_parameters(&url, &parameters);
            prop_assert_eq!(with_parameters(&once, &parameters), once.clone());
            let start = format!("https://a.example/{path}?");
            prop_assert!(once.starts_with(&start), "{}", once);
            prop_assert!(query.is_none_or(|query| once.contains(&query)));
            let end = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
            prop_assert!(once.ends_with(&end));
        }
    }
}
