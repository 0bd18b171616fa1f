//! The HTML of a letter: made of MJML where it is that, with every link led where it should, and in the end with what a
//! letter may not lack.
//!
//! Links are rewritten where they stand, by a rewriter that reads HTML as browsers do and leaves all else as it was, the
//! comments for Outlook included. Nothing in a letter is loaded before somebody looks at it but its pictures: the fonts that
//! MJML would fetch from elsewhere are not asked for.

use super::address::{self, Link, Links};
use super::context::STRANGE_HOST;
use lol_html::html_content::ContentType;
use lol_html::{RewriteStrSettings, element, rewrite_str};
use maud::{Markup, html};
use mrml::prelude::parser::ParserOptions;
use mrml::prelude::render::RenderOptions;
use std::cell::{Cell, RefCell};

/// How deep elements of MJML may lie in each other: reading it goes down as deep.
const DEEPEST: usize = 100;
/// What no mail program runs, or what would lead elsewhere than it says; a letter with one of these is not believed.
const REFUSED: &[&str] = &["script", "iframe", "object", "embed", "form", "base", "meta[http-equiv=refresh]"];

/// Tells whether a body is MJML.
pub(super) fn is_mjml(body: &str) -> bool {
    body.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<mjml"))
}

/// Makes HTML of MJML.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn from_mjml(mjml: &str) -> Result<String, Vec<String>> {
    if mjml.to_ascii_lowercase().contains("<mj-include") {
        return Err(vec!["has mj-include; a letter is whole in itself".to_owned()]);
    }
    if depth(mjml) > DEEPEST {
        return Err(vec![format!("has elements more than {DEEPEST} deep in each other")]);
    }
    let mjml = &spaced(mjml);
    let line = |at: usize| mjml.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let options = ParserOptions::default();
    let parsed = mrml::parse_with_options(mjml, &options).map_err(|error| {
        let at = place(&error).map_or(String::new(), |at| format!(" in line {}", line(at)));
        vec![format!("is no MJML{at}: {}", in_words(&error))]
    })?;
    let warnings: Vec<String> = parsed
        .warnings
        .iter()
        .map(|warning| format!("is no MJML in line {}: {}", line(warning.span.start), warning.kind))
        .collect();
    if !warnings.is_empty() {
        return Err(warnings);
    }
    // Without a table of fonts none is loaded from elsewhere: a reader's program has its own.
    let options = RenderOptions { fonts: std::collections::HashMap::new(), ..RenderOptions::default() };
    parsed.element.render(&options).map_err(|error| vec![format!("cannot be rendered: {error}")])
}

/// Puts spaces before each `>` that stands within two bytes behind a letter of several. The parser of MJML looks two bytes
/// back from there without asking whether a letter begins (htmlparser 0.2.1, `parse_text_impl`), and would fall over. In a
/// text, a tag and a style such spaces mean nothing.
fn spaced(mjml: &str) -> String {
    let mut spaced = String::with_capacity(mjml.len());
    for (at, c) in mjml.char_indices() {
        if c == '>' && !mjml.is_char_boundary(at.saturating_sub(2)) {
            spaced.push_str("  ");
        }
        spaced.push(c);
    }
    spaced
}

/// Counts how deep elements lie in each other.
fn depth(mjml: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for part in mjml.split('<').skip(1) {
        if part.starts_with('/') {
            depth = depth.saturating_sub(1);
        } else if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let tag = part.split('>').next().unwrap_or_default();
            let name = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
            if !tag.ends_with('/') && !VOID.contains(&name) {
                depth += 1;
                deepest = deepest.max(depth);
            }
        }
    }
    deepest
}

/// Elements of HTML that are never closed.
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

fn place(error: &mrml::prelude::parser::Error) -> Option<usize> {
    use mrml::prelude::parser::Error as E;
    match error {
        E::UnexpectedElement { position, .. }
        | E::UnexpectedToken { position, .. }
        | E::MissingAttribute { position, .. }
        | E::InvalidAttribute { position, .. }
        | E::InvalidFormat { position, .. }
        | E::IncludeLoaderError { position, .. } => Some(position.start),
        _ => None,
    }
}

/// Says what is wrong without the library's way of naming places.
fn in_words(error: &mrml::prelude::parser::Error) -> String {
    use mrml::prelude::parser::Error as E;
    match error {
        E::UnexpectedElement { .. } => "an element stands where it may not".to_owned(),
        E::UnexpectedToken { .. } => "something stands where it may not".to_owned(),
        E::MissingAttribute { name, .. } => format!("an element lacks its attribute {name}"),
        E::InvalidAttribute { .. } => "an attribute is not as it should be".to_owned(),
        E::InvalidFormat { .. } => "something is not written as it should be".to_owned(),
        E::EndOfStream { .. } => "it ends too early; is an element not closed?".to_owned(),
        E::NoRootNode => "it has no element mjml".to_owned(),
        E::ParserError { source, .. } => source.to_string(),
        _ => "it cannot be read".to_owned(),
    }
}

/// Wraps HTML that is only a part of a document.
pub(super) fn document(html: String, language: &str) -> String {
    let start = html.trim_start().to_ascii_lowercase();
    if start.starts_with("<!doctype") || start.starts_with("<html") {
        return html;
    }
    format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"></head><body>{html}</body></html>"
    )
}

