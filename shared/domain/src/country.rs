//! Turns what a form, a spreadsheet or a CRM wrote into a country of ISO 3166-1.
//!
//! A lead's country decides its region, its language and often its owner, and it arrives as "de", "DEU", "276",
//! "Allemagne" or "GERMANY ". One function, [`Country::parse`], reads all of them, so that no condition in a
//! playbook ever compares spellings. What it returns is two letters and `Copy`: a country is compared a million
//! times in a rescore and shown in full hardly ever.
//!
//! * **A wrong country is worse than none.** A name that means two countries ("Congo", "Korea", "Virgin Islands")
//!   is no country here, nothing is guessed from a near miss, and codes and names are kept apart: "NA" is Namibia,
//!   "N/A" is not. Where the everyday meaning in a *country* field is beyond doubt it wins: "Georgia" is the state
//!   on the Black Sea, "England" the United Kingdom.
//! * **Names are compared folded**: lower-cased, accents off, nothing kept but letters and digits. So
//!   "COTE D'IVOIRE", "Côte d’Ivoire" and "cote-divoire" are one, and so are composed and decomposed accents. The
//!   fold covers the alphabets of Europe in the table below; the Unicode tables would weigh more than the names.
//! * **The table is text, and nothing reads it at start-up.** A function that starts cold pays for what it builds
//!   before its first request; a map of seven thousand names would be built for a request that asks for one. The
//!   file is sorted by bytes instead, and a search in it halves it a dozen times where it lies in the binary.
//!
//! `names.txt` is written by `docs/data/countries.py` from the Unicode CLDR (Unicode License v3, in full in that
//! script), with the everyday names that CLDR lacks. Kosovo's XK stands beside the 249 codes of ISO 3166-1, which
//! leaves it to its users: leads do come from there.

use std::{fmt, str};

/// The table: `key<TAB>CC` on each line, sorted by the key's bytes; the line of an alpha-2 code goes on with
/// `<TAB>English name`. Keys in capitals or digits are codes, keys in lower case are folded names.
const NAMES: &str = include_str!("country/names.txt");

/// A longer text is no country's name; the longest key has 141 bytes. It bounds the work on hostile input.
const LONGEST_TEXT: usize = 256;

/// Names a country by its ISO 3166-1 alpha-2 code; the order is that of the codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads a country from its alpha-2, alpha-3 or numeric code or from its name in a European language, whatever
    /// the case, the accents, the punctuation and the white space around it.
    ///
    /// `None` means that the text names no country, or could name more than one.
    ///
    /// ```
    /// use domain::country::Country;
    ///
    /// let germany = Country::parse("DE");
    /// assert!(germany.is_some());
    /// assert_eq!(Country::parse(" allemagne "), germany);
    /// assert_eq!(Country::parse("276"), germany);
    /// assert_eq!(Country::parse("Congo"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST_TEXT {
            return None;
        }
        let row = code(text).or_else(|| row(&fold(text)))?;
        match row.as_bytes() {
            [first, second] | [first, second, b'\t', ..] => Some(Self([*first, *second])),
            _ => None,
        }
    }

    /// Returns the alpha-2 code, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // two ASCII letters, always
    }

    /// Returns the country's English name as the Unicode CLDR has it, for a person to read.
    #[must_use]
    pub fn name_en(&self) -> &'static str {
        row(self.as_str()).and_then(|row| row.split_once('\t')).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.as_str())
    }
}

/// Looks a text up that has the form of a code; "N/A" and "D.E." do not.
fn code(text: &str) -> Option<&'static str> {
    let is_code = matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code { row(&text.to_ascii_uppercase()) } else { None }
}

/// Finds the line of a key in [`NAMES`] and returns what follows the key, by a binary search over the lines.
fn row(key: &str) -> Option<&'static str> {
    // Both ends are always the start of a line, or the end of the text.
    let (mut low, mut high) = (0, NAMES.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = NAMES.as_bytes().get(low..middle)?;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(low, |at| low + at + 1);
        let line = NAMES.get(start..high)?.split('\n').next()?;
        let (found, rest) = line.split_once('\t')?;
        match found.cmp(key) {
            std::cmp::Ordering::Less => low = start + line.len() + 1,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return Some(rest),
        }
    }
    None
}

