//! The only place that spells key prefixes and the names of what tables and indexes are keyed by.
//!
//! A key must come out the same on every machine and in every version, so nothing here may change once a stack is
//! live; the tests hold each form to the letter.
//!
//! **Personal values are hashed in keys.** Keys end up where items do not: in logs of throttled partitions, in
//! cursors, in traces and alarms. So an identity's key holds 128 bits of SHA-256 over kind and value, in base 32; that
//! two addresses meet is out of the question at that length. The hash is no secret – the numbers of a country can be
//! tried one by one – it only keeps addresses out of sight. The name of the other system stays readable, since it
//! says which integration claimed a key; its id is hashed too, because some systems use an e-mail address as one.
//!
//! **The lead item holds the values themselves**, in a form of its own ([`identity_text`]): it has to show and to
//! reach the person.

use domain::identity::{AnonymousId, Email, ExternalId, Identity, LeadId, Phone, Slug};
use domain::lead::Lead;
use domain::score::Score;
use sha2::{Digest, Sha256};

/// Partition key of Leads, Timeline and Outbox.
pub const LEAD_ID: &str = "lead_id";
/// Sort key of Timeline and Outbox.
pub const ENTRY_ID: &str = "entry_id";
/// Partition key of Identities.
pub const IDENTITY: &str = "identity";
/// Partition key of Catalog; in Timeline and Outbox the kind of the fact or event.
pub const KIND: &str = "kind";
/// Sort key of Catalog.
pub const ID: &str = "id";
/// The write count of a record of the catalog, on which writes are conditional.
pub const CATALOG_VERSION: &str = "version";
/// The document of a record of the catalog, as JSON.
pub const CATALOG_BODY: &str = "body";
/// When the item may be deleted, in seconds since the epoch; the TTL attribute of every table that has one.
pub const EXPIRES_AT: &str = "expires_at";
/// The commit count of a lead, on which writes are conditional.
pub const VERSION: &str = "v";
/// In Outbox, the commit count of the lead after the event.
pub const OUTBOX_VERSION: &str = "version";

/// Index of the leads that something is due for.
pub const INDEX_DUE: &str = "due";
/// Partition key of index `due`.
pub const DUE_SHARD: &str = "due_shard";
/// Sort key of index `due`, in whole seconds, rounded down.
pub const DUE_AT: &str = "due_at";

/// Index of the leads that sales works on.
pub const INDEX_INBOX: &str = "inbox";
/// Partition key of index `inbox`: the person who has the lead, or [`NOBODY`]; of a lead that waits, [`held_for`].
pub const OWNER: &str = "owner";
/// Sort key of index `inbox`, in whole seconds, rounded down, or [`NO_PROMISE`]; of a lead that waits, [`held_rank`].
pub const PROMISE_DUE_AT: &str = "promise_due_at";
/// The label, projected into index `inbox`.
pub const LABEL: &str = "label";
/// The stage, projected into index `inbox`.
pub const STAGE: &str = "stage";

/// The owner of a lead in an inbox stage that no person has. No person can be called so: a [`Slug`] starts with a
/// letter or digit.
///
/// [`Slug`]: domain::identity::Slug
pub const NOBODY: &str = "-";
/// The promise time, in seconds, of a lead whose promise is kept or was never given: the last second of the year
/// 9999, so that it sorts behind every promise.
pub const NO_PROMISE: i64 = 253_402_300_799;
/// Stands before the owner of a lead that waits for its turn ([`held_for`]); no person can be called so either.
const HELD: &str = "~";
/// The number of partitions of index `due` for leads that are due a review or a word about a promise. As many more are for
/// those that are due a mail ([`mail_shard`]): so each of the two that look for what is due reads its own.
pub const DUE_SHARDS: u8 = 16;

const EXTERNAL: &str = "external#";
const EMAIL: &str = "email#";
const PHONE: &str = "phone#";
const ANONYMOUS: &str = "anonymous#";

/// The characters of a hash.
const HASH: usize = 26;

/// Hashes a personal value to 128 bits, written as 26 characters of base 32.
fn hashed(kind: &str, value: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(kind.as_bytes());
    hasher.update(value.as_bytes());
    let mut half = [0; 16];
    half.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    data_encoding::BASE32_NOPAD.encode(&half).to_lowercase()
}

/// Gives the key of an identity in the Identities table.
#[must_use]
pub fn identity_key(identity: &Identity) -> String {
    match identity {
        Identity::External(id) => {
            let prefix = format!("{EXTERNAL}{}#", id.system());
            let hash = hashed(&prefix, id.id());
            prefix + &hash
        }
        Identity::Email(email) => format!("{EMAIL}{}", hashed(EMAIL, email.as_str())),
        Identity::Phone(phone) => format!("{PHONE}{}", hashed(PHONE, phone.as_str())),
        Identity::Anonymous(id) => format!("{ANONYMOUS}{}", hashed(ANONYMOUS, id.as_str())),
    }
}

/// Tells whether a text is what [`identity_key`] gives for some e-mail address.
#[must_use]
pub fn is_email_key(text: &str) -> bool {
    text.strip_prefix(EMAIL).is_some_and(|hash| {
        hash.len() == HASH && hash.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
    })
}

/// Writes an identity as the lead item keeps it: the value behind one character that tells its kind, as in
/// `@ada@b.example`, `+431234567`, `#crm#42`, `?k3jd82`.
#[must_use]
pub fn identity_text(identity: &Identity) -> String {
    match identity {
        Identity::External(id) => format!("#{}#{}", id.system(), id.id()),
        Identity::Email(email) => format!("@{}", email.as_str()),
        Identity::Phone(phone) => phone.as_str().to_owned(),
        Identity::Anonymous(id) => format!("?{}", id.as_str()),
    }
}

