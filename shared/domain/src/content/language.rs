//! In which language to speak to a lead.
//!
//! A language is a BCP 47 tag of a language with, where it matters, a script and a region: `de`, `en-GB`, `zh-Hant`.
//! Two of them are the same to a reader when language and script are: who reads `de-AT` reads `de-DE`. The lead's own
//! word counts, its attribute `language`; failing that, its country's language where a country has one that nearly
//! everybody there reads. Belgium, Canada, Finland, Luxembourg and Switzerland are not among them on purpose: half of
//! their leads would be written to in their neighbours' language. A lead of which neither is known gets what has no
//! language, and English.

use crate::attribute::{AttributeValue, Attributes, COUNTRY};
use crate::country::Country;
use icu_locale_core::subtags::{self, Region, Script};
use std::fmt;

/// The attribute that holds a lead's language.
pub const LANGUAGE: &str = "language";

/// The language in which leads are written to whose own nobody knows.
const COMMON: &str = "en";

/// Countries with the one language that nearly everybody there reads, by their code.
const SPOKEN: &[(&str, &str)] = &[
    ("AD", "ca"),
    ("AR", "es"),
    ("AT", "de"),
    ("AU", "en"),
    ("BG", "bg"),
    ("BR", "pt"),
    ("CL", "es"),
    ("CN", "zh-Hans"),
    ("CO", "es"),
    ("CR", "es"),
    ("CZ", "cs"),
    ("DE", "de"),
    ("DK", "da"),
    ("EC", "es"),
    ("EE", "et"),
    ("ES", "es"),
    ("FR", "fr"),
    ("GB", "en"),
    ("GR", "el"),
    ("HR", "hr"),
    ("HU", "hu"),
    ("IE", "en"),
    ("IS", "is"),
    ("IT", "it"),
    ("JP", "ja"),
    ("KR", "ko"),
    ("LI", "de"),
    ("LT", "lt"),
    ("LV", "lv"),
    ("MC", "fr"),
    ("MX", "es"),
    ("NL", "nl"),
    ("NO", "no"),
    ("NZ", "en"),
    ("PE", "es"),
    ("PL", "pl"),
    ("PT", "pt"),
    ("RO", "ro"),
    ("SE", "sv"),
    ("SI", "sl"),
    ("SK", "sk"),
    ("SM", "it"),
    ("TR", "tr"),
    ("TW", "zh-Hant"),
    ("US", "en"),
    ("UY", "es"),
];

/// A language, with script and region where they were said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language {
    language: subtags::Language,
    script: Option<Script>,
    region: Option<Region>,
}

impl Language {
    /// Reads a BCP 47 tag of a language and, where they are given, a script and a region.
    ///
    /// # Errors
    ///
    /// A sentence that says what a tag looks like.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text.trim().split('-').peekable();
        let language = rest.next().and_then(|part| subtags::Language::try_from_str(part).ok());
        let script = rest.peek().and_then(|part| Script::try_from_str(part).ok());
        rest.next_if(|_| script.is_some());
        let region = rest.peek().and_then(|part| Region::try_from_str(part).ok());
        rest.next_if(|_| region.is_some());
        match language.filter(|language| !language.is_unknown() && rest.next().is_none()) {
            Some(language) => Ok(Self { language, script, region }),
            None => Err("is not a language; expected a BCP 47 tag such as de or en-GB"),
        }
    }

    /// Tells whether who reads this language reads the other: the same language, and no other script.
    #[must_use]
    pub fn reads(&self, other: &Self) -> bool {
        let scripts = (self.script(), other.script());
        self.base() == other.base() && !matches!(scripts, (Some(own), Some(other)) if own != other)
    }

    /// Gives the tag of the language alone, without script and region.
    #[must_use]
    pub fn base(&self) -> &str {
        match self.language.as_str() {
            // Both written forms of Norwegian are read by all who read one.
            "nb" | "nn" => "no",
            base => base,
        }
    }

    /// Gives the script; of Chinese also where only the region tells it.
    fn script(&self) -> Option<&str> {
        let region = self.region.as_ref().map(Region::as_str);
        match (self.script.as_ref(), self.base(), region) {
            (Some(script), ..) => Some(script.as_str()),
            (None, "zh", Some("TW" | "HK" | "MO")) => Some("Hant"),
            (None, "zh", Some(_)) => Some("Hans"),
            (None, ..) => None,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.language.as_str())?;
        self.script.iter().try_for_each(|script| write!(f, "-{}", script.as_str()))?;
        self.region.iter().try_for_each(|region| write!(f, "-{}", region.as_str()))
    }
}

