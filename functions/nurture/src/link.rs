//! The links of mails: what each is about, signed.
//!
//! * **A token says all that its route needs**: the lead, which mail it was, its program and content, when it was written,
//!   and what the link itself is about. So a click is answered with one read, of the lead, and nothing is stored for a
//!   link. None of that is personal data: ids of ours, and for a click the address that it leads to.
//! * **Four kinds, a purpose each** ([`OPEN`], [`CLICK`], [`UNSUBSCRIBE`], [`OPT_IN`]): a token of one is none of another,
//!   and none of those in mails to people of the company. They work for ten years ([`WORKS_FOR_DAYS`]), as keys do.
//! * **A target is checked before it is signed** ([`Target`]): an address of the web in letters that a header may hold, of
//!   at most [`LONGEST_TARGET`] bytes. What is none (`mailto:`, `#top`, an address that is too long for the mail programs
//!   that would have to carry it twice) gets no link of ours: the letter keeps it as it is, and clicks on it are not seen.
//! * **Written in one way only.** Reading is strict: whatever is too short, too long, or of an unknown form is about nothing.
//!   The first byte is the form's number, so that links of today are still read when a new form comes.

use adapters::ports::StoreError;
use adapters::signed_link::{Links, MOST_ABOUT, MOST_KEYS, NEW_KEY_AFTER_DAYS, Purpose, Refused, Signer};
use adapters::suppressions::Hashed;
use domain::consent;
use domain::identity::{Email, LeadId, Slug};
use domain::sales::DeliveryId;
use domain::time::{DAY_MS, Timestamp};

/// Shows that a mail was opened.
pub const OPEN: Purpose = Purpose("mail open");
/// Leads on, and shows that a link was followed.
pub const CLICK: Purpose = Purpose("mail click");
/// Unsubscribes, and shows what somebody gets.
pub const UNSUBSCRIBE: Purpose = Purpose("mail unsubscribe");
/// Confirms that the owner of an address wants to be written to.
pub const OPT_IN: Purpose = Purpose("mail opt-in");

/// For how long a link works, in days: ten years.
pub const WORKS_FOR_DAYS: i64 = 3_652;
/// The longest address that a link leads to, in bytes.
pub const LONGEST_TARGET: usize = 1_024;

/// The number of the form in which tokens are written.
const FORM: u8 = 1;
/// The bytes of a lead's id.
const LEAD: usize = 26;
/// The bytes of a mail with the longest names.
const MAIL: usize = 1 + LEAD + 4 + 8 + 2 * (1 + 63);
const _: () = assert!(MAIL + LONGEST_TARGET <= MOST_ABOUT, "the longest click fits into a token");
const _: () = assert!(
    WORKS_FOR_DAYS <= (MOST_KEYS as i64 - 1) * NEW_KEY_AFTER_DAYS,
    "a key is kept for as long as its last link works"
);

/// Which mail a link is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Whom it went to.
    pub lead: LeadId,
    /// Which of the lead's mails it is, from 1.
    pub number: u32,
    /// The program that sent it; none where no program did.
    pub program: Option<Slug>,
    /// The content that it brought; none where it brought none.
    pub content: Option<Slug>,
    /// When it was written.
    pub made_at: Timestamp,
}

