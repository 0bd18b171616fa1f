//! What nobody reads by eye, packed: where attributes come from, and the touches between the first and the latest.

use domain::attribute::{Attribute, Attributes};
use domain::lead::{Touch, Touches};
use domain::time::Timestamp;
use domain::touch::{Folded, Grain};

// ---- Where attributes come from ----
//
// Attributes come several at a time: a form brings five, an enrichment four. So each origin is kept once:
//
//     count of sources, then each with its length
//     count of origins, then of each: source × 2 + whether known_at is there, set_at, known_at
//     for each attribute, in the order of the names: the number of its origin
//
// Numbers are varints (seven bits a byte, lowest first), times their distance in milliseconds from the lead's creation
// with the sign in the lowest bit.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) set_at: Timestamp,
    pub(super) set_by: &'a str,
    pub(super) known_at: Option<Timestamp>,
}

/// Gives the place of a value in a list, where it is added if need be. The lists are short.
fn intern<T: PartialEq>(all: &mut Vec<T>, value: T) -> u64 {
    let at = all.iter().position(|known| *known == value).unwrap_or_else(|| {
        all.push(value);
        all.len() - 1
    });
    length(at)
}

pub(super) fn encode_provenance(attributes: &Attributes, created_at: Timestamp) -> Vec<u8> {
    if attributes.is_empty() {
        return Vec::new();
    }
    let (mut sources, mut origins, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for Attribute { set_at, set_by, known_at, .. } in attributes.values() {
        let origin = Origin { set_at: *set_at, set_by, known_at: *known_at };
        put(&mut numbers, intern(&mut origins, origin));
    }
    let mut moments = Vec::new();
    for origin in &origins {
        let source = intern(&mut sources, origin.set_by);
        put(&mut moments, source << 1 | u64::from(origin.known_at.is_some()));
        put_time(&mut moments, origin.set_at, created_at);
        if let Some(known_at) = origin.known_at {
            put_time(&mut moments, known_at, created_at);
        }
    }
    let mut out = Vec::with_capacity(64);
    put(&mut out, length(sources.len()));
    for source in sources {
        put(&mut out, length(source.len()));
        out.extend_from_slice(source.as_bytes());
    }
    put(&mut out, length(origins.len()));
    out.append(&mut moments);
    out.append(&mut numbers);
    out
}

/// Reads where `count` attributes come from; `None` where the bytes do not say just that.
pub(super) fn decode_provenance(
    mut bytes: &[u8],
    created_at: Timestamp,
    count: usize,
) -> Option<Vec<Origin<'_>>> {
    if count == 0 {
        return bytes.is_empty().then(Vec::new);
    }
    let mut sources = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let length = usize::try_from(take(&mut bytes)?).ok()?;
        let (source, rest) = bytes.split_at_checked(length)?;
        sources.push(str::from_utf8(source).ok()?);
        bytes = rest;
    }
    let mut origins = Vec::new();
    for _ in 0..take(&mut bytes)? {
        let head = take(&mut bytes)?;
        let set_by = *sources.get(usize::try_from(head >> 1).ok()?)?;
        let set_at = take_time(&mut bytes, created_at)?;
        let known_at = if head & 1 == 1 { Some(take_time(&mut bytes, created_at)?) } else { None };
        origins.push(Origin { set_at, set_by, known_at });
    }
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(*origins.get(usize::try_from(take(&mut bytes)?).ok()?)?);
    }
    bytes.is_empty().then_some(all)
}

// ---- The touches between the first and the latest ----
//
// Most of them come from a few sources, so each source is kept once:
//
//     step of the grain
//     count of sources, then of each: channel, campaign, landing page; each with its length + 1, or 0 where there is none
//     until the end, for each line: number of its source, time, how many it stands for
//
// Numbers and times are as above. A lead without such touches has no bytes.

