//! What advertisers' audiences want to know of a person, in the way in which each destination wants it.
//!
//! An audience is matched by hashes: the advertiser hashes an address, the destination hashes those that it knows, and
//! both must have written it the same way before. So a rule here is right exactly where it is the destination's own
//! rule, and the destinations disagree:
//!
//! | | [Google Customer Match](google) | [Meta Custom Audiences](meta) |
//! | --- | --- | --- |
//! | e-mail | of Gmail's two domains, what follows a plus and all dots are dropped | left as it is |
//! | phone | E.164 with `+` | digits with the country code, no `+`, no leading zeros |
//! | names | as written | without white space and punctuation, in UTF-8 |
//! | country | in clear, capitals | hashed, no capitals |
//! | postal code | in clear | hashed, without white space, up to a hyphen |
//!
//! Everywhere: no white space around, no capitals (but Google's country), SHA-256 in hexadecimal without capitals. The
//! tests hold this against what the destinations publish (`tests/audience/`, each file with its source).
//!
//! # By what somebody is matched
//!
//! A destination finds a person by an e-mail address, by a phone number, or by a postal address, which is first name,
//! last name, country and postal code together ([`MATCHED_BY`]). Who has none of the three whole is matched by nothing
//! and need not be sent. The three are also what is taken back, each by itself, where it holds no longer.

use crate::attribute::AttributeValue;
use crate::country::Country;
use crate::lead::Lead;
use sha2::{Digest, Sha256};

/// Where an audience goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Google Ads, Customer Match.
    GoogleCustomerMatch,
    /// Meta (Facebook, Instagram), Custom Audiences from a customer list.
    MetaCustomAudiences,
}

/// A field of a row, where there is something for it.
type Field = Option<String>;

/// The places in a row of what a destination matches by: an e-mail address, a phone number, a postal address. Each is for
/// itself, and only whole.
pub const MATCHED_BY: [&[usize]; 3] = [&[0], &[1], &[2, 3, 4, 5]];

impl Destination {
    /// Every destination with its word in the API.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("google_customer_match", Self::GoogleCustomerMatch),
        ("meta_custom_audiences", Self::MetaCustomAudiences),
    ];

    /// Gives the word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, destination)| *destination == self).map_or("", |(word, _)| word)
    }

    /// Gives the header of the file that the destination takes, to the letter: it recognises the columns by it.
    ///
    /// Google: [Format your customer data file](https://support.google.com/google-ads/answer/7659867). Meta: [How to
    /// format a customer list](https://www.facebook.com/business/help/2082575038703844).
    #[must_use]
    pub const fn headers(self) -> [&'static str; 6] {
        match self {
            Self::GoogleCustomerMatch => ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"],
            Self::MetaCustomAudiences => ["email", "phone", "fn", "ln", "country", "zip"],
        }
    }

    /// Writes a person as the destination wants it, in the order of the header.
    #[must_use]
    pub fn row(self, person: &Person) -> [Option<String>; 6] {
        fn with(text: Option<&String>, rule: impl Fn(&str) -> Field) -> Field {
            rule(text?)
        }
        let Person { email, phone, first_name, last_name, country, postal_code } = person;
        let hashed = |text: Field| text.as_deref().and_then(sha256_hex);
        match self {
            Self::GoogleCustomerMatch => [
                hashed(with(email.as_ref(), google::email)),
                hashed(with(phone.as_ref(), google::phone)),
                hashed(with(first_name.as_ref(), google::name)),
                hashed(with(last_name.as_ref(), google::name)),
                country.and_then(|country| google::country(country.as_str())),
                with(postal_code.as_ref(), google::postal_code),
            ],
            Self::MetaCustomAudiences => [
                hashed(with(email.as_ref(), meta::email)),
                hashed(with(phone.as_ref(), meta::phone)),
                hashed(with(first_name.as_ref(), meta::name)),
                hashed(with(last_name.as_ref(), meta::name)),
                hashed(country.and_then(|country| meta::country(country.as_str()))),
                hashed(with(postal_code.as_ref(), |code| meta::postal_code(code, *country))),
            ],
        }
    }
}