impl Mail {
    fn to_bytes(&self, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(self.lead.as_str().as_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.made_at.millis().to_be_bytes());
        for name in [&self.program, &self.content] {
            let name = name.as_ref().map_or("", Slug::as_str);
            // A name has at most 63 bytes; one without a length is none.
            bytes.push(u8::try_from(name.len()).unwrap_or_default());
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes.extend_from_slice(rest);
        bytes
    }

    /// Gives the mail, and what stands behind it.
    fn from_bytes(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let rest = bytes.strip_prefix(&[FORM])?;
        let (lead, rest) = rest.split_first_chunk::<LEAD>()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (made_at, rest) = rest.split_first_chunk()?;
        let (program, rest) = name(rest)?;
        let (content, rest) = name(rest)?;
        let mail = Self {
            lead: LeadId::parse(std::str::from_utf8(lead).ok()?).ok()?,
            number: u32::from_be_bytes(*number),
            program,
            content,
            made_at: Timestamp::from_millis(i64::from_be_bytes(*made_at)),
        };
        Some((mail, rest))
    }
}

/// Reads a name that stands behind its length.
fn name(bytes: &[u8]) -> Option<(Option<Slug>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    if name.is_empty() {
        return Some((None, rest));
    }
    Some((Some(Slug::parse(std::str::from_utf8(name).ok()?).ok()?), rest))
}

/// An address of the web, in letters that a header may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// Reads an address as it stands in a mail. Letters beyond ASCII, and spaces, are written as bytes of UTF-8 with `%`, as
    /// browsers do; in the name of a host they would mean another host, so there they are refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let (host, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host_ok = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]@%!$&'()*+,;=".contains(&b));
        if !host_ok || text.chars().any(char::is_control) {
            return None;
        }
        let mut target = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                0x21..=0x7e => target.push(char::from(byte)),
                _ => target.push_str(&format!("%{byte:02X}")),
            }
        }
        (target.len() <= LONGEST_TARGET).then_some(Self(target))
    }

    /// Gives the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the address without what could name somebody: no query and no fragment, nor who signs in.
    #[must_use]
    pub fn page(&self) -> String {
        let end = self.0.find(['?', '#']).unwrap_or(self.0.len());
        let page = self.0.get(..end).unwrap_or_default();
        let (scheme, rest) = page.split_once("://").unwrap_or(("", page));
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{scheme}://{host}{path}")
    }
}

/// What an opt-in's link confirms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptIn {
    /// The mail that asks.
    pub mail: Mail,
    /// What the mail asks for.
    pub purposes: Vec<consent::Purpose>,
    /// Stands for the address that it went to; see [`mark_of`]. A lead that has another one by now confirmed nothing for it.
    pub address: DeliveryId,
}

/// Gives what stands for an address in a link: enough to see that it is another one, too little to find out which.
#[must_use]
pub fn mark_of(lead: &LeadId, address: &Email) -> DeliveryId {
    DeliveryId::new(lead.as_str(), address.as_str())
}

/// What a link to unsubscribe ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// The mail that it is in.
    pub mail: Mail,
    /// What the mail was for.
    pub purpose: consent::Purpose,
    /// The address that the mail went to, as the list of suppressed addresses knows it: a no outlives the lead. Mails from
    /// before this was written into their links have none.
    pub address: Option<Hashed>,
}

/// Writes the links of one mail.
#[derive(Clone, Debug)]
pub struct MailLinks {
    signer: Signer,
    base: String,
    mail: Mail,
    address: Option<Hashed>,
}

impl MailLinks {
    /// Makes it: the one time that a mail's links wait for the keys. `base` is where the API is reached from outside, without
    /// a slash at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn new(links: &Links, base: &str, mail: Mail) -> Result<Self, StoreError> {
        Ok(Self { signer: links.signer().await?, base: base.to_owned(), mail, address: None })
    }

    /// Writes the address that the mail goes to into its link to unsubscribe, hashed.
    #[must_use]
    pub fn sent_to(self, address: &Email) -> Self {
        Self { address: Some(Hashed::of(address)), ..self }
    }

    /// Gives the address of the pixel that shows that the mail was opened.
    #[must_use]
    pub fn pixel(&self) -> String {
        self.link("o", OPEN, &[])
    }

    /// Gives the address by which a link of the mail is followed; `None` where what it leads to is no [`Target`], so that
    /// the link must stay as it is.
    #[must_use]
    pub fn click(&self, target: &str) -> Option<String> {
        Some(self.link("c", CLICK, Target::parse(target)?.as_str().as_bytes()))
    }

    /// Gives the address that unsubscribes from what the mail is for.
    #[must_use]
    pub fn unsubscribe(&self, purpose: consent::Purpose) -> String {
        let address = self.address.as_ref().map_or("", Hashed::as_str);
        self.link("u", UNSUBSCRIBE, &[&[number_of(purpose)], address.as_bytes()].concat())
    }

    /// Gives the address that confirms what an address was asked for.
    #[must_use]
    pub fn opt_in(&self, purposes: &[consent::Purpose], address: &Email) -> String {
        let mark = mark_of(&self.mail.lead, address);
        let asked = purposes.iter().fold(0, |bits, purpose| bits | bit_of(*purpose));
        self.link("y", OPT_IN, &[&[asked], mark.0.as_slice()].concat())
    }

    fn link(&self, route: &str, purpose: Purpose, rest: &[u8]) -> String {
        let ends_at = self.mail.made_at.plus(WORKS_FOR_DAYS * DAY_MS);
        let token = self.signer.sign(purpose, &self.mail.to_bytes(rest), ends_at);
        format!("{}/t/{route}/{token}", self.base)
    }
}

