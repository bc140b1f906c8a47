//! What a schema asks for, in words: what stands beside a field. Pure.

use super::shape::{Keywords, text};

/// The longest hint, in characters.
const LONGEST: usize = 300;

/// What is told of a schema, and what stands around its value.
const TOLD: [(&str, &str, &str); 11] = [
    ("format", "format ", ""),
    ("minLength", "at least ", " characters"),
    ("maxLength", "at most ", " characters"),
    ("pattern", "matches ", ""),
    ("minimum", "at least ", ""),
    ("exclusiveMinimum", "more than ", ""),
    ("maximum", "at most ", ""),
    ("exclusiveMaximum", "less than ", ""),
    ("multipleOf", "a multiple of ", ""),
    ("minItems", "at least ", " of them"),
    ("maxItems", "at most ", " of them"),
];

/// What it is for, and what it has to be.
pub(super) fn hint(keywords: &Keywords<'_>) -> String {
    let said = keywords.get("description").and_then(|said| text(said));
    let told = TOLD.into_iter().filter_map(|(keyword, before, after)| {
        let value = keywords.get(keyword)?;
        Some(format!("{before}{}{after}", text(value).unwrap_or_else(|| value.get().to_owned())))
    });
    let told: Vec<String> = told.collect();
    let parts: Vec<String> = said.into_iter().chain((!told.is_empty()).then(|| told.join(", "))).collect();
    let hint = parts.join(" · ");
    match hint.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &hint[..end]),
        None => hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::content::members;

    fn told(schema: &str) -> String {
        let schema: &serde_json::value::RawValue = serde_json::from_str(schema).unwrap();
        hint(&members(schema).into_iter().collect())
    }

    #[test]
    fn a_hint_says_what_it_is_for_and_what_it_has_to_be() {
        let schema = r#"{"maximum": 1e3, "description": "In euros", "exclusiveMinimum": 0}"#;
        assert_eq!(told(schema), "In euros · more than 0, at most 1e3");
        assert_eq!(told(r#"{"pattern": "^[A-Z]{3}$", "type": "string"}"#), "matches ^[A-Z]{3}$");
        assert_eq!(told("true"), "");
    }

    #[test]
    fn a_hint_is_bounded() {
        let long = told(&format!(r#"{{"description": "{}"}}"#, "é".repeat(1_000)));
        assert_eq!(long, format!("{}…", "é".repeat(300)));
    }
}
