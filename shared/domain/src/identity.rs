//! How a lead is known: external id, e-mail address, phone number, or a browser's anonymous id, in order of strength.
//!
//! Each type can only hold a value in its normal form, so two spellings of one address are one identity. Personal
//! values are redacted in `Debug`.

use std::fmt;
use thiserror::Error;

/// Says why a text is not an identity, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// Not an e-mail address.
    #[error("is not an e-mail address; expected one such as name@company.example")]
    Email,
    /// Not a phone number in international form.
    #[error("is not a phone number in international form; expected + and 7 to 15 digits, such as +431234567")]
    Phone,
    /// Not the name of a system.
    #[error("is not the name of a system; expected 1 to 40 of a-z, 0-9, _ and -, such as crm")]
    System,
    /// Not an id of another system.
    #[error("is not an id; expected 1 to 200 characters without control characters")]
    External,
    /// Not a browser's anonymous id.
    #[error("is not an anonymous id; expected 8 to 64 of A-Z, a-z, 0-9, _ and -")]
    Anonymous,
    /// Not a lead id.
    #[error("is not a lead id; expected 26 of a-z and 2-7")]
    Lead,
    /// Not an identifier.
    #[error("is not an identifier; expected 1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit")]
    Slug,
}

macro_rules! redacted {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

/// An e-mail address, trimmed and in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);
redacted!(Email);

impl Email {
    /// Reads an address: one `@`, a local part of at most 64 characters, a domain with a dot, 254 in all.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Email`] where the text is no address that mail could be sent to.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(IdentityError::Email)?;
        let local_ok = (1..=64).contains(&local.len())
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let top = domain.rsplit('.').next().unwrap_or_default();
        let domain_ok = domain.contains('.')
            && domain.split('.').all(label_ok)
            && top.chars().count() >= 2
            && !top.chars().all(|c| c.is_ascii_digit());
        if local_ok && domain_ok && text.len() <= 254 { Ok(Self(text)) } else { Err(IdentityError::Email) }
    }

    /// Gives the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives the domain behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// A phone number in E.164 form: `+` and 7 to 15 digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(String);
redacted!(Phone);

impl Phone {
    /// Reads an international number; spaces, dots, slashes, dashes and brackets are dropped, `00` counts as `+`,
    /// and so does the `(0)` that is dialled only inside the country.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Phone`] where no country code can be seen or the length is wrong.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim().replace("(0)", "");
        let mut digits = String::with_capacity(16);
        let mut plus = false;
        for c in text.chars() {
            match c {
                '+' if digits.is_empty() && !plus => plus = true,
                '0'..='9' => digits.push(c),
                ' ' | '.' | '/' | '-' | '(' | ')' | '\u{a0}' | '\u{2011}' | '\u{2013}' => {}
                _ => return Err(IdentityError::Phone),
            }
        }
        let number = match (plus, digits.strip_prefix("00")) {
            (true, _) => digits.as_str(),
            (false, Some(rest)) => rest,
            (false, None) => return Err(IdentityError::Phone),
        };
        if (7..=15).contains(&number.len()) && !number.starts_with('0') {
            Ok(Self(format!("+{number}")))
        } else {
            Err(IdentityError::Phone)
        }
    }

    /// Gives the number with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id that another system gave the lead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId {
    system: String,
    id: String,
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalId({}, redacted)", self.system)
    }
}

impl ExternalId {
    /// Makes an external id.
    ///
    /// # Errors
    ///
    /// [`IdentityError::System`] or [`IdentityError::External`].
    pub fn new(system: &str, id: &str) -> Result<Self, IdentityError> {
        let system = Self::parse_system(system)?;
        let id = id.trim();
        if id.is_empty() || id.chars().count() > 200 || id.chars().any(char::is_control) {
            return Err(IdentityError::External);
        }
        Ok(Self { system, id: id.to_owned() })
    }

    /// Reads the name of a system.
    ///
    /// # Errors
    ///
    /// [`IdentityError::System`].
    pub fn parse_system(text: &str) -> Result<String, IdentityError> {
        let text = text.trim().to_lowercase();
        let ok = (1..=40).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if ok { Ok(text) } else { Err(IdentityError::System) }
    }

    /// Gives the name of the system.
    #[must_use]
    pub fn system(&self) -> &str {
        &self.system
    }

    /// Gives the id in that system.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The random id under which a browser's activity is kept until it becomes known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnonymousId(String);
redacted!(AnonymousId);

impl AnonymousId {
    /// Reads an anonymous id.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Anonymous`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        let ok = (8..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if ok { Ok(Self(text.to_owned())) } else { Err(IdentityError::Anonymous) }
    }