pub(super) fn encode_between(touches: &Touches, created_at: Timestamp) -> Vec<u8> {
    if touches.between.is_empty() {
        return Vec::new();
    }
    let (mut sources, mut lines) = (Vec::new(), Vec::new());
    for Folded { touch, times } in &touches.between {
        let source = [&touch.channel, &touch.campaign, &touch.landing_page];
        put(&mut lines, intern(&mut sources, source));
        put_time(&mut lines, touch.at, created_at);
        put(&mut lines, u64::from(*times));
    }
    let mut out = vec![touches.grain.step()];
    put(&mut out, length(sources.len()));
    for part in sources.into_iter().flatten() {
        put(&mut out, part.as_ref().map_or(0, |text| length(text.len()) + 1));
        out.extend_from_slice(part.as_deref().unwrap_or_default().as_bytes());
    }
    out.append(&mut lines);
    out
}

pub(super) fn decode_between(mut bytes: &[u8], created_at: Timestamp) -> Option<(Grain, Vec<Folded>)> {
    let Some((step, rest)) = bytes.split_first() else { return Some(Default::default()) };
    let grain = Grain::from_step(*step)?;
    bytes = rest;
    let mut sources = Vec::new();
    for _ in 0..take(&mut bytes)? {
        sources.push((take_text(&mut bytes)?, take_text(&mut bytes)?, take_text(&mut bytes)?));
    }
    let mut between = Vec::new();
    while !bytes.is_empty() {
        let (channel, campaign, landing_page) = sources.get(usize::try_from(take(&mut bytes)?).ok()?)?;
        let at = take_time(&mut bytes, created_at)?;
        let times = u32::try_from(take(&mut bytes)?).ok()?;
        let owned = |text: &Option<&str>| text.map(str::to_owned);
        let (channel, campaign, landing_page) = (owned(channel), owned(campaign), owned(landing_page));
        between.push(Folded { touch: Touch { at, channel, campaign, landing_page }, times });
    }
    Some((grain, between))
}

/// Reads a text that may be none.
fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a str>> {
    let Some(length) = take(bytes)?.checked_sub(1) else { return Some(None) };
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(str::from_utf8(text).ok()?))
}

fn length(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn put(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let [low, ..] = n.to_le_bytes();
        n >>= 7;
        if n == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part.leading_zeros() < shift {
            return None;
        }
        n |= part << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// Packs times, each by its distance from the one before, the first by that from the lead's creation.
pub(super) fn encode_times(times: &[Timestamp], created_at: Timestamp) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), created_at);
    for at in times {
        put_time(&mut out, *at, before);
        before = *at;
    }
    out
}

/// Reads what [`encode_times`] packed; `None` where the bytes do not say just that.
pub(super) fn decode_times(mut bytes: &[u8], created_at: Timestamp) -> Option<Vec<Timestamp>> {
    let (mut times, mut before) = (Vec::new(), created_at);
    while !bytes.is_empty() {
        before = take_time(&mut bytes, before)?;
        times.push(before);
    }
    Some(times)
}

fn put_time(out: &mut Vec<u8>, at: Timestamp, created_at: Timestamp) {
    let distance = distance(at, created_at);
    put(out, (distance << 1 ^ distance >> 63).cast_unsigned());
}

fn take_time(bytes: &mut &[u8], created_at: Timestamp) -> Option<Timestamp> {
    let n = take(bytes)?;
    Some(at_distance((n >> 1).cast_signed() ^ -(n & 1).cast_signed(), created_at))
}

/// Gives the milliseconds from the lead's creation to a time. It wraps, so that any two times have a distance and
/// writing cannot fail.
pub(super) fn distance(at: Timestamp, created_at: Timestamp) -> i64 {
    at.millis().wrapping_sub(created_at.millis())
}

pub(super) fn at_distance(distance: i64, created_at: Timestamp) -> Timestamp {
    Timestamp::from_millis(created_at.millis().wrapping_add(distance))
}
