//! Links that stand for a permission: whoever holds one may do the one thing that it says, until it ends.
//!
//! A token is the id of a key, the moment at which it ends, what the link is about, and a code over all of that together
//! with what it is for. So nothing has to be stored for a link, reading one costs nothing, and a link for one purpose is
//! none for another. It holds no personal data: what a link is about is an id of ours, which whoever follows it looks up.
//!
//! * **Keys** stand in one record of the catalog, the newest first; it signs, all verify. Whoever signs makes the first
//!   one, and a new one once the newest is [`NEW_KEY_AFTER_DAYS`] old, so that keys rotate without anybody's doing. Old
//!   ones are kept for [`MOST_KEYS`] rotations, ten years: links in mails outlive everything, and each names its end.
//! * **A key that leaked** is taken out of the record, or the whole record deleted: its links are worth nothing from then
//!   on, and the next link makes a new key (`docs/mail.md`).
//! * **The record** is like that of webhooks' secrets (ADR 0018): of a kind of its own, shown by no route, and encrypted as
//!   the whole table is.
//! * **Keys are cached** for five minutes (`CACHED_MS`); for longer while the store does not answer, since a link in a mail has to
//!   lead on all the same. A token that names an unknown key has them read again, though not more often
//!   than every [`READ_AGAIN_MS`], so that made-up tokens cost the database nothing.

use crate::clock::{Clock, fresh_secret};
use crate::ports::{Catalog, CatalogKind, Put, Record, StoreError};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// After how many days a new key signs.
pub const NEW_KEY_AFTER_DAYS: i64 = 90;
/// How many keys are kept: the links that one signed on its last day still work ten years later.
pub const MOST_KEYS: usize = 42;
/// The id of the record of keys.
pub const RECORD: &str = "keys";

/// For how long keys are believed without being read again, in milliseconds.
const CACHED_MS: i64 = 5 * MINUTE_MS;
/// How often an unknown key has them read again, in milliseconds.
pub const READ_AGAIN_MS: i64 = 30 * SECOND_MS;
/// How often writing a new key is tried where somebody else was faster.
const TRIES: u32 = 5;

/// The bytes of a key's id.
const ID: usize = 4;
/// The bytes of the moment at which a link ends.
const END: usize = 8;
/// The bytes of the code: 128 of its 256 bits, which RFC 2104 allows and nobody guesses.
const CODE: usize = 16;
/// The longest token, in characters; what is longer was not made here. With the address before it, it stays below the 2,048
/// that every mail program and gateway takes for one.
const LONGEST: usize = 1_792;
/// The most bytes that a token can be about.
pub const MOST_ABOUT: usize = LONGEST / 4 * 3 - ID - END - CODE;

/// What a link is for. A token for one purpose is none for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose(pub &'static str);

/// Answers a hand-over: `notify` signs these links, `sales-feedback` reads them.
pub const CONFIRM: Purpose = Purpose("confirm");

/// Says why a token is not believed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It was not made here, or changed on the way.
    #[error("this link is not one of ours, or is not complete")]
    NotOurs,
    /// It has ended.
    #[error("this link has ended")]
    Ended,
}

/// A key with when it was made. It is shown nowhere by accident.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: [u8; ID],
    secret: Vec<u8>,
    made_at: Timestamp,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}…)", data_encoding::HEXLOWER.encode(&self.id))
    }
}

impl Key {
    /// Gives the code of nothing yet. A key of any length will do, so there always is one.
    fn code(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(&self.secret).ok()
    }
}

/// Signs without asking anybody: whoever writes a mail of thirty links waits once, for this.
#[derive(Clone)]
pub struct Signer {
    id: [u8; ID],
    code: Hmac<Sha256>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}…)", data_encoding::HEXLOWER.encode(&self.id))
    }
}

impl Signer {
    /// Makes a token. One about more than [`MOST_ABOUT`] bytes would not be read again.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, about: &[u8], ends_at: Timestamp) -> String {
        let mut bytes = self.id.to_vec();
        bytes.extend_from_slice(&ends_at.millis().to_be_bytes());
        bytes.extend_from_slice(about);
        let code = covered(self.code.clone(), purpose, &bytes).finalize().into_bytes();
        bytes.extend(code.iter().take(CODE));
        BASE64URL_NOPAD.encode(&bytes)
    }
}

