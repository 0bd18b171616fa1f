//! That a mail goes out once.
//!
//! Claim, send, complete, by [`adapters::claims`]. Every mail has an id of its own (this hand-over, that person's day), so
//! an event that comes ten times and ten workers at once make one mail.
//!
//! **When a worker dies with a claim open, nobody knows whether its mail went out.** SES takes no token that would tell,
//! SMTP has none. Such a mail is sent once more, when the claim's lease is over, and never a third time: then it is said
//! that it is not known, and an alarm rings. That is another choice than for mails to leads, and on purpose. A lead that
//! nobody heard of breaks a promise, while a colleague who reads the same lines twice loses a glance; and both copies carry
//! the same `Message-ID`, by which mailboxes that look for repeats show one. What is known not to have gone out counts as no
//! try, and is tried again for as long as its sender likes.

use crate::{App, Post};
use adapters::claims::{self, Claim, End, LEASE_MS};
use adapters::mail::Message;
use adapters::ports::{MailError, StoreError};
use domain::time::{DAY_MS, Timestamp};

/// How often a mail is sent of which nobody knows whether it went out, in all.
const MOST_TRIES: u64 = 2;
/// For how long it is remembered that a mail went out, in milliseconds: longer than anything that could ask for it again.
const REMEMBERED_MS: i64 = 90 * DAY_MS;

/// What came of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It went out just now.
    Now,
    /// It is dealt with: it went out before, or never will.
    Over,
    /// Somebody else may be at it until a moment; ask again then.
    Elsewhere(Timestamp),
    /// It was not taken for now.
    NotNow,
}

/// Sends a mail unless it went out.
pub(crate) async fn send(app: &App, post: &Post, message: &Message) -> Result<Sent, StoreError> {
    let (id, now) = (message.id.as_str(), app.clock.now());
    let catalog = app.catalog.as_ref();
    let held = match claims::take(catalog, id, now, now.plus(REMEMBERED_MS), MOST_TRIES).await? {
        Claim::Over => return Ok(Sent::Over),
        Claim::Elsewhere(until) => return Ok(Sent::Elsewhere(until)),
        Claim::Unknown => {
            tracing::error!(mail_not_sent = 1, mail = id, "whether a mail went out is not known");
            return Ok(Sent::Over);
        }
        Claim::Ours(held) => held,
    };
    if held.before > 0 {
        tracing::warn!(mail = id, "a mail is sent once more: whether it went out is not known");
    }
    let sent = post.mailer.send(message).await;
    let now = app.clock.now();
    let (written, sent) = match sent {
        Ok(theirs) => {
            tracing::info!(mail = id, theirs, "a mail was sent");
            (claims::end(catalog, &held, End::Done, now).await, Sent::Now)
        }
        Err(MailError::NotNow(why)) => {
            tracing::warn!(mail = id, why, "a mail was not taken for now");
            (claims::let_go(catalog, &held, now).await, Sent::NotNow)
        }
        Err(MailError::Never(why) | MailError::NoSuchMailbox(why)) => {
            tracing::error!(mail_not_sent = 1, mail = id, why, "a mail was refused");
            (claims::end(catalog, &held, End::Never, now).await, Sent::Over)
        }
        Err(MailError::Unknown(why)) => {
            tracing::warn!(mail = id, why, "whether a mail went out is not known");
            (Ok(()), Sent::Elsewhere(now.plus(LEASE_MS)))
        }
    };
    if let Err(error) = written {
        // The claim stays open: at worst the mail comes once more when its lease is over.
        tracing::warn!(mail = id, error = %error, "what came of a mail cannot be written down");
    }
    Ok(sent)
}

/// Notes that there will be no mail of an id, unless that was noted before; tells whether it was noted now.
pub(crate) async fn never(app: &App, id: &str, end: End) -> Result<bool, StoreError> {
    let now = app.clock.now();
    match claims::take(app.catalog.as_ref(), id, now, now.plus(REMEMBERED_MS), MOST_TRIES).await? {
        Claim::Ours(held) => {
            claims::end(app.catalog.as_ref(), &held, end, now).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Tells whether a mail is dealt with, before anybody composes it.
pub(crate) async fn is_over(app: &App, id: &str) -> Result<bool, StoreError> {
    claims::is_over(app.catalog.as_ref(), id).await
}