    /// Gives the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One way in which a lead is known. The order of the variants is the order of strength, strongest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// Known to another system.
    External(ExternalId),
    /// Known by an e-mail address.
    Email(Email),
    /// Known by a phone number.
    Phone(Phone),
    /// Known as a browser.
    Anonymous(AnonymousId),
}

impl Identity {
    /// Gives the strength, 0 for the strongest kind.
    #[must_use]
    pub const fn strength(&self) -> u8 {
        match self {
            Self::External(_) => 0,
            Self::Email(_) => 1,
            Self::Phone(_) => 2,
            Self::Anonymous(_) => 3,
        }
    }

    /// Names the kind, as it is written in the API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::External(_) => "external_id",
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
            Self::Anonymous(_) => "anonymous_id",
        }
    }
}

/// The id of a lead: 26 characters of base 32, made from 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadId(String);

impl LeadId {
    /// Makes an id from 16 bytes that nobody used before.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(data_encoding::BASE32_NOPAD.encode(&bytes).to_lowercase())
    }

    /// Reads an id.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Lead`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let ok =
            text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
        if ok { Ok(Self(text.to_owned())) } else { Err(IdentityError::Lead) }
    }

    /// Gives the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a lead in a request: by its id, or by one of its identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeadRef {
    /// By the id that Leadloop gave it.
    Id(LeadId),
    /// By one of its identities.
    Known(Identity),
}

/// An identifier that people write in a playbook: of a signal, rule, segment, person, territory or form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// Reads an identifier.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Slug`].
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let first_ok = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let ok = first_ok
            && text.len() <= 63
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if ok { Ok(Self(text.to_owned())) } else { Err(IdentityError::Slug) }
    }

    /// Gives the identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether mail at this domain belongs to a person and says nothing of a company.
#[must_use]
pub fn is_free_mail(domain: &str) -> bool {
    // Sorted, for the binary search. The large public mailbox providers; a company of one's own may be added by name.
    const FREE: &[&str] = &[
        "aol.com",
        "bluewin.ch",
        "bol.com.br",
        "chello.at",
        "fastmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "hotmail.it",
        "icloud.com",
        "inbox.lv",
        "interia.pl",
        "laposte.net",
        "libero.it",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "o2.pl",
        "onet.pl",
        "op.pl",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "sapo.pt",
        "seznam.cz",
        "sfr.fr",
        "t-online.de",
        "telenet.be",
        "tin.it",
        "tutanota.com",
        "uol.com.br",
        "virgilio.it",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "yahoo.co.in",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.com.br",
        "yahoo.de",
        "yahoo.es",
        "yahoo.fr",
        "yahoo.it",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    ];
    FREE.binary_search(&domain).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_an_address_are_one() {
        assert_eq!(Email::parse(" Ada@Example.COM ").unwrap(), Email::parse("ada@example.com").unwrap());
    }

    #[test]
    fn what_mail_cannot_be_sent_to_is_no_address() {
        for bad in [
            "",
            "a",
            "a@",
            "@b.example",
            "a@b",
            "a b@c.example",
            "a@b..example",
            "a@-b.example",
            "a@1.2",
            ".a@b.cc",
        ] {
            assert_eq!(Email::parse(bad), Err(IdentityError::Email), "{bad}");
        }
    }

    #[test]
    fn phone_numbers_come_to_one_form() {
        for text in ["+43 1 234 567", "0043 1 234567", "+43 (0)1 234-567", "+43.1.234567"] {
            assert_eq!(Phone::parse(text).unwrap().as_str(), "+431234567", "{text}");
        }
        for bad in ["01 234567", "+43", "+0431234567", "+43 1 abc", "++431234567", "+1234567890123456"] {
            assert_eq!(Phone::parse(bad), Err(IdentityError::Phone), "{bad}");
        }
    }

    #[test]
    fn personal_values_do_not_show_in_debug() {
        let all = format!(
            "{:?} {:?} {:?}",
            Email::parse("ada@example.com").unwrap(),
            Phone::parse("+431234567").unwrap(),
            ExternalId::new("crm", "ada-lovelace").unwrap()
        );
        assert!(!all.contains("ada") && !all.contains("123"), "{all}");
    }

    #[test]
    fn the_list_of_free_mail_domains_is_sorted() {
        assert!(is_free_mail("gmail.com") && is_free_mail("aol.com") && is_free_mail("zoho.com"));
        assert!(!is_free_mail("example.com"));
    }
}