/// How a lead's language is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// It said so.
    Said(Language),
    /// By its country.
    Country(Language),
    /// Nobody knows.
    Unknown,
}

impl Tongue {
    /// Finds out a lead's language.
    #[must_use]
    pub fn of(attributes: &Attributes) -> Self {
        let text = |name: &str| match &attributes.get(name)?.value {
            AttributeValue::Text(text) => Some(text.as_str()),
            _ => None,
        };
        if let Some(language) = text(LANGUAGE).and_then(|text| Language::parse(text).ok()) {
            return Self::Said(language);
        }
        let country = text(COUNTRY).and_then(Country::parse);
        let spoken = country.and_then(|country| SPOKEN.iter().find(|(code, _)| *code == country.as_str()));
        match spoken.and_then(|(_, tag)| Language::parse(tag).ok()) {
            Some(language) => Self::Country(language),
            None => Self::Unknown,
        }
    }

    /// Gives the language, where it is known.
    #[must_use]
    pub const fn language(&self) -> Option<&Language> {
        match self {
            Self::Said(language) | Self::Country(language) => Some(language),
            Self::Unknown => None,
        }
    }

    /// Tells whether content in a language, or in none, speaks to the lead.
    #[must_use]
    pub fn takes(&self, content: Option<&Language>) -> bool {
        match (content, self.language()) {
            (None, _) => true,
            (Some(content), Some(own)) => own.reads(content),
            (Some(content), None) => content.base() == COMMON,
        }
    }

    /// Says how the language is known, in words.
    #[must_use]
    pub fn because(&self) -> String {
        match self {
            Self::Said(language) => format!("its attribute {LANGUAGE} says {language}"),
            Self::Country(language) => {
                format!("its country speaks {language}; no attribute {LANGUAGE} says otherwise")
            }
            Self::Unknown => format!(
                "nobody knows its language, so it gets content without a language, or in {COMMON}; the attribute {LANGUAGE} would tell"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(text: &str) -> Language {
        Language::parse(text).unwrap()
    }

    #[test]
    fn a_tag_is_written_as_it_should_be_and_nonsense_is_none() {
        for (text, written) in [("de", "de"), ("EN-gb", "en-GB"), (" zh-hant-tw ", "zh-Hant-TW")] {
            assert_eq!(language(text).to_string(), written);
        }
        for wrong in ["", "german", "d", "de_", "und", "de-", "*", "de-AT-1996-x"] {
            assert!(Language::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_read_each_other_and_scripts_do_not() {
        for (one, other) in
            [("de-AT", "de"), ("en-GB", "en-US"), ("nb", "nn"), ("zh-CN", "zh-Hans"), ("zh", "zh-Hant")]
        {
            assert!(
                language(one).reads(&language(other)) && language(other).reads(&language(one)),
                "{one} {other}"
            );
        }
        for (one, other) in [("de", "nl"), ("zh-TW", "zh-Hans"), ("zh-TW", "zh-CN"), ("sr-Latn", "sr-Cyrl")] {
            assert!(!language(one).reads(&language(other)), "{one} {other}");
        }
    }

    #[test]
    fn the_countries_are_countries_and_their_languages_are_languages() {
        assert!(SPOKEN.is_sorted());
        for (code, tag) in SPOKEN {
            assert_eq!(Country::parse(code).unwrap().as_str(), *code);
            assert_eq!(language(tag).to_string(), *tag);
        }
    }
}
