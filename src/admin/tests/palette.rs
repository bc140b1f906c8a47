//! Every text of the palette can be read on every ground that it stands on, in light and in dark: WCAG AA.

use std::collections::BTreeMap;

/// What AA wants of text, and of what has to be seen and is no text.
const TEXT: f64 = 4.5;
const SHAPE: f64 = 3.0;

/// Texts and the grounds they stand on.
const PAIRS: [(&str, &[&str], f64); 13] = [
    ("text", &["ground", "surface", "raised", "bad-ground", "busy-ground"], TEXT),
    ("muted", &["ground", "surface", "raised"], TEXT),
    ("accent", &["ground", "surface", "raised", "bad-ground"], TEXT),
    ("on-accent", &["accent"], TEXT),
    ("good", &["ground", "surface", "raised", "good-ground", "bad-ground"], TEXT),
    ("warn", &["ground", "surface", "raised", "warn-ground"], TEXT),
    ("bad", &["ground", "surface", "raised", "bad-ground"], TEXT),
    ("busy", &["ground", "surface", "raised", "busy-ground"], TEXT),
    ("violet", &["violet-ground"], TEXT),
    ("surface", &["bad"], TEXT),
    ("focus", &["ground", "surface", "raised"], SHAPE),
    ("busy", &["surface"], SHAPE),
    ("warn", &["surface"], SHAPE),
];

/// Each colour of the style sheet, in light and in dark.
fn palette() -> BTreeMap<String, [String; 2]> {
    let sheet = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/app.css")).unwrap();
    let colours = sheet.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": light-dark("));
    let pair = |colours: &str| {
        let (light, dark) = colours.trim_end_matches(");").split_once(", ").unwrap();
        [light.to_owned(), dark.to_owned()]
    };
    colours.map(|(name, colours)| (name.to_owned(), pair(colours))).collect()
}

/// How bright a colour is, as WCAG has it.
fn luminance(colour: &str) -> f64 {
    let channel = |from: usize| {
        let value = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_text_can_be_read_on_its_grounds() {
    let palette = palette();
    let mut faint = Vec::new();
    for (text, grounds, wanted) in PAIRS {
        for ground in grounds {
            for (scheme, name) in ["light", "dark"].iter().enumerate() {
                let found = contrast(&palette[text][scheme], &palette[*ground][scheme]);
                if found < wanted {
                    faint.push(format!("{text} on {ground} in {name}: {found:.2} of {wanted}"));
                }
            }
        }
    }
    assert!(faint.is_empty(), "{faint:#?}");
}

#[test]
fn contrast_is_what_wcag_says() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
    assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
}
