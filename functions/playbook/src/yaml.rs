//! Playbooks as people write them: YAML.

use serde_json::Value;

/// Reads YAML as the JSON document that it means. `yes`, `no`, `on` and `off` are texts, as YAML 1.2 has it: `NO` is
/// Norway.
///
/// # Errors
///
/// Where the text stops being YAML.
pub fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norway_is_a_country_and_no_boolean() {
        let value = read("countries: [NO, AT]\nyes: 1\ncap: 40\nreal: true\n").unwrap();
        assert_eq!(value, serde_json::json!({"countries": ["NO", "AT"], "yes": 1, "cap": 40, "real": true}));
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let error = read("a: [1, 2\nb: 3").unwrap_err();
        assert!(error.contains("line"), "{error}");
    }
}
