//! Letters: the mails that go to leads.
//!
//! # Layout
//!
//! * this file – one letter, composed of all that it needs; nothing in it is asked from elsewhere;
//! * [`template`](mod@template) – what marketing writes, and all that can be wrong with it;
//! * `words` – the engine, and what it may do; `context` – what a template may name;
//! * `page` – the HTML, of MJML and out of it; `plain` – the text; `address` – where links lead.
//!
//! # What every letter has
//!
//! A subject, HTML and a text that say the same, a postal address, and a way to unsubscribe with one click: in the letter,
//! and in the headers that RFC 2369 and RFC 8058 name, which mailboxes show as a button. What a template leaves out of these
//! stands at the end. `List-Id` (RFC 2919) lets readers sort by program, and `Auto-Submitted` (RFC 3834) keeps holiday
//! replies from answering. `Feedback-ID` is not written here: SES writes its own, and two of them count as none. The
//! signature (DKIM) is the provider's.

mod address;
mod context;
mod page;
mod plain;
pub mod template;
mod words;

pub use template::{Template, Variant};

use crate::link::MailLinks;
use adapters::mail::{Mailbox, Message, one_line};
use address::Links;
use domain::consent::{ConsentStatus, Purpose};
use domain::content::Content;
use domain::content::language::Tongue;
use domain::identity::{Email, LeadId, Slug};
use domain::lead::Lead;
use domain::nurture::{Nurturing, Track};
use domain::playbook::Playbook;
use domain::time::Timestamp;
use thiserror::Error;
use words::Form;

/// The longest subject, in characters.
const SUBJECT: usize = 200;
/// What links are recognised by as those of a letter, whatever the program.
const SOURCE: &str = "nurture";

/// A program, as a letter names it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its id.
    pub id: &'a Slug,
    /// What people call it.
    pub name: &'a str,
}

/// How the links of a letter lead where they do.
#[derive(Clone, Copy, Debug)]
pub enum Ways<'a> {
    /// Signed, for the mail of a lead.
    Signed {
        /// Writes them.
        links: &'a MailLinks,
        /// From what the reader unsubscribes by them.
        purpose: Purpose,
        /// Whether it shows that the letter was opened.
        opens: bool,
        /// Whether it shows that a link was followed.
        clicks: bool,
    },
    /// As they are, for somebody who looks at a letter that is not sent: nothing is seen, and nobody unsubscribes.
    Shown,
}

impl<'a> Ways<'a> {
    /// Gives the ways for a mail of a program to a lead: what is tracked is what the playbook says, and what the lead agreed
    /// to.
    #[must_use]
    pub fn of(links: &'a MailLinks, lead: &Lead, nurture: &Nurturing) -> Self {
        let tracks = |track: Track| match track {
            Track::Always => true,
            Track::Never => false,
            Track::WithConsent => lead.consents.status(Purpose::Tracking) == Some(ConsentStatus::Confirmed),
        };
        Self::Signed {
            links,
            purpose: Purpose::Marketing,
            opens: tracks(nurture.opens),
            clicks: tracks(nurture.clicks),
        }
    }

    fn click(&self, url: &str) -> Option<String> {
        match self {
            Self::Signed { links, clicks: true, .. } => links.click(url),
            _ => None,
        }
    }

    fn pixel(&self) -> Option<String> {
        match self {
            Self::Signed { links, opens: true, .. } => Some(links.pixel()),
            _ => None,
        }
    }

    fn unsubscribe(&self) -> String {
        match self {
            Self::Signed { links, purpose, .. } => links.unsubscribe(*purpose),
            Self::Shown => context::SAMPLE_UNSUBSCRIBE.to_owned(),
        }
    }
}

impl<'a> From<&'a domain::nurture::Program> for Program<'a> {
    fn from(program: &'a domain::nurture::Program) -> Self {
        Self { id: &program.id, name: &program.title }
    }
}