/// Every purpose of consent with its number in tokens, which never changes.
const PURPOSES: &[(u8, consent::Purpose)] = &[
    (1, consent::Purpose::Marketing),
    (2, consent::Purpose::Tracking),
    (3, consent::Purpose::AdAudience),
    (4, consent::Purpose::Phone),
];

fn number_of(purpose: consent::Purpose) -> u8 {
    PURPOSES.iter().find(|(_, known)| *known == purpose).map_or(0, |(number, _)| *number)
}

/// Gives the bit of a purpose among several.
fn bit_of(purpose: consent::Purpose) -> u8 {
    1 << number_of(purpose).saturating_sub(1)
}

fn purpose_of(number: u8) -> Option<consent::Purpose> {
    PURPOSES.iter().find(|(known, _)| *known == number).map(|(_, purpose)| *purpose)
}

/// Reads the token of a pixel.
///
/// # Errors
///
/// [`StoreError`]; that the token is not believed is no error of the store.
pub async fn opened(links: &Links, token: &str) -> Result<Result<Mail, Refused>, StoreError> {
    read(links, OPEN, token, open_from).await
}

/// Reads the token of a link that was followed.
///
/// # Errors
///
/// As [`opened`].
pub async fn clicked(links: &Links, token: &str) -> Result<Result<(Mail, Target), Refused>, StoreError> {
    read(links, CLICK, token, click_from).await
}

/// Reads the token by which somebody unsubscribes.
///
/// # Errors
///
/// As [`opened`].
pub async fn unsubscribed(links: &Links, token: &str) -> Result<Result<WayOut, Refused>, StoreError> {
    read(links, UNSUBSCRIBE, token, unsubscribe_from).await
}

/// Reads the token by which somebody confirms an opt-in.
///
/// # Errors
///
/// As [`opened`].
pub async fn opted_in(links: &Links, token: &str) -> Result<Result<OptIn, Refused>, StoreError> {
    read(links, OPT_IN, token, opt_in_from).await
}

async fn read<T>(
    links: &Links,
    purpose: Purpose,
    token: &str,
    from: impl Fn(&[u8]) -> Option<T>,
) -> Result<Result<T, Refused>, StoreError> {
    Ok(links.read(purpose, token).await?.and_then(|about| from(&about).ok_or(Refused::NotOurs)))
}

fn open_from(bytes: &[u8]) -> Option<Mail> {
    let (mail, rest) = Mail::from_bytes(bytes)?;
    rest.is_empty().then_some(mail)
}

fn click_from(bytes: &[u8]) -> Option<(Mail, Target)> {
    let (mail, rest) = Mail::from_bytes(bytes)?;
    let text = std::str::from_utf8(rest).ok()?;
    // What was signed was in its normal form.
    Some((mail, Target::parse(text).filter(|target| target.as_str() == text)?))
}

fn unsubscribe_from(bytes: &[u8]) -> Option<WayOut> {
    let (mail, rest) = Mail::from_bytes(bytes)?;
    let (number, address) = rest.split_first()?;
    let address = match address {
        [] => None,
        address => Some(Hashed::parse(std::str::from_utf8(address).ok()?)?),
    };
    Some(WayOut { mail, purpose: purpose_of(*number)?, address })
}

