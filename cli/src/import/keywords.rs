//! Keyword lists as Google Ads' Keyword Planner exports them.
//!
//! What it calls CSV is UTF-16LE with a byte order mark, in columns divided by tabs; saved again by a spreadsheet it is
//! UTF-8 with commas or semicolons. Two lines stand above the header: what and when (`Keyword Stats 2026-09-18 at
//! 14_10_47`), and the months that it covers. Below the header come totals, which have no keyword, and then the keywords.
//! How often one is searched for is a number, with or without marks between thousands, or a range (`1K – 10K`) for who
//! spends little; of a range half its upper end is taken, as Google's own export does with the same ranges. Columns are
//! found by their English names, wherever they stand; those that are not asked for, such as bids and single months, are
//! left.

use super::Row;
use domain::time::Day;
use serde_json::{Map, Value, json};

/// Below how many lines the header is no longer looked for.
const ABOVE: usize = 10;

/// A keyword list.
#[derive(Debug)]
pub(super) struct Keywords {
    /// The header as it stands in the file.
    pub(super) header: csv::StringRecord,
    /// Of which day the list is, where its first line says so.
    pub(super) day: Option<Day>,
    /// The rows that have a keyword.
    pub(super) rows: Vec<Row>,
}

/// Where the columns stand that are asked for.
struct Columns {
    keyword: usize,
    searches: usize,
    competition: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Option<Self> {
        let place = |name: &str| {
            header
                .iter()
                .position(|cell| cell.trim().get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name)))
        };
        let exact = |name: &str| header.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
        Some(Self {
            // Of old it was "Keyword (by relevance)" and "Avg. Monthly Searches (exact match only)".
            keyword: exact("keyword").or_else(|| place("keyword ("))?,
            searches: place("avg. monthly searches")?,
            competition: exact("competition"),
        })
    }
}

/// Reads an export.
///
/// # Errors
///
/// What it is not.
pub(super) fn read(bytes: &[u8]) -> Result<Keywords, String> {
    // UTF-8 where no mark says otherwise.
    let (text, _, damaged) = encoding_rs::UTF_8.decode(bytes);
    if damaged {
        return Err("is neither UTF-8 nor UTF-16 with a byte order mark".to_owned());
    }
    // The reader counts lines that end in CR LF from the line before.
    let text = text.replace("\r\n", "\n");
    let head: String = text.lines().take(ABOVE).collect::<Vec<_>>().join("\n");
    let found = [b'\t', b',', b';'].into_iter().find_map(|delimiter| {
        let at = records(&head, delimiter)
            .position(|record| record.is_ok_and(|record| Columns::of(&record).is_some()));
        Some((delimiter, at?))
    });
    let Some((delimiter, above)) = found else {
        return Err(
            "has no header of the Keyword Planner; expected the columns \"Keyword\" and \"Avg. monthly searches\" within \
             the first lines (export it with Google Ads in English)"
                .to_owned(),
        );
    };
    let day =
        text.lines().next().and_then(|line| line.split([' ', ',', ';', '\t', '"']).find_map(Day::parse));
    let mut records = records(&text, delimiter).skip(above);
    let header = records.next().and_then(Result::ok).unwrap_or_default();
    let Some(columns) = Columns::of(&header) else { return Err("has no header".to_owned()) };
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        // Totals have none, and neither has a line that a spreadsheet left behind.
        if record.get(columns.keyword).is_none_or(|keyword| keyword.trim().is_empty()) {
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let item = item(&record, &columns).map(Value::Object);
        rows.push(Row { line, record, item });
    }
    Ok(Keywords { header, day, rows })
}

fn records(text: &str, delimiter: u8) -> impl Iterator<Item = csv::Result<csv::StringRecord>> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .into_records()
}

fn item(record: &csv::StringRecord, columns: &Columns) -> Result<Map<String, Value>, String> {
    let cell = |at: usize| record.get(at).map(str::trim).unwrap_or_default();
    let mut item = Map::new();
    item.insert("keyword".to_owned(), cell(columns.keyword).into());
    if let Some(searches) = searches(cell(columns.searches))? {
        item.insert("monthly_searches".to_owned(), json!(searches));
    }
    if let Some(competition) = columns.competition.map(cell).map(competition).transpose()?.flatten() {
        item.insert("competition".to_owned(), competition.into());
    }
    Ok(item)
}

/// Tells whether a cell says nothing: Google writes nothing, spreadsheets and older exports one of these.
fn is_nothing(cell: &str) -> bool {
    matches!(cell, "" | "-" | "--" | "–" | "—" | "N/A" | "n/a")
}

/// Reads how often something is searched for in a month.
fn searches(cell: &str) -> Result<Option<u64>, String> {
    if is_nothing(cell) {
        return Ok(None);
    }
    let wrong = || {
        format!(
            "/monthly_searches \"{cell}\" is no number of searches; expected one such as 1,300 or 1K – 10K"
        )
    };
    let mut ends = cell.split(['-', '–', '—']).map(number);
    match (ends.next().flatten(), ends.next(), ends.next()) {
        (Some(n), None, _) => Ok(Some(n)),
        (Some(low), Some(Some(high)), None) if low <= high => Ok(Some(high / 2)),
        _ => Err(wrong()),
    }
}