/// All that one letter is made of.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Whom it goes to.
    pub lead: &'a Lead,
    /// Which of the lead's mails it is, from 1.
    pub number: u32,
    /// Where personas and topics have their names, and where the company is.
    pub playbook: &'a Playbook,
    /// The program that sends it.
    pub program: Program<'a>,
    /// What it brings.
    pub content: &'a Content,
    /// Why the lead gets it, in the program's words to the lead; where it says none, the template's.
    pub why: Option<&'a str>,
    /// How it looks.
    pub template: &'a Template,
    /// Who writes.
    pub from: &'a Mailbox,
    /// How its links lead where they do.
    pub ways: Ways<'a>,
    /// When it is written.
    pub now: Timestamp,
}

impl<'a> Order<'a> {
    /// Gives where the company is; words in its place where the letter is only looked at.
    fn postal_address(&self) -> Result<&'a str, ComposeError> {
        let said = self.playbook.nurture.postal_address.as_deref();
        let shown = matches!(self.ways, Ways::Shown).then_some("(your postal address)");
        said.or(shown).ok_or(ComposeError::NoPostalAddress)
    }

    /// Gives where its site is, without a slash at the end; empty where nobody said so.
    fn site(&self) -> &'a str {
        let said = self.playbook.nurture.site.as_deref();
        let shown = matches!(self.ways, Ways::Shown).then_some(context::SAMPLE_SITE);
        said.or(shown).unwrap_or_default()
    }
}

/// Says why there is no letter. None of it goes away by itself.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ComposeError {
    /// Nobody could be written to.
    #[error("the lead has no address")]
    NoAddress,
    /// A letter without one is against the law in most countries.
    #[error("the playbook has no nurture.postal_address, and no letter goes without")]
    NoPostalAddress,
    /// The content is a path of our own site.
    #[error(
        "the content is a path of the own site, and the playbook's nurture.site does not say where that is"
    )]
    NoSite,
    /// What of the template does not come out, and why; it never quotes what is known of the lead.
    #[error("the template's {0} {1}")]
    Template(&'static str, String),
}

/// A letter, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The subject.
    pub subject: String,
    /// The HTML.
    pub html: String,
    /// The text.
    pub text: String,
    /// In which language.
    pub language: String,
}

/// Gives the id of a letter, of which its `Message-ID` is made.
#[must_use]
pub fn id(lead: &LeadId, number: u32) -> String {
    format!("nurture.{lead}.{number}")
}

/// Composes a letter: the mail as it is sent.
///
/// # Errors
///
/// [`ComposeError`].
pub fn compose(order: &Order<'_>) -> Result<Message, ComposeError> {
    let email = order.lead.email().cloned().ok_or(ComposeError::NoAddress)?;
    let written = write(order)?;
    let name = domain::introduction::name(order.lead).map(|name| adapters::mail::discreet(&name, 60));
    let (program, content) = (order.program.id.as_str(), order.content.id.as_str());
    let reply_to = order.playbook.nurture.reply_to.as_deref().and_then(|email| Email::parse(email).ok());
    let headers = vec![
        ("List-Unsubscribe", format!("<{}>", order.ways.unsubscribe())),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
        ("List-Id", format!("<{program}.{}>", order.from.email.domain())),
        ("Auto-Submitted", "auto-generated".to_owned()),
    ];
    let tags = vec![
        ("lead", order.lead.id.to_string()),
        ("message", order.number.to_string()),
        ("program", program.to_owned()),
        ("content", content.to_owned()),
    ];
    Ok(Message {
        id: id(&order.lead.id, order.number),
        from: order.from.clone(),
        to: Mailbox { name, email },
        reply_to: reply_to.map(|email| Mailbox { name: order.from.name.clone(), email }),
        subject: written.subject,
        text: written.text,
        html: written.html,
        date: order.now,
        headers,
        tags,
    })
}