fn opt_in_from(bytes: &[u8]) -> Option<OptIn> {
    let (mail, rest) = Mail::from_bytes(bytes)?;
    let (asked, address) = rest.split_first()?;
    let purposes: Vec<_> = PURPOSES
        .iter()
        .map(|(_, purpose)| *purpose)
        .filter(|purpose| asked & bit_of(*purpose) != 0)
        .collect();
    let known = purposes.iter().fold(0, |bits, purpose| bits | bit_of(*purpose)) == *asked;
    let address = DeliveryId(address.try_into().ok()?);
    (known && *asked != 0).then_some(OptIn { mail, purposes, address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use adapters::signed_link::Keys;
    use proptest::prelude::*;

    fn slug() -> impl Strategy<Value = Option<Slug>> {
        proptest::option::of("[a-z0-9][a-z0-9_-]{0,62}".prop_map(|text| Slug::parse(&text).unwrap()))
    }

    fn mail() -> impl Strategy<Value = Mail> {
        (any::<[u8; 16]>(), any::<u32>(), slug(), slug(), 0_i64..4_102_444_800_000).prop_map(
            |(lead, number, program, content, made_at)| Mail {
                lead: LeadId::from_bytes(lead),
                number,
                program,
                content,
                made_at: Timestamp::from_millis(made_at),
            },
        )
    }

    fn target() -> impl Strategy<Value = String> {
        "https?://[a-z0-9.-]{1,40}(/[!-~äß ]{0,200})?"
    }

    fn purpose() -> impl Strategy<Value = consent::Purpose> {
        proptest::sample::select(consent::Purpose::WORDS).prop_map(|(_, purpose)| purpose)
    }

    fn links(mail: &Mail) -> (Keys, MailLinks) {
        let keys = Keys::default().rotated(mail.made_at);
        let signer = keys.signer().unwrap();
        (keys, MailLinks { signer, base: "https://x.example".to_owned(), mail: mail.clone(), address: None })
    }

    /// Reads the token of an address, as its route does.
    fn about(keys: &Keys, purpose: Purpose, address: &str, mail: &Mail) -> Result<Vec<u8>, Refused> {
        let token = address.rsplit_once('/').unwrap().1;
        keys.read(purpose, token, mail.made_at)
    }

    proptest! {
        #[test]
        fn every_link_reads_back_as_what_it_was_signed_for(mail in mail(), target in target(), purpose in purpose()) {
            let (keys, links) = links(&mail);
            let pixel = links.pixel();
            prop_assert!(pixel.starts_with("https://x.example/t/o/"));
            prop_assert_eq!(open_from(&about(&keys, OPEN, &pixel, &mail).unwrap()), Some(mail.clone()));
            let click = links.click(&target).unwrap();
            prop_assert!(click.starts_with("https://x.example/t/c/") && click.len() < 2_048);
            let target = Target::parse(&target).unwrap();
            prop_assert_eq!(
                click_from(&about(&keys, CLICK, &click, &mail).unwrap()), Some((mail.clone(), target)));
            let address = Email::parse("ada@company.example").unwrap();
            // Mails of before say no address.
            let off = links.unsubscribe(purpose);
            let known = WayOut { mail: mail.clone(), purpose, address: Some(Hashed::of(&address)) };
            for (off, way) in [
                (off.clone(), WayOut { address: None, ..known.clone() }),
                (links.clone().sent_to(&address).unsubscribe(purpose), known),
            ] {
                prop_assert_eq!(unsubscribe_from(&about(&keys, UNSUBSCRIBE, &off, &mail).unwrap()), Some(way));
            }
            let mut purposes = vec![purpose, consent::Purpose::Marketing];
            purposes.sort();
            purposes.dedup();
            let on = links.opt_in(&purposes, &address);
            let read = opt_in_from(&about(&keys, OPT_IN, &on, &mail).unwrap()).unwrap();
            prop_assert_eq!(&read, &OptIn { mail: mail.clone(), purposes, address: mark_of(&mail.lead, &address) });
            prop_assert_ne!(read.address, mark_of(&mail.lead, &Email::parse("bob@company.example").unwrap()));
            for (link, own) in [(&pixel, OPEN), (&click, CLICK), (&off, UNSUBSCRIBE), (&on, OPT_IN)] {
                for other in [OPEN, CLICK, UNSUBSCRIBE, OPT_IN, adapters::signed_link::CONFIRM] {
                    prop_assert_eq!(about(&keys, other, link, &mail).is_ok(), own == other);
                }
            }
        }

        #[test]
        fn what_is_read_is_written_in_one_way_only(
            mail in mail(), rest in proptest::collection::vec(any::<u8>(), 0..12), cut in any::<proptest::sample::Index>(),
            place in any::<proptest::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = mail.to_bytes(&rest);
            // Cut anywhere, or with one byte changed, it is read as what would be written as these very bytes, or not at all.
            let cut = bytes.get(..cut.index(bytes.len())).unwrap().to_vec();
            *bytes.get_mut(place.index(mail.to_bytes(&rest).len())).unwrap() = byte;
            for bytes in [bytes, cut] {
                if let Some((mail, rest)) = Mail::from_bytes(&bytes) {
                    prop_assert_eq!(&mail.to_bytes(rest), &bytes);
                }
                if let Some(mail) = open_from(&bytes) {
                    prop_assert_eq!(&mail.to_bytes(&[]), &bytes);
                }
                if let Some((mail, target)) = click_from(&bytes) {
                    prop_assert_eq!(&mail.to_bytes(target.as_str().as_bytes()), &bytes);
                }
                if let Some(WayOut { mail, purpose, address }) = unsubscribe_from(&bytes) {
                    let address = address.as_ref().map_or("", Hashed::as_str);
                    prop_assert_eq!(&mail.to_bytes(&[&[number_of(purpose)], address.as_bytes()].concat()), &bytes);
                }
                if let Some(read) = opt_in_from(&bytes) {
                    let asked = read.purposes.iter().fold(0, |bits, purpose| bits | bit_of(*purpose));
                    let rest = [&[asked], read.address.0.as_slice()].concat();
                    prop_assert_eq!(&read.mail.to_bytes(&rest), &bytes);
                }
            }
        }

        #[test]
        fn no_bytes_make_reading_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let known = [&[FORM], bytes.as_slice()].concat();
            for bytes in [bytes, known] {
                let _ = (open_from(&bytes), click_from(&bytes), unsubscribe_from(&bytes), opt_in_from(&bytes));
            }
        }

        #[test]
        fn whatever_is_a_target_is_a_header_and_an_address_of_the_web(
            text in any::<String>(), tail in "[\\PC\r\n\t\0\\\\@#?/:%]{0,60}",
        ) {
            for text in [text, format!("https://{tail}"), format!("HTTP://a.example{tail}"), format!("https://a.example/{tail}")] {
                let Some(target) = Target::parse(&text) else { continue };
                prop_assert!(target.as_str().bytes().all(|b| (0x21..=0x7e).contains(&b)), "{text:?}");
                let lower = target.as_str().to_ascii_lowercase();
                prop_assert!(lower.starts_with("https://") || lower.starts_with("http://"), "{text:?}");
                prop_assert_eq!(Target::parse(target.as_str()), Some(target.clone()), "its own normal form");
                let page = target.page();
                prop_assert!(!page.contains(['?', '#']), "{page}");
            }
        }
    }

    #[test]
    fn what_is_no_address_of_the_web_stays_as_it_is_and_so_does_what_is_too_long() {
        for none in [
            "",
            "#top",
            "/pricing",
            "mailto:a@b.example",
            "tel:+431",
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "ftp://a.example",
            "https://a.example/\r\nSet-Cookie: a=b",
            "https://a.example/\nx",
            "https://a.example/\0",
            "https://ex ample/",
            "https://good.example\\@evil.example/",
            "https://straße.example/",
        ] {
            assert_eq!(Target::parse(none), None, "{none:?}");
        }
        let long = |n: usize| format!("https://a.example/{}", "x".repeat(n - 18));
        assert_eq!(Target::parse(&long(LONGEST_TARGET)).unwrap().as_str().len(), LONGEST_TARGET);
        assert_eq!(Target::parse(&long(LONGEST_TARGET + 1)), None);
        assert_eq!(Target::parse(&long(LONGEST_TARGET - 1).replace("xx", "xü")), None, "longer as bytes");
    }

    #[test]
    fn a_target_keeps_its_letters_and_its_page_names_nobody() {
        let target = Target::parse(" https://a.example/Grüße dich?to=ada%40b.example&x=ü#top ").unwrap();
        assert_eq!(
            target.as_str(),
            "https://a.example/Gr%C3%BC%C3%9Fe%20dich?to=ada%40b.example&x=%C3%BC#top"
        );
        assert_eq!(target.page(), "https://a.example/Gr%C3%BC%C3%9Fe%20dich");
        assert_eq!(Target::parse("https://ada:pw@a.example?x").unwrap().page(), "https://a.example");
    }

    #[test]
    fn the_longest_link_is_still_read() {
        let name = Slug::parse(&"a".repeat(63)).unwrap();
        let mail = Mail {
            lead: LeadId::from_bytes([255; 16]),
            number: u32::MAX,
            program: Some(name.clone()),
            content: Some(name),
            made_at: Timestamp::from_secs(1_795_000_000),
        };
        let (keys, links) = links(&mail);
        let target = format!("https://a.example/{}", "x".repeat(LONGEST_TARGET - 18));
        let click = links.click(&target).unwrap();
        assert!(click.len() < 2_048, "{}", click.len());
        let read = click_from(&about(&keys, CLICK, &click, &mail).unwrap()).unwrap();
        assert_eq!((read.0, read.1.as_str()), (mail, target.as_str()));
    }
}