/// Gives the SHA-256 of a text in hexadecimal; of a blank one there is none, since it would match every other.
#[must_use]
pub fn sha256_hex(text: &str) -> Option<String> {
    let blank = text.trim().is_empty();
    (!blank).then(|| data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

/// What is known of a person that a destination could match by, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The e-mail address.
    pub email: Option<String>,
    /// The phone number, with its country code.
    pub phone: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The country.
    pub country: Option<Country>,
    /// The postal code.
    pub postal_code: Option<String>,
}

/// The attributes that hold a postal code; the first that is given counts.
const POSTAL_CODES: [&str; 4] = ["postal_code", "zip", "zip_code", "postcode"];

impl Person {
    /// Gathers it from a lead: names from the attributes `first_name` and `last_name`, where these are missing from
    /// `full_name`; the postal code from `postal_code`, `zip`, `zip_code` or `postcode`.
    #[must_use]
    pub fn of(lead: &Lead) -> Self {
        let given = |name: &str| {
            let (_, attribute) = lead.attributes.iter().find(|(known, _)| known.as_str() == name)?;
            // A postal code may have been read as a number.
            let text = match &attribute.value {
                AttributeValue::Text(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            (!text.is_empty()).then_some(text)
        };
        let split = given("full_name").and_then(|name| split_name(&name));
        let (first, last) = split.map_or((None, None), |(first, last)| (Some(first), Some(last)));
        Self {
            email: lead.email().map(|email| email.as_str().to_owned()),
            phone: lead.phone().map(|phone| phone.as_str().to_owned()),
            first_name: given("first_name").or(first),
            last_name: given("last_name").or(last),
            country: match lead.country() {
                Some(AttributeValue::Text(text)) => Country::parse(text),
                _ => None,
            },
            postal_code: POSTAL_CODES.into_iter().find_map(given),
        }
    }
}

/// Words with which a last name begins.
const PARTICLES: &[&str] = &[
    "al", "bin", "da", "dal", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "ibn", "la", "le",
    "ten", "ter", "van", "vom", "von", "zu", "zum", "zur",
];

/// Splits a whole name into first and last name.
///
/// "Last, First" is as it says. Otherwise the first word is the first name, and the last one, with the particles before
/// it, the last name; names in the middle are dropped, as are titles in front (a word of several letters that ends with
/// a full stop). A single word is neither: nobody knows which. Names that are written family name first without a comma
/// are split wrongly, and then match nobody.
#[must_use]
pub fn split_name(name: &str) -> Option<(String, String)> {
    let is_title = |word: &&str| word.ends_with('.') && word.chars().count() > 2;
    if let Some((last, first)) = name.split_once(',') {
        let first = first.split_whitespace().find(|word| !is_title(word))?;
        let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
        return (!last.is_empty()).then(|| (first.to_owned(), last));
    }
    let words: Vec<&str> = name.split_whitespace().skip_while(is_title).collect();
    let (first, rest) = words.split_first()?;
    let particle = rest.iter().position(|word| PARTICLES.contains(&word.to_lowercase().as_str()));
    let last = match particle.and_then(|at| rest.get(at..)) {
        Some(last) if last.len() > 1 => last.join(" "),
        _ => (*rest.last()?).to_owned(),
    };
    Some(((*first).to_owned(), last))
}

/// Gives the two halves of an e-mail address, without capitals.
fn address(text: &str) -> Option<(String, String)> {
    let text = text.trim().to_lowercase();
    let (user, domain) = text.split_once('@')?;
    let wrong =
        user.is_empty() || domain.is_empty() || domain.contains('@') || text.contains(char::is_whitespace);
    (!wrong).then(|| (user.to_owned(), domain.to_owned()))
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The rules of Google Customer Match: those of Google's own formatter
/// ([data-manager-python](https://github.com/googleads/data-manager-python), `format.py`, Apache-2.0), which its help
/// pages [tell in words](https://support.google.com/google-ads/answer/7659867). `None` where the formatter refuses.
pub mod google {
    use super::{address, filled};

    /// Writes an e-mail address.
    #[must_use]
    pub fn email(text: &str) -> Option<String> {
        let (mut user, domain) = address(text)?;
        if domain == "gmail.com" || domain == "googlemail.com" {
            let before_plus = user.split('+').next().unwrap_or_default();
            user = filled(before_plus.replace('.', ""))?;
        }
        Some(format!("{user}@{domain}"))
    }

    /// Writes a phone number that has its country code.
    #[must_use]
    pub fn phone(text: &str) -> Option<String> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        filled(digits).map(|digits| format!("+{digits}"))
    }

    /// Writes a first or last name.
    #[must_use]
    pub fn name(text: &str) -> Option<String> {
        filled(text.trim().to_lowercase())
    }

    /// Writes a country's two letters; in clear.
    #[must_use]
    pub fn country(text: &str) -> Option<String> {
        let text = text.trim().to_uppercase();
        (text.chars().count() == 2).then_some(text)
    }

    /// Writes a postal code; in clear.
    #[must_use]
    pub fn postal_code(text: &str) -> Option<String> {
        filled(text.trim().to_owned())
    }
}

/// The rules of Meta Custom Audiences, as its [customer information
/// parameters](https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/customer-information-parameters)
/// tell them, and where they leave something open as Meta's own library writes it
/// ([capi-param-builder](https://github.com/facebook/capi-param-builder)). `None` where nothing is left.
pub mod meta {
    use super::{address, filled};
    use crate::country::Country;

    /// Writes an e-mail address.
    #[must_use]
    pub fn email(text: &str) -> Option<String> {
        address(text).map(|(user, domain)| format!("{user}@{domain}"))
    }

    /// Writes a phone number that has its country code.
    #[must_use]
    pub fn phone(text: &str) -> Option<String> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        filled(digits.trim_start_matches('0').to_owned())
    }

    /// Writes a first or last name.
    #[must_use]
    pub fn name(text: &str) -> Option<String> {
        // The general punctuation of Unicode besides: people type O’Brien in both ways.
        let dropped = |c: &char| {
            c.is_whitespace()
                || c.is_ascii_punctuation()
                || matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}')
        };
        filled(text.chars().filter(|c| !dropped(c)).collect::<String>().to_lowercase())
    }

    /// Writes a country's two letters.
    #[must_use]
    pub fn country(text: &str) -> Option<String> {
        let text = text.trim().to_lowercase();
        (text.chars().count() == 2).then_some(text)
    }

    /// Writes a postal code: of the United States its first five digits.
    #[must_use]
    pub fn postal_code(text: &str, country: Option<Country>) -> Option<String> {
        let text = text.trim().to_lowercase();
        let text: String =
            text.split('-').next().unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
        let american = country.is_some_and(|country| country.as_str() == "US");
        filled(if american { text.chars().take(5).collect() } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_is_split_as_people_read_it() {
        for (name, first, last) in [
            ("Ada Lovelace", "Ada", "Lovelace"),
            ("  Ada   Maria  Lovelace ", "Ada", "Lovelace"),
            ("Lovelace, Ada Maria", "Ada", "Lovelace"),
            ("Mag. Dr. Ada Lovelace", "Ada", "Lovelace"),
            ("J. Doe", "J.", "Doe"),
            ("Ludwig van Beethoven", "Ludwig", "van Beethoven"),
            ("Ursula von der Leyen", "Ursula", "von der Leyen"),
            ("Maria de", "Maria", "de"),
        ] {
            assert_eq!(split_name(name), Some((first.to_owned(), last.to_owned())), "{name}");
        }
        for name in ["", "Ada", "Dr. Ada", ", Ada", "Lovelace,"] {
            assert_eq!(split_name(name), None, "{name}");
        }
    }
}