/// Reads what [`identity_text`] wrote; `None` where the text is no such form.
#[must_use]
pub fn identity_from_text(text: &str) -> Option<Identity> {
    let mut rest = text.chars();
    match rest.next()? {
        '@' => Email::parse(rest.as_str()).ok().map(Identity::Email),
        '+' => Phone::parse(text).ok().map(Identity::Phone),
        '?' => AnonymousId::parse(rest.as_str()).ok().map(Identity::Anonymous),
        '#' => {
            // No system has a # in its name, while an id may.
            let (system, id) = rest.as_str().split_once('#')?;
            ExternalId::new(system, id).ok().map(Identity::External)
        }
        _ => None,
    }
}

/// Gives the partition of Timeline that holds the activity of a browser nobody knows yet.
///
/// The id stays as it is: it is random, and the browser sends it with every view, so a hash would hide nothing.
#[must_use]
pub fn visitor_partition(visitor: &AnonymousId) -> String {
    format!("{ANONYMOUS}{}", visitor.as_str())
}

/// Gives the partition of index `inbox` that holds the leads that wait until a person has room for them. The person's
/// own inbox is another partition, so nobody sees a lead there before its turn.
#[must_use]
pub fn held_for(owner: &Slug) -> String {
    format!("{HELD}{owner}")
}

/// Reads what [`held_for`] wrote; `None` where the partition is a person's inbox.
#[must_use]
pub fn held_owner(partition: &str) -> Option<&str> {
    partition.strip_prefix(HELD)
}

/// Gives the sort key of a lead that waits: the best ones first.
#[must_use]
pub fn held_rank(score: &Score) -> i64 {
    200 - i64::from(score.fit) - i64::from(score.engagement)
}

/// Gives the partition of index `due` that a lead stands in.
#[must_use]
pub fn shard_of(lead: &Lead) -> u8 {
    if lead.is_due_a_mail() { mail_shard(due_shard(&lead.id)) } else { due_shard(&lead.id) }
}

/// Gives the partition for mails that goes with one for reviews.
#[must_use]
pub const fn mail_shard(shard: u8) -> u8 {
    DUE_SHARDS + shard
}

/// Gives the partition of index `due` in which a lead waits for its reviews, below [`DUE_SHARDS`].
#[must_use]
pub fn due_shard(lead: &LeadId) -> u8 {
    // FNV-1a in 64 bits, of which the highest four are the best mixed. `std`'s hasher may change between releases.
    let hash = lead
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    let [highest, ..] = hash.to_be_bytes();
    highest >> 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_the_keys_are_as_they_have_always_been() {
        let email = Identity::Email(Email::parse("ada@example.com").unwrap());
        let phone = Identity::Phone(Phone::parse("+431234567").unwrap());
        let external = Identity::External(ExternalId::new("crm", "a#7").unwrap());
        let anonymous = AnonymousId::parse("0123456789abcdef").unwrap();
        assert_eq!(identity_key(&email), "email#blt3efwmprtzpmr2vgiwi2xx5u");
        assert_eq!(identity_key(&phone), "phone#qib6qbp52dvxo622ummsijnd4y");
        assert_eq!(identity_key(&external), "external#crm#pk4w5izaxrgzdvnll2u5pkd4wq");
        assert_eq!(
            identity_key(&Identity::Anonymous(anonymous.clone())),
            "anonymous#xqgxrcv6ijhrtko4wap6pt4s2m"
        );
        assert_eq!(visitor_partition(&anonymous), "anonymous#0123456789abcdef");
        assert_eq!(due_shard(&LeadId::from_bytes([7; 16])), 12);
    }

    #[test]
    fn an_identity_reads_back_from_its_text() {
        for identity in [
            Identity::Email(Email::parse("ada@example.com").unwrap()),
            Identity::Phone(Phone::parse("+431234567").unwrap()),
            Identity::External(ExternalId::new("crm", "a#7 ü").unwrap()),
            Identity::Email(Email::parse("+a#b@example.com").unwrap()),
            Identity::Anonymous(AnonymousId::parse("0123456789abcdef").unwrap()),
        ] {
            assert_eq!(identity_from_text(&identity_text(&identity)), Some(identity));
        }
        for text in ["", "ada@example.com", "@", "@ada", "#crm", "crm#7", "431234567", "?"] {
            assert_eq!(identity_from_text(text), None, "{text}");
        }
    }

    #[test]
    fn one_id_in_two_systems_is_two_keys() {
        let key = |system, id| identity_key(&Identity::External(ExternalId::new(system, id).unwrap()));
        assert_ne!(key("crm", "7"), key("erp", "7"));
        let tail = |key: String| key.rsplit('#').next().unwrap().to_owned();
        assert_ne!(tail(key("crm", "7")), tail(key("erp", "7")));
    }

    #[test]
    fn leads_spread_evenly_over_the_shards() {
        let mut counts = [0_u32; DUE_SHARDS as usize];
        // Ids in order of arrival, as UUIDs of version 7 are: only the middle differs much.
        for n in 0..16_000_u32 {
            let [a, b, c, d] = n.to_be_bytes();
            let id = LeadId::from_bytes([1, 0x99, 0, a, b, c, 0x70, d, 0x80, 0, 0, 0, 0, 0, 0, 0]);
            counts[due_shard(&id) as usize] += 1;
        }
        assert!(counts.iter().all(|n| (800..1_200).contains(n)), "{counts:?}");
    }
}