/// The keys, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Puts a new key before those that there are.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        let mut id = [0; ID];
        id.iter_mut().zip(fresh_secret()).for_each(|(to, from)| *to = from);
        let key = Key { id, secret: fresh_secret().to_vec(), made_at: now };
        // Two of one id could not both be found; the chance is one in a hundred million.
        let older = self.0.iter().filter(|known| known.id != id).cloned();
        Self(std::iter::once(key).chain(older).take(MOST_KEYS).collect())
    }

    /// Tells whether it is time for a new key.
    #[must_use]
    pub fn are_old(&self, now: Timestamp) -> bool {
        self.0.first().is_none_or(|key| now.since(key.made_at) >= NEW_KEY_AFTER_DAYS * DAY_MS)
    }

    /// Gives what signs with the newest key; `None` where there is no key yet.
    #[must_use]
    pub fn signer(&self) -> Option<Signer> {
        let key = self.0.first()?;
        Some(Signer { id: key.id, code: key.code()? })
    }

    /// Makes a token; `None` where there is no key yet.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, about: &[u8], ends_at: Timestamp) -> Option<String> {
        Some(self.signer()?.sign(purpose, about, ends_at))
    }

    /// Gives what a token is about. Codes are compared in constant time.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn read(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Vec<u8>, Refused> {
        let (id, signed, given) = parts(token).ok_or(Refused::NotOurs)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or(Refused::NotOurs)?;
        let code = covered(key.code().ok_or(Refused::NotOurs)?, purpose, &signed);
        code.verify_truncated_left(&given).map_err(|_| Refused::NotOurs)?;
        let (end, about) =
            signed.get(ID..).and_then(|rest| rest.split_first_chunk()).ok_or(Refused::NotOurs)?;
        if Timestamp::from_millis(i64::from_be_bytes(*end)) <= now {
            return Err(Refused::Ended);
        }
        Ok(about.to_vec())
    }

    fn know(&self, token: &str) -> bool {
        parts(token).is_none_or(|(id, ..)| self.0.iter().any(|key| key.id == id))
    }

    fn to_body(&self) -> Value {
        let one = |key: &Key| {
            json!({
                "id": data_encoding::HEXLOWER.encode(&key.id),
                "secret": BASE64.encode(&key.secret),
                "made_at": key.made_at.to_string(),
            })
        };
        json!({ "keys": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    fn from_record(record: &Record) -> Result<Self, StoreError> {
        let one = |key: &Value| {
            let text = |name: &str| key.get(name).and_then(Value::as_str);
            Some(Key {
                id: data_encoding::HEXLOWER.decode(text("id")?.as_bytes()).ok()?.try_into().ok()?,
                secret: BASE64.decode(text("secret")?.as_bytes()).ok().filter(|secret| !secret.is_empty())?,
                made_at: Timestamp::parse(text("made_at")?)?,
            })
        };
        let list = record.body.get("keys").and_then(Value::as_array);
        let keys = list.and_then(|list| list.iter().map(one).collect::<Option<Vec<_>>>());
        keys.map(Self).ok_or_else(|| StoreError::Damaged("the keys of links".to_owned()))
    }
}

/// Cuts a token into the id of its key, what is signed, and the code.
fn parts(token: &str) -> Option<([u8; ID], Vec<u8>, Vec<u8>)> {
    if token.len() > LONGEST {
        return None;
    }
    // Strict: no padding, no stray bits, so a token has one spelling.
    let mut bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let code = bytes.split_off(bytes.len().checked_sub(CODE)?);
    let id = *bytes.first_chunk()?;
    (bytes.len() >= ID + END).then_some((id, bytes, code))
}

/// Gives the code over what is signed and what it is for.
fn covered(mut code: Hmac<Sha256>, purpose: Purpose, signed: &[u8]) -> Hmac<Sha256> {
    code.update(purpose.0.as_bytes());
    code.update(&[0]);
    code.update(signed);
    code
}

/// Makes and reads links.
#[derive(Debug)]
pub struct Links {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<(Timestamp, Keys)>>,
}

impl Links {
    /// Makes it.
    #[must_use]
    pub fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, known: Mutex::default() }
    }

    /// Makes a token that works until a moment.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sign(
        &self,
        purpose: Purpose,
        about: &[u8],
        ends_at: Timestamp,
    ) -> Result<String, StoreError> {
        Ok(self.signer().await?.sign(purpose, about, ends_at))
    }

    /// Gives what signs, for as long as one mail is written.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn signer(&self) -> Result<Signer, StoreError> {
        let now = self.clock.now();
        for _ in 0..TRIES {
            let keys = self.keys(CACHED_MS).await?;
            if let Some(signer) = keys.signer().filter(|_| !keys.are_old(now)) {
                return Ok(signer);
            }
            self.rotate().await?;
        }
        Err(StoreError::Busy("the keys of links are being changed by too many at once".to_owned()))
    }

    /// Gives what a token is about.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; that the token is not believed is no error of the store.
    pub async fn read(&self, purpose: Purpose, token: &str) -> Result<Result<Vec<u8>, Refused>, StoreError> {
        let mut keys = self.keys_to_read(CACHED_MS).await?;
        if !keys.know(token) {
            keys = self.keys_to_read(READ_AGAIN_MS).await?;
        }
        Ok(keys.read(purpose, token, self.clock.now()))
    }

    /// Adds a new key, unless somebody else was faster.
    async fn rotate(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let record = self.catalog.get(CatalogKind::LinkKey, RECORD).await?;
        let keys = record.as_ref().map(Keys::from_record).transpose()?.unwrap_or_default();
        if keys.are_old(now) {
            let body = keys.rotated(now).to_body();
            let put = match &record {
                Some(record) => Put::over(record, body),
                None => Put::new(CatalogKind::LinkKey, RECORD, body),
            };
            // Whether it was written or somebody else's was, it is read below.
            let _written = self.catalog.put(std::slice::from_ref(&put)).await?;
        }
        self.keys(0).await.map(drop)
    }

    /// Gives the keys as [`Self::keys`] does; where they cannot be read, as they were when they last could.
    async fn keys_to_read(&self, within_ms: i64) -> Result<Keys, StoreError> {
        match self.keys(within_ms).await {
            Ok(keys) => Ok(keys),
            Err(error) => {
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                known.map(|(_, keys)| keys).ok_or(error)
            }
        }
    }

    /// Gives the keys as they were at most so long ago.
    async fn keys(&self, within_ms: i64) -> Result<Keys, StoreError> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, keys)) = known
            && now.since(read_at) < within_ms
        {
            return Ok(keys);
        }
        let record = self.catalog.get(CatalogKind::LinkKey, RECORD).await?;
        let keys = record.as_ref().map(Keys::from_record).transpose()?.unwrap_or_default();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, keys.clone()));
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_secs(1_795_000_000).plus(day * DAY_MS)
    }

    #[test]
    fn a_token_reads_back_as_what_it_is_about_for_its_purpose_until_it_ends() {
        let keys = Keys::default().rotated(at(0));
        let token = keys.sign(CONFIRM, b"lead and fact", at(30)).unwrap();
        assert_eq!(keys.read(CONFIRM, &token, at(29)), Ok(b"lead and fact".to_vec()));
        assert_eq!(keys.read(CONFIRM, &token, at(30)), Err(Refused::Ended));
        assert_eq!(keys.read(Purpose("unsubscribe"), &token, at(29)), Err(Refused::NotOurs));
        assert_eq!(Keys::default().rotated(at(0)).read(CONFIRM, &token, at(29)), Err(Refused::NotOurs));
        assert_eq!(Keys::default().sign(CONFIRM, b"x", at(1)), None, "without a key nothing is signed");
    }

    #[test]
    fn old_keys_verify_and_the_newest_signs() {
        let first = Keys::default().rotated(at(0));
        let token = first.sign(CONFIRM, b"x", at(9_999)).unwrap();
        let mut keys = first.clone();
        for n in 1..MOST_KEYS {
            keys = keys.rotated(at(90 * n as i64));
            assert_eq!(keys.read(CONFIRM, &token, at(3_000)), Ok(b"x".to_vec()), "after {n} rotations");
        }
        assert_eq!(keys.rotated(at(4_000)).read(CONFIRM, &token, at(4_000)), Err(Refused::NotOurs));
        let newest = keys.sign(CONFIRM, b"x", at(9_999)).unwrap();
        assert_eq!(first.read(CONFIRM, &newest, at(1)), Err(Refused::NotOurs));
    }

    #[test]
    fn neither_keys_nor_their_debug_form_show_a_secret() {
        let keys = Keys::default().rotated(at(0));
        let body = keys.to_body();
        let secret = body["keys"][0]["secret"].as_str().unwrap();
        assert!(!format!("{keys:?}").contains(secret));
        let record = Record {
            kind: CatalogKind::LinkKey,
            id: RECORD.to_owned(),
            version: 1,
            body: json!({ "keys": [{ "id": "00", "secret": secret, "made_at": "x" }] }),
            expires_at: None,
        };
        assert!(!Keys::from_record(&record).unwrap_err().to_string().contains(secret));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn nothing_that_was_changed_is_believed(
            about in proptest::collection::vec(any::<u8>(), 0..80), place in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_=+/ %-]",
            cut in 1_usize..40,
        ) {
            let keys = Keys::default().rotated(at(0));
            let token = keys.sign(CONFIRM, &about, at(1)).unwrap();
            prop_assert_eq!(keys.read(CONFIRM, &token, at(0)), Ok(about));
            let at_char = place.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at_char..=at_char, &to);
            if changed != token {
                prop_assert_eq!(keys.read(CONFIRM, &changed, at(0)), Err(Refused::NotOurs));
            }
            prop_assert_eq!(keys.read(CONFIRM, &format!("{token}{to}"), at(0)), Err(Refused::NotOurs));
            let cut: String = token.chars().take(token.len().saturating_sub(cut)).collect();
            prop_assert_eq!(keys.read(CONFIRM, &cut, at(0)), Err(Refused::NotOurs));
        }

        #[test]
        fn no_text_is_a_token_and_none_makes_it_fall_over(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let keys = Keys::default().rotated(at(0));
            prop_assert_eq!(keys.read(CONFIRM, &text, at(0)), Err(Refused::NotOurs));
            // As above, of the right letters and with a key that there is.
            let mut known = keys.0[0].id.to_vec();
            known.extend(bytes);
            prop_assert_eq!(keys.read(CONFIRM, &BASE64URL_NOPAD.encode(&known), at(0)), Err(Refused::NotOurs));
        }
    }
}