/// Reads a whole number, with marks between its thousands, or with K or M for thousands and millions.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, times) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    // A mark stands before three digits; what looks otherwise is a fraction, and not read as a thousand times more.
    let mut groups = digits.trim().split([',', '.', '\'', '’', ' ', '\u{a0}', '\u{202f}']);
    let first = groups.next().filter(|group| (1..=15).contains(&group.len()))?;
    let mut all = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        all.push_str(group);
    }
    let is_number = all.bytes().all(|byte| byte.is_ascii_digit());
    all.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(times)
}

/// Reads how many advertisers want a keyword: a word or, in exports of old, a number from 0 to 1.
fn competition(cell: &str) -> Result<Option<&'static str>, String> {
    if is_nothing(cell) || cell.eq_ignore_ascii_case("unknown") {
        return Ok(None);
    }
    let word = ["low", "medium", "high"].into_iter().find(|word| cell.eq_ignore_ascii_case(word));
    let degree = || match cell.replace(',', ".").parse::<f64>() {
        Ok(n) if (0.0..0.33).contains(&n) => Some("low"),
        Ok(n) if (0.33..0.67).contains(&n) => Some("medium"),
        Ok(n) if (0.67..=1.0).contains(&n) => Some("high"),
        _ => None,
    };
    word.or_else(degree)
        .map(Some)
        .ok_or_else(|| format!("/competition \"{cell}\" is not known; expected Low, Medium or High"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    }

    const EXPORT: &str = "Keyword Stats 2026-09-18 at 14_10_47\r\nSeptember 1, 2025 - August 31, 2026\r\n\
        Keyword\tCurrency\tSegmentation\tAvg. monthly searches\tThree month change\tYoY change\tCompetition\t\
        Competition (indexed value)\tTop of page bid (low range)\tTop of page bid (high range)\tSearches: Sep 2025\r\n\
        \t\tAll\t54350\t\t\t\t\t\t\t\r\n\
        maintenance software\tEUR\t\t5000\t0%\t∞\tMedium\t48\t3,21\t12,40\t5000\r\n\
        \"plant, \"\"smart\"\"\"\tEUR\t\t\t\t\t\t\t\t\t\r\n\
        wartung größe\tEUR\t\tviel\t\t\tHoch\t\t\t\t\r\n";

    fn items(keywords: &Keywords) -> Vec<Result<Value, String>> {
        keywords.rows.iter().map(|row| row.item.clone()).collect()
    }

    #[test]
    fn an_export_is_read_as_google_writes_it() {
        let read = read(&utf16(EXPORT)).unwrap();
        assert_eq!(read.day.unwrap().to_string(), "2026-09-18");
        assert_eq!(read.header.len(), 11);
        let [first, empty, wrong] = items(&read).try_into().unwrap();
        assert_eq!(
            first.unwrap(),
            json!({"keyword": "maintenance software", "monthly_searches": 5000, "competition": "medium"})
        );
        assert_eq!(empty.unwrap(), json!({"keyword": "plant, \"smart\""}));
        assert!(wrong.unwrap_err().contains("\"viel\" is no number"));
        assert_eq!(read.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [5, 6, 7]);
    }

    #[test]
    fn one_that_a_spreadsheet_saved_or_of_old_is_read_too() {
        for (text, searches) in [
            (
                "Keyword Stats 2020-01-02\nJan - Dec\nKeyword,Avg. monthly searches,Competition\na,1K – 10K,High\n",
                5_000,
            ),
            ("Keyword;Currency;Avg. monthly searches;Competition\na;EUR;1.300;0,97\n", 1_300),
            (
                "Ad group\tKeyword (by relevance)\tCurrency\tAvg. Monthly Searches (exact match only)\tCompetition\nx\ta\tEUR\t9900\t0.9\n",
                9_900,
            ),
        ] {
            let read = read(text.as_bytes()).unwrap();
            assert_eq!(
                items(&read),
                [Ok(json!({"keyword": "a", "monthly_searches": searches, "competition": "high"}))],
                "{text}"
            );
        }
        assert!(read(b"Keyword,Volume\na,1\n").unwrap_err().contains("no header"));
        assert!(read(b"\xff\xfe\x00\xd8").unwrap_err().contains("UTF-16"));
    }

    #[test]
    fn numbers_and_ranges_are_read_and_nothing_is_guessed() {
        for (cell, n) in [
            ("10 – 100", 50),
            ("100 - 1K", 500),
            ("1K–10K", 5_000),
            ("100K – 1M", 500_000),
            ("1,000,000", 1_000_000),
            ("1\u{a0}300", 1_300),
            ("0", 0),
            ("0 – 10", 5),
        ] {
            assert_eq!(searches(cell), Ok(Some(n)), "{cell}");
        }
        assert_eq!(searches("--"), Ok(None));
        for wrong in ["1.5", "12,34", "1K – ", "10K – 1K", "ten", "1 – 2 – 3", "-5", "1,3000"] {
            assert!(searches(wrong).is_err(), "{wrong}");
        }
        assert_eq!(competition("unknown"), Ok(None));
        assert!(competition("2").is_err());
    }
}
