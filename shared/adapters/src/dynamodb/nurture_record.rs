//! What a lead's nurturing looks like inside its item: one map, absent for a lead that no program ever took.
//!
//! | name | type | holds |
//! | --- | --- | --- |
//! | `p` | S | the program that it is in |
//! | `e` | M | enrolments by program, each an M: `t` eligible at, `i` last came in where that is later, `h` held out, `o` of a hundred how many were then, `s` persona, `f` phase, `l` and `x` when it left and the number of the reason, `n` mails |
//! | `m` | N | how many mails were decided |
//! | `s` | B | when the latest went out, packed |
//! | `c` | M | the claim: `t` time, `k` the number of its maker, `p` program and `c` content, both absent for the question whether it agreed |
//! | `u` | N | mails since it last did anything |
//! | `r`, `z`, `w`, `x`, `d` | N | last did something, rests since, nothing before, looked again for something to send, next mail at; `d` is absent where that is what the lead is due for |
//! | `h` | M | paused: `u` until, `t` when that was said |
//!
//! Every time is in milliseconds after the lead's creation.

use super::item::{Damage, Reader, TYPE, UNREADABLE, Writer, required, slug};
use super::packed::{decode_times, encode_times};
use aws_sdk_dynamodb::types::AttributeValue as Stored;
use domain::identity::Slug;
use domain::lead::Lead;
use domain::nurture::{Enrolment, Exit, Mail, Nurture, Sending};
use domain::phase::Phase;
use domain::time::Timestamp;
use std::collections::BTreeMap;

/// Writes a lead's nurturing; an empty map where there was none.
pub(super) fn to_map(lead: &Lead) -> Writer {
    let (nurture, created_at) = (&lead.nurture, lead.created_at);
    let mut map = Writer::default();
    map.optional_text("p", nurture.program.as_ref().map(Slug::as_str));
    let mut enrolments = Writer::default();
    for (program, enrolment) in &nurture.enrolments {
        enrolments.put(program.as_str(), enrolment_to_stored(enrolment, created_at));
    }
    map.map("e", enrolments);
    for (name, number) in [("m", nurture.messages), ("u", u32::from(nurture.unanswered))] {
        if number != 0 {
            map.number(name, number);
        }
    }
    if !nurture.sent.is_empty() {
        map.bytes("s", encode_times(&nurture.sent, created_at));
    }
    if let Some(Sending { at, token, mail }) = &nurture.sending {
        let mut claim = Writer::default();
        claim.number("k", token);
        claim.since("t", Some(*at), created_at);
        if let Mail::Program { program, content } = mail {
            claim.text("p", program.as_str());
            claim.text("c", content.as_str());
        }
        map.map("c", claim);
    }
    map.since("r", nurture.reacted_at, created_at);
    map.since("z", nurture.rests_since, created_at);
    map.since("w", nurture.wait_until, created_at);
    map.since("d", nurture.next_at.filter(|_| !lead.is_due_a_mail()), created_at);
    if let Some((until, said_at)) = nurture.paused {
        let mut paused = Writer::default();
        paused.since("u", Some(until), created_at);
        paused.since("t", Some(said_at), created_at);
        map.map("h", paused);
    }
    map.since("x", nurture.exhausted, created_at);
    map
}

fn enrolment_to_stored(enrolment: &Enrolment, created_at: Timestamp) -> Stored {
    let mut map = Writer::default();
    map.since("t", Some(enrolment.eligible_at), created_at);
    map.flag("h", enrolment.held_out);
    if enrolment.share != 0 {
        map.number("o", enrolment.share);
    }
    map.optional_text("s", enrolment.persona.as_ref().map(Slug::as_str));
    if let Some(place) = enrolment.phase.and_then(|own| Phase::WORDS.iter().position(|(_, p)| *p == own)) {
        map.number("f", place);
    }
    if enrolment.entered_at != enrolment.eligible_at {
        map.since("i", Some(enrolment.entered_at), created_at);
    }
    if let Some((at, exit)) = enrolment.left {
        map.since("l", Some(at), created_at);
        if let Some(place) = Exit::WORDS.iter().position(|(_, known)| *known == exit) {
            map.number("x", place);
        }
    }
    if enrolment.messages != 0 {
        map.number("n", enrolment.messages);
    }
    map.into_value()
}

/// Reads a lead's nurturing.
///
/// `due_a_mail` is what the lead is due for, where that is a mail.
pub(super) fn from_map(
    map: Reader<'_>,
    created_at: Timestamp,
    due_a_mail: Option<Timestamp>,
) -> Result<Nurture, Damage> {
    let mut enrolments = BTreeMap::new();
    for (program, stored) in map.map("e")?.into_iter().flatten() {
        let program = slug(program).ok_or_else(|| Damage::new("e", UNREADABLE))?;
        let Stored::M(fields) = stored else { return Err(Damage::new("e", TYPE)) };
        let enrolment = enrolment(Reader(fields), created_at).map_err(|damage| damage.within("e"))?;
        enrolments.insert(program, enrolment);
    }
    let sent = decode_times(map.bytes("s")?, created_at);
    let sending = map.map("c")?.map(|claim| {
        let claim = Reader(claim);
        let (program, content) = (claim.parsed("p", slug)?, claim.parsed("c", slug)?);
        let mail = match program.zip(content) {
            Some((program, content)) => Mail::Program { program, content },
            None => Mail::OptIn,
        };
        let token = required("k", claim.number("k")?)?;
        Ok::<_, Damage>(Sending { at: required("t", claim.since("t", created_at)?)?, token, mail })
    });
    let paused = map.map("h")?.map(|paused| {
        let paused = Reader(paused);
        let (until, said) = (paused.since("u", created_at)?, paused.since("t", created_at)?);
        Ok::<_, Damage>((required("u", until)?, required("t", said)?))
    });
    Ok(Nurture {
        program: map.parsed("p", slug)?,
        enrolments,
        messages: map.number("m")?.unwrap_or(0),
        sent: sent.ok_or_else(|| Damage::new("s", UNREADABLE))?,
        sending: sending.transpose().map_err(|damage| damage.within("c"))?,
        unanswered: map.number("u")?.unwrap_or(0),
        reacted_at: map.since("r", created_at)?,
        rests_since: map.since("z", created_at)?,
        paused: paused.transpose().map_err(|damage| damage.within("h"))?,
        wait_until: map.since("w", created_at)?,
        exhausted: map.since("x", created_at)?,
        next_at: map.since("d", created_at)?.or(due_a_mail),
    })
}

fn enrolment(map: Reader<'_>, created_at: Timestamp) -> Result<Enrolment, Damage> {
    let eligible_at = required("t", map.since("t", created_at)?)?;
    let exit = map.number::<usize>("x")?.map(|place| {
        let exit = Exit::WORDS.get(place).map(|(_, exit)| *exit);
        exit.ok_or_else(|| Damage::new("x", UNREADABLE))
    });
    Ok(Enrolment {
        eligible_at,
        held_out: map.flag("h")?,
        share: map.number("o")?.unwrap_or(0),
        persona: map.parsed("s", slug)?,
        phase: map.phase("f")?,
        entered_at: map.since("i", created_at)?.unwrap_or(eligible_at),
        left: map.since("l", created_at)?.zip(exit.transpose()?),
        messages: map.number("n")?.unwrap_or(0),
    })
}
