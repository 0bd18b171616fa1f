//! What time it is for a lead.
//!
//! The attribute `timezone` says it, where it names a zone of the tz database. Else the country does: `zones.txt` has its
//! zones, from the tz database's `zone.tab` (public domain). Of a country with several it has those between which most of
//! its people live, and a moment has to suit in each of them: an evening in one may be a working morning in another. Else the
//! playbook's own zone is taken.

use crate::attribute::{AttributeName, AttributeValue};
use crate::country::Country;
use crate::lead::Lead;
use crate::time::zone;
use jiff::tz::TimeZone;

/// A country's code and its zones on each line, in the order of the codes.
const ZONES: &str = include_str!("zones.txt");
/// The attribute that names a lead's zone.
const ATTRIBUTE: &str = "timezone";

fn text<'a>(lead: &'a Lead, name: &str) -> Option<&'a str> {
    match &lead.attributes.get(&AttributeName::parse(name).ok()?)?.value {
        AttributeValue::Text(text) => Some(text),
        _ => None,
    }
}

/// Gives the zones of a country; none where it has none in the table.
#[must_use]
pub fn of_country(country: Country) -> Vec<TimeZone> {
    let line = ZONES.lines().find_map(|line| line.strip_prefix(country.as_str())?.strip_prefix(' '));
    line.into_iter().flat_map(|names| names.split(' ')).filter_map(|name| zone(name).ok()).collect()
}

/// Gives the zones in each of which a moment has to suit a lead; never none.
#[must_use]
pub fn of(lead: &Lead, usual: &TimeZone) -> Vec<TimeZone> {
    if let Some(zone) = text(lead, ATTRIBUTE).and_then(|name| zone(name.trim()).ok()) {
        return vec![zone];
    }
    let country = lead.country().and_then(|value| match value {
        AttributeValue::Text(text) => Country::parse(text),
        _ => None,
    });
    let zones = country.map(of_country).unwrap_or_default();
    if zones.is_empty() { vec![usual.clone()] } else { zones }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_country_and_zones_that_there_are() {
        let mut before = "";
        for line in ZONES.lines() {
            let (code, names) = line.split_once(' ').unwrap();
            assert!(before < code && Country::parse(code).is_some_and(|own| own.as_str() == code), "{line}");
            before = code;
            for name in names.split(' ') {
                assert!(zone(name).is_ok(), "{line}");
            }
        }
        let names = |code: &str| -> Vec<String> {
            let zones = of_country(Country::parse(code).unwrap());
            zones.iter().filter_map(|zone| zone.iana_name().map(str::to_owned)).collect()
        };
        assert_eq!(names("AT"), ["Europe/Vienna"]);
        assert_eq!(names("US"), ["America/New_York", "America/Los_Angeles"]);
    }
}
