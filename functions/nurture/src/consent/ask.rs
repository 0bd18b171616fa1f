//! The mail that asks the owner of an address whether it was them who agreed.
//!
//! Anybody can have it sent to anybody, by filling in a form. So it says what was agreed to, where and when, and what happens
//! if nobody answers, and nothing else: no word of marketing, and nothing that whoever filled in the form wrote.

use super::words::{Words, filled};
use super::{made, sender};
use crate::link::{Mail, MailLinks};
use crate::{App, Post};
use adapters::mail::{Mailbox, Message};
use adapters::ports::StoreError;
use domain::consent::Purpose;
use domain::lead::Lead;
use domain::nurture::opt_in;
use domain::playbook::Playbook;
use domain::time::Timestamp;
use maud::{DOCTYPE, html};

/// Writes the mail that asks a lead to confirm everything that is pending, as its mail of a number. `None` where it has no
/// address. Whether it is owed, [`opt_in::owed`] tells.
///
/// # Errors
///
/// [`StoreError`].
pub async fn compose(
    app: &App,
    post: &Post,
    lead: &Lead,
    playbook: &Playbook,
    number: u32,
    now: Timestamp,
) -> Result<Option<Message>, StoreError> {
    let Some(address) = lead.email() else { return Ok(None) };
    let purposes = opt_in::pending(lead);
    let mail = Mail { lead: lead.id.clone(), number, program: None, content: None, made_at: now };
    let link = MailLinks::new(&app.links, &post.base, mail).await?.opt_in(&purposes, address);
    let words = Words::of(lead);
    let agreed = |purpose: &Purpose| {
        let made = made(words, lead.consents.0.get(purpose)?, playbook);
        Some((*purpose, filled(words.agreed, "made", &made)))
    };
    let asked: Vec<(Purpose, String)> = purposes.iter().filter_map(agreed).collect();
    let who = sender(&post.from);
    let opening = filled(words.opening, "who", &who);
    let subject = filled(words.subject, "who", &who);

    let mut text = format!("{}\n\n{opening}\n\n", words.hello);
    for (purpose, agreed) in &asked {
        text.push_str(&format!("* {}\n  {}\n  {agreed}\n", words.title(*purpose), words.meaning(*purpose)));
    }
    text.push_str(&format!(
        "\n{}\n{link}\n\n{}\n\n{who}, {}\n",
        words.confirm_here,
        words.ignore,
        post.from.email.as_str()
    ));

    let html = html! {
        (DOCTYPE)
        html lang=(words.language) {
            head { meta charset="utf-8"; meta name="viewport" content="width=device-width, initial-scale=1"; title { (subject) } }
            body style="font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 36rem; margin: 0 auto; padding: 1rem" {
                p { (words.hello) }
                p { (opening) }
                ul {
                    @for (purpose, agreed) in &asked {
                        li style="margin: .5rem 0" {
                            strong { (words.title(*purpose)) } br; (words.meaning(*purpose)) br;
                            span style=(NOTE) { (agreed) }
                        }
                    }
                }
                p { a href=(link) style=(BUTTON) { (words.was_me) } }
                p style=(NOTE) { (words.ignore) }
                p style=(NOTE) { (who) ", " (post.from.email.as_str()) }
            }
        }
    };
    Ok(Some(Message {
        id: format!("nurture.{}.{number}", lead.id),
        from: post.from.clone(),
        to: Mailbox { name: None, email: address.clone() },
        reply_to: None,
        subject,
        text,
        html: html.into_string(),
        date: now,
        // So that holiday replies do not answer it (RFC 3834).
        headers: vec![("Auto-Submitted", "auto-generated".to_owned())],
        tags: vec![("lead", lead.id.to_string()), ("message", number.to_string())],
    }))
}

const NOTE: &str = "color: #555c66; font-size: 13px";
const BUTTON: &str = "display: inline-block; padding: .6rem 1.1rem; border-radius: 6px; background: #1f5fbf; color: #ffffff; \
                      text-decoration: none";