/// A letter whose links lead where they should.
#[derive(Clone, Debug)]
pub(super) struct Led {
    /// The HTML.
    pub(super) html: String,
    /// Whether there is a body to put something into.
    has_body: bool,
    /// What is wrong with it.
    pub(super) faults: Vec<String>,
}

/// Leads every link and picture where it should; what leads nowhere is no link any more, and named.
///
/// # Errors
///
/// That the HTML cannot be read.
pub(super) fn led(source: &str, language: &str, links: &Links<'_>) -> Result<Led, String> {
    let faults = RefCell::new(Vec::new());
    let has_body = Cell::new(false);
    let fault = |text: String| {
        let mut faults = faults.borrow_mut();
        if !faults.contains(&text) {
            faults.push(text);
        }
    };
    let mut settings = RewriteStrSettings::new()
        .append_element_content_handler(element!("a[href], area[href]", |element| {
            let raw = element.get_attribute("href").unwrap_or_default();
            let href = html_escape::decode_html_entities(&raw).into_owned();
            match links.written(href.trim()) {
                Ok(written) => {
                    let target = address::read(&href, links.site);
                    if matches!(&target, Link::Web(url) if address::host(url).is_some_and(|host| host.contains(STRANGE_HOST))) {
                        fault("makes an address of what is known of the lead, which strangers write".to_owned());
                    }
                    element.set_attribute("href", &html_escape::encode_double_quoted_attribute(&written))?;
                }
                Err(link) => {
                    element.remove_attribute("href");
                    fault(no_link(&link));
                }
            }
            Ok(())
        }))
        .append_element_content_handler(element!("img[src]", |element| {
            let raw = element.get_attribute("src").unwrap_or_default();
            let src = html_escape::decode_html_entities(&raw).into_owned();
            let scheme = src.split_once(':').map(|(scheme, _)| scheme.trim().to_ascii_lowercase());
            if matches!(scheme.as_deref(), Some("cid" | "data")) {
                return Ok(());
            }
            match address::read(&src, links.site) {
                Link::Web(url) => element.set_attribute("src", &html_escape::encode_double_quoted_attribute(&url))?,
                link => {
                    element.remove_attribute("src");
                    fault(no_picture(&link));
                }
            }
            Ok(())
        }))
        .append_element_content_handler(element!("html", |element| {
            let own = element.get_attribute("lang");
            if own.is_none_or(|own| own.is_empty() || own == "und") {
                element.set_attribute("lang", language)?;
            }
            Ok(())
        }))
        .append_element_content_handler(element!("body", |_| {
            has_body.set(true);
            Ok(())
        }))
        .append_element_content_handler(element!("*", |element| {
            if element.has_attribute("onleadloop") {
                fault("puts a value into an attribute without quotation marks".to_owned());
            }
            let name = element.tag_name();
            if name.starts_with("mj-") {
                fault(format!("has an element {name} where MJML knows none"));
            }
            Ok(())
        }));
    for refused in REFUSED {
        settings = settings.append_element_content_handler(element!(*refused, |element| {
            fault(format!("has an element {}, which has no place in a mail", element.tag_name()));
            element.remove();
            Ok(())
        }));
    }
    let rewritten = rewrite_str(source, settings).map_err(|error| format!("is no HTML: {error}"))?;
    Ok(Led { html: rewritten, has_body: has_body.get(), faults: faults.into_inner() })
}

fn no_link(link: &Link) -> String {
    match link {
        Link::Homeless => {
            "links to a path of the own site, and the playbook's nurture.site does not say where that is"
                .to_owned()
        }
        _ => "has a link that leads nowhere; expected https://…, mailto:, tel:, or a path of the own site"
            .to_owned(),
    }
}

fn no_picture(link: &Link) -> String {
    match link {
        Link::Homeless => {
            "shows a picture of the own site, and the playbook's nurture.site does not say where that is"
                .to_owned()
        }
        _ => "has a picture that is nowhere; expected https://… or a path of the own site".to_owned(),
    }
}

/// Puts what stands before a letter and what stands behind it into its HTML.
///
/// # Errors
///
/// As [`led`].
pub(super) fn framed(led: &Led, before: &str, behind: &str) -> Result<String, String> {
    if !led.has_body {
        return Ok(format!("{before}{}{behind}", led.html));
    }
    let settings = RewriteStrSettings::new().append_element_content_handler(element!("body", |element| {
        element.prepend(before, ContentType::Html);
        element.append(behind, ContentType::Html);
        Ok(())
    }));
    rewrite_str(&led.html, settings).map_err(|error| format!("is no HTML: {error}"))
}

/// Gives the line that mailboxes show beside the subject, which the letter itself does not show.
pub(super) fn preheader(text: &str) -> Markup {
    html! { div style="display:none;max-height:0;overflow:hidden;mso-hide:all" { (text) } }
}

/// Gives what a letter shows at its end that shows it nowhere else.
pub(super) fn footer(postal_address: &str, unsubscribe: (&str, &str)) -> Markup {
    let (word, url) = unsubscribe;
    html! {
        p style="font: 12px/1.5 Helvetica, Arial, sans-serif; color: #555c66; text-align: center; padding: 16px" {
            (postal_address) br; a href=(url) style="color: #555c66" { (word) }
        }
    }
}

/// Gives the picture that nobody sees and that says that somebody looked.
pub(super) fn pixel(url: &str) -> Markup {
    html! { img src=(url) width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px"; }
}