/// Writes a letter, whether it is sent or looked at.
///
/// # Errors
///
/// [`ComposeError`].
pub fn write(order: &Order<'_>) -> Result<Written, ComposeError> {
    let (postal_address, site) = (order.postal_address()?, order.site());
    let nothing = || ComposeError::Template("variants", "are none".to_owned());
    let variant = order.template.for_reader(&Tongue::of(&order.lead.attributes)).ok_or_else(nothing)?;
    let unsubscribe = order.ways.unsubscribe();
    let links = Links {
        site,
        parameters: vec![
            ("utm_source", SOURCE),
            ("utm_medium", "email"),
            ("utm_campaign", order.program.id.as_str()),
            ("utm_content", order.content.id.as_str()),
        ],
        unsubscribe: &unsubscribe,
        ways: &order.ways,
    };
    let content_url = match address::read(&order.content.url, site) {
        address::Link::Web(url) => url,
        _ => return Err(ComposeError::NoSite),
    };
    let context = context::of(order, postal_address, &content_url, &unsubscribe);
    let rendered = |name: &'static str, source: &str, form: Form| {
        words::render(source, form, &context, template::LONGEST)
            .map_err(|why| ComposeError::Template(name, why))
    };
    let failed = |why: String| ComposeError::Template("body", why);

    let subject = one_line(&rendered("subject", &variant.subject, Form::Text)?, SUBJECT);
    if subject.is_empty() {
        return Err(ComposeError::Template("subject", "comes out empty".to_owned()));
    }
    let preheader = variant.preheader.as_deref().map(|source| rendered("preheader", source, Form::Text));
    let language = variant.language.to_string();
    let body = rendered("body", &variant.body, Form::Html)?;
    let html = if page::is_mjml(&body) {
        page::from_mjml(&body).map_err(|faults| failed(faults.join("; ")))?
    } else {
        page::document(body, &language)
    };
    let led = page::led(&html, &language, &links).map_err(failed)?;
    let own = variant.text.as_deref().map(|source| rendered("text", source, Form::Text)).transpose()?;
    let frame = Frame {
        preheader: preheader.transpose()?.map(|text| one_line(&text, SUBJECT)),
        postal_address,
        unsubscribe: (template::unsubscribe_in(&variant.language), &unsubscribe),
        pixel: order.ways.pixel(),
    };
    let (html, text) = whole(&led, own.map(|own| plain::led(&own, &links)), &frame).map_err(failed)?;
    Ok(Written { subject, html, text, language })
}

/// What stands around a letter.
struct Frame<'a> {
    preheader: Option<String>,
    postal_address: &'a str,
    /// The word and the link by which it is unsubscribed from.
    unsubscribe: (&'a str, &'a str),
    pixel: Option<String>,
}

/// Gives a letter's HTML and its text with all that neither may lack. Whether a reader will see that is not believed but
/// looked at, in the HTML as it will be sent: what leaves a comment open hides all that stands behind it.
fn whole(led: &page::Led, own: Option<String>, frame: &Frame<'_>) -> Result<(String, String), String> {
    let (word, unsubscribe) = frame.unsubscribe;
    let has_all = |text: &str| plain::shows(text, frame.postal_address) && text.contains(unsubscribe);
    let made = plain::from_html(&led.html)?;
    let mut behind = String::new();
    if !has_all(&made) {
        behind.push_str(&page::footer(frame.postal_address, frame.unsubscribe).into_string());
    }
    behind.extend(frame.pixel.iter().map(|url| page::pixel(url).into_string()));
    let before = frame.preheader.as_deref().map(|text| page::preheader(text).into_string());
    let html = page::framed(led, before.as_deref().unwrap_or_default(), &behind)?;
    if !has_all(&plain::from_html(&html)?) {
        return Err("leaves something open, such as a comment or a style, that hides what stands behind it"
            .to_owned());
    }
    let mut text = own.unwrap_or(made);
    if !has_all(&text) {
        text.push_str(&format!("\n{}\n{word}: {unsubscribe}\n", frame.postal_address));
    }
    Ok((html, text))
}

#[cfg(test)]
mod tests;