/// Folds a name to what two spellings of it share: lower case, no accents, letters and digits alone.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match base(letter) {
            Some(letters) => folded.push_str(letters),
            // The modifier letters are apostrophes here: "Кот-д’Івуар" is spelled with U+02BC as well. Combining
            // accents are no alphanumerics and fall away with the punctuation.
            None if letter.is_alphanumeric() && !('\u{2b0}'..='\u{2ff}').contains(&letter) => {
                folded.push(letter);
            }
            None => {}
        }
    }
    folded
}

/// Returns what stands for an accented or joined letter. `docs/data/countries.py` reads these arms.
fn base(letter: char) -> Option<&'static str> {
    let letters = match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ð' | 'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ə' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' | 'ǧ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĳ' => "ij",
        'ĵ' => "j",
        'ķ' | 'ĸ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ŉ' | 'ŋ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' | 'ẁ' | 'ẃ' | 'ẅ' => "w",
        'ý' | 'ÿ' | 'ŷ' | 'ỳ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ά' => "α",
        'έ' => "ε",
        'ή' => "η",
        'ί' | 'ϊ' | 'ΐ' => "ι",
        'ό' => "ο",
        'ς' => "σ",
        'ύ' | 'ϋ' | 'ΰ' => "υ",
        'ώ' => "ω",
        'ѓ' => "г",
        'ё' | 'ѐ' => "е",
        'й' | 'ѝ' => "и",
        'ї' => "і",
        'ќ' => "к",
        'ў' => "у",
        'և' => "եւ",
        _ => return None,
    };
    Some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that each text is the country with this code.
    fn all_are(code: &str, texts: &[&str]) {
        for text in texts {
            assert_eq!(Country::parse(text).as_ref().map(Country::as_str), Some(code), "{text}");
        }
    }

    fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
        NAMES.lines().map(|line| line.split_once('\t').unwrap())
    }

    #[test]
    fn the_file_is_sorted_and_no_key_is_there_twice() {
        let keys: Vec<_> = keys().map(|(key, _)| key).collect();
        assert!(keys.len() > 5_000, "{} keys", keys.len());
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1], "{} stands before {}", pair[0], pair[1]);
        }
        assert!(NAMES.ends_with('\n') && !NAMES.contains('\r'));
    }

    #[test]
    fn every_line_of_the_file_is_found_and_leads_to_a_country_with_a_name() {
        for (key, rest) in keys() {
            let country = Country::parse(key).unwrap_or_else(|| panic!("{key} is not found"));
            assert_eq!(country.as_str(), rest.split('\t').next().unwrap(), "{key}");
            assert_eq!(Country::parse(country.as_str()), Some(country), "{key}");
            assert!(!country.name_en().is_empty(), "{key}");
        }
    }

    #[test]
    fn every_name_in_the_file_is_folded_as_a_name_is_folded_here() {
        for (key, _) in keys() {
            let is_code = key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            assert!(is_code || fold(key) == key, "{key}");
            assert!(key.len() <= 141, "{key}");
        }
    }

    #[test]
    fn the_file_has_every_code_of_iso_3166_1_and_kosovo() {
        let count = |test: fn(&str) -> bool| keys().filter(|(key, _)| test(key)).count();
        assert_eq!(keys().filter(|(_, rest)| rest.contains('\t')).count(), 250, "countries");
        assert_eq!(
            count(|key| key.len() == 3 && key.bytes().all(|byte| byte.is_ascii_uppercase())),
            250,
            "alpha-3"
        );
        assert_eq!(count(|key| key.bytes().all(|byte| byte.is_ascii_digit())), 249, "numeric");
    }

    #[test]
    fn a_code_is_read_in_any_case() {
        all_are("AT", &["AT", "at", "At", "AUT", "aut", "040", " at\n"]);
        all_are("GB", &["GB", "gb", "UK", "uk", "GBR", "826"]);
        all_are("GR", &["GR", "EL", "GRC", "300"]);
        all_are("XK", &["XK", "XKX", "Kosovo", "Косово"]);
    }

    #[test]
    fn a_code_that_was_withdrawn_or_never_given_is_no_country() {
        for text in ["AN", "DDR", "SU", "YUG", "CS", "EU", "ZZ", "XX", "QM", "000", "999", "280", "40", "4"] {
            assert_eq!(Country::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_is_read_in_the_languages_of_europe() {
        all_are(
            "DE",
            &["Germany", "Deutschland", "Allemagne", "Germania", "Alemania", "Alemanha", "Duitsland"],
        );
        all_are(
            "DE",
            &["Niemcy", "Německo", "Nemecko", "Nemčija", "Njemačka", "Nemačka", "Немачка", "Németország"],
        );
        all_are(
            "DE",
            &["Германия", "Γερμανία", "Almanya", "Tyskland", "Saksa", "Saksamaa", "Vācija", "Vokietija"],
        );
        all_are("DE", &["Німеччина", "Alemanya", "An Ghearmáin", "il-Ġermanja", "Þýskaland", "Gjermani"]);
        all_are(
            "AT",
            &["Österreich", "Autriche", "Rakousko", "Rakúsko", "Avstrija", "Ausztria", "Østrig", "Αυστρία"],
        );
        all_are("CH", &["Schweiz", "Suisse", "Svizzera", "Szwajcaria", "Svájc", "Швейцарія", "Sviss"]);
        all_are("FI", &["Suomi", "Finlande", "Finska", "Фінляндія", "Somija", "Suomija", "Soome"]);
    }

    #[test]
    fn case_accents_punctuation_and_spaces_make_no_difference() {
        all_are("AT", &["OSTERREICH", "oesterreich", "O\u{308}sterreich", "ÖSTERREICH"]);
        all_are("CI", &["Côte d’Ivoire", "COTE D'IVOIRE", "cote-divoire", "Кот-д’Івуар", "Кот-дʼІвуар"]);
        all_are("TR", &["TÜRKİYE", "Türkiye", "turkiye", "Türkei", "Tuerkei", "Turkey"]);
        all_are("GR", &["ΕΛΛΆΔΑ", "Ελλάδα", "ΕΛΛΑΔΑ", "ελλάς"]);
        all_are("UA", &["Україна", "УКРАЇНА", "Украі\u{308}на", "Украина"]);
        all_are("LC", &["St. Lucia", "St.Lucia", "saint lucia"]);
        all_are("BA", &["Bosnia & Herzegovina", "Bosnia and Herzegovina", "BiH"]);
    }

    #[test]
    fn an_everyday_name_is_read() {
        all_are(
            "US",
            &["USA", "U.S.", "U.S.A.", "u s a", "United States of America", "EE. UU.", "США", "SAD", "ABD"],
        );
        all_are("GB", &["U.K.", "Great Britain", "England", "Scotland", "Großbritannien", "Grossbritannien"]);
        all_are("NL", &["Holland", "The Netherlands", "Netherlands, The", "Pays-Bas", "Olanda"]);
        all_are("CZ", &["Czechia", "Czech Republic", "Česko", "Česká republika", "Tschechien"]);
        all_are("KR", &["South Korea", "Korea, Republic of", "Korea (South)", "Südkorea", "KOR"]);
        all_are("CD", &["DR Congo", "Congo - Kinshasa", "Congo, Democratic Republic of the"]);
        all_are("RU", &["Russian Federation", "Российская Федерация", "РФ"]);
        all_are("HK", &["Hong Kong", "Hongkong", "Hong Kong SAR China"]);
        all_are("MK", &["North Macedonia", "Macedonia", "FYROM"]);
    }

    #[test]
    fn a_name_of_more_than_one_country_is_none() {
        for text in ["Congo", "Kongo", "Конго", "Korea", "Corée", "Virgin Islands", "America", "Svatý Martin"]
        {
            assert_eq!(Country::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_stands_for_no_answer_is_no_country() {
        for text in
            ["", " ", "-", "--", "?", "n/a", "N/A", "n.a.", "none", "unknown", "other", "Europe", "\0", "\t"]
        {
            assert_eq!(Country::parse(text), None, "{text:?}");
        }
        assert_eq!(Country::parse(&"Germany".repeat(100)), None);
        assert_eq!(Country::parse("germany\tDE"), None);
        assert_eq!(Country::parse("AD\nAE"), None);
    }

    #[test]
    fn a_country_is_shown_as_its_code_and_by_its_english_name() {
        let country = Country::parse("deu").unwrap();
        assert_eq!(
            (country.to_string().as_str(), country.as_str(), country.name_en()),
            ("DE", "DE", "Germany")
        );
        assert_eq!(format!("{country:?} {country:>4}"), "Country(DE)   DE");
        assert!(Country::parse("AT") < Country::parse("DE"));
        assert_eq!(Country::parse("TR").unwrap().name_en(), "Türkiye");
    }
}
