//! A form out of a JSON Schema: which fields it has, and what they hold at first. Pure.
//!
//! A schema can say more than a form can ask: what has no field of its own is written as JSON, and nothing is checked
//! here, that is done by the schema itself once the data is whole. The form is bounded, whatever the schema is. The
//! schema is taken apart and never read into values, so that members keep their order and numbers their digits.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::words::hint;
use crate::admin::content::members;

/// The most fields of a form, the deepest group, and the most values to choose from.
const MOST_FIELDS: usize = 200;
const DEEPEST: usize = 5;
const MOST_CHOICES: usize = 200;

/// The most references that are followed to get to one schema.
const MOST_STEPS: usize = 8;

/// What a schema says, by keyword.
pub(super) type Keywords<'a> = BTreeMap<String, &'a RawValue>;

/// A part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Field(Field),
    /// An object, member by member.
    Group(Label, Vec<Part>),
}

/// What a part is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// Where it is in the event, such as `/data/total`; the name of the field, too.
    pub pointer: String,
    pub name: String,
    pub hint: String,
    /// Whether it has to be there: it is required, and so is all around it.
    pub is_required: bool,
}

/// Something to be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub label: Label,
    pub takes: Takes,
    /// Whether nothing is `null`, if it has to be there.
    pub is_nullable: bool,
    /// What stands in it at first.
    pub first: String,
}

/// What a field takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    /// A number between these, and whether it is a whole one.
    Number {
        least: Option<String>,
        most: Option<String>,
        is_whole: bool,
    },
    /// One of these, each as JSON.
    OneOf(Vec<String>),
    /// Any number of these, one a line.
    Lines(Scalar),
    Json,
}

/// What stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Text,
    /// A number or a boolean, as JSON has it.
    Plain,
}

impl Part {
    /// The form of a schema.
    pub fn of(schema: &RawValue) -> Self {
        let label = Label { pointer: "/data".into(), name: "Data".into(), hint: String::new(), is_required: true };
        Reader { root: schema, left: MOST_FIELDS }.part(label, schema, None, 0)
    }

    /// One field for all of the data.
    pub fn whole(first: String) -> Self {
        let hint = "As JSON; nothing is an event without data.".into();
        let label = Label { pointer: "/data".into(), name: "Data".into(), hint, is_required: false };
        Self::Field(Field { label, takes: Takes::Json, is_nullable: false, first })
    }

    /// All fields, in their order.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Self::Field(field) => vec![field],
            Self::Group(_, members) => members.iter().flat_map(Self::fields).collect(),
        }
    }
}

struct Reader<'a> {
    root: &'a RawValue,
    /// How many fields there is still room for.
    left: usize,
}

impl<'a> Reader<'a> {
    fn part(&mut self, mut label: Label, schema: &'a RawValue, given: Option<&'a RawValue>, depth: usize) -> Part {
        let (keywords, is_nullable) = self.flat(schema);
        if let Some(title) = keywords.get("title").and_then(|title| text(title)).filter(|title| !title.is_empty()) {
            label.name = title;
        }
        label.hint = hint(&keywords);
        let example = || keywords.get("examples").and_then(|examples| items(examples).into_iter().next());
        let first = given.or_else(|| keywords.get("default").copied()).or_else(example);
        let properties = keywords.get("properties").map(|properties| members(properties)).unwrap_or_default();
        if kind(&keywords) == "object" && depth < DEEPEST && (1..=self.left).contains(&properties.len()) {
            self.left -= properties.len();
            let required: Vec<String> = keywords
                .get("required")
                .map(|names| items(names).into_iter().filter_map(text).collect())
                .unwrap_or_default();
            let given: BTreeMap<String, &RawValue> = first.map(members).unwrap_or_default().into_iter().collect();
            let member = |(name, schema): (String, &'a RawValue)| {
                let pointer = format!("{}/{}", label.pointer, name.replace('~', "~0").replace('/', "~1"));
                let is_required = label.is_required && required.contains(&name);
                let given = given.get(&name).copied();
                let label = Label { pointer, name, hint: String::new(), is_required };
                self.part(label, schema, given, depth + 1)
            };
            let members = properties.into_iter().map(member).collect();
            return Part::Group(label, members);
        }
        let takes = self.takes(&keywords);
        let only = match &takes {
            Takes::OneOf(choices) if choices.len() == 1 && label.is_required => choices.first().cloned(),
            _ => None,
        };
        let first = first.map(|first| takes.shown(first)).or(only).unwrap_or_default();
        Part::Field(Field { label, takes, is_nullable, first })
    }

    fn takes(&self, keywords: &Keywords<'a>) -> Takes {
        let choices = match (keywords.get("const"), keywords.get("enum")) {
            (Some(only), _) => vec![only.get().to_owned()],
            (None, Some(choices)) => items(choices).into_iter().map(|choice| choice.get().to_owned()).collect(),
            (None, None) => Vec::new(),
        };
        if !choices.is_empty() {
            return if choices.len() > MOST_CHOICES { Takes::Json } else { Takes::OneOf(choices) };
        }
        let bound = |name: &str| keywords.get(name).map(|bound| bound.get().to_owned());
        match kind(keywords) {
            "string" => Takes::Text,
            "boolean" => Takes::OneOf(vec!["true".to_owned(), "false".to_owned()]),
            kind @ ("number" | "integer") => {
                Takes::Number { least: bound("minimum"), most: bound("maximum"), is_whole: kind == "integer" }
            }
            "array" => {
                let of = keywords.get("items").map(|of| self.flat(of).0).unwrap_or_default();
                match kind(&of) {
                    "string" => Takes::Lines(Scalar::Text),
                    "number" | "integer" | "boolean" => Takes::Lines(Scalar::Plain),
                    _ => Takes::Json,
                }
            }
            _ => Takes::Json,
        }
    }

    /// What a schema says once its references are followed, and whether it takes `null` as well.
    fn flat(&self, schema: &'a RawValue) -> (Keywords<'a>, bool) {
        let mut keywords = keywords(schema);
        let mut is_nullable = false;
        for _ in 0..MOST_STEPS {
            let inner = if let Some(reference) = keywords.remove("$ref") {
                text(reference).and_then(|reference| resolved(self.root, &reference))
            } else if let Some(name) = ["allOf", "anyOf", "oneOf"].into_iter().find(|name| keywords.contains_key(*name))
            {
                let all = keywords.remove(name).map(items).unwrap_or_default();
                let (count, is_null) = (all.len(), |part: &&RawValue| kind(&self::keywords(part)) == "null");
                let mut others: Vec<&RawValue> = all.into_iter().filter(|part| !is_null(part)).collect();
                is_nullable |= others.len() < count && name != "allOf";
                if others.len() == 1 { others.pop() } else { None }
            } else {
                break;
            };
            let Some(inner) = inner else {
                // Several ways, or none that is known: what they share is not all that it says.
                let says_enough = keywords.contains_key("properties");
                return (if says_enough { keywords } else { annotations(keywords) }, is_nullable);
            };
            let outer = std::mem::replace(&mut keywords, self::keywords(inner));
            keywords.extend(outer);
        }
        is_nullable |=
            keywords.get("type").is_some_and(|kinds| items(kinds).iter().any(|kind| kind.get() == "\"null\""));
        (keywords, is_nullable)
    }
}

impl Field {
    /// Whether a browser may insist on it: what is empty can be `null`, or a text of no length, or no item.
    pub fn must_be_filled(&self) -> bool {
        self.label.is_required && !self.is_nullable
    }
}

/// A choice as people read it: a text without its quotes.
pub(super) fn shown(choice: &str) -> String {
    serde_json::from_str(choice).unwrap_or_else(|_| choice.to_owned())
}

impl Takes {
    /// A value as it stands in the field; nothing if it is none for it.
    fn shown(&self, value: &RawValue) -> String {
        let written = value.get();
        let is_number = || written.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        match self {
            Self::Text => text(value).filter(|text| !text.contains(['\n', '\r'])).unwrap_or_default(),
            Self::Number { .. } if is_number() => written.to_owned(),
            Self::OneOf(choices) if choices.iter().any(|choice| choice == written) => written.to_owned(),
            Self::Lines(scalar) => {
                let line = |item: &RawValue| match scalar {
                    Scalar::Text => text(item),
                    Scalar::Plain => Some(item.get().to_owned()),
                };
                items(value).into_iter().filter_map(line).collect::<Vec<_>>().join("\n")
            }
            Self::Json => written.to_owned(),
            Self::Number { .. } | Self::OneOf(_) => String::new(),
        }
    }
}

/// The one type of what a schema describes, `null` aside; or "" if there are several, or none is said or meant.
fn kind<'a>(keywords: &Keywords<'a>) -> &'a str {
    let word = |raw: &'a RawValue| raw.get().trim_matches('"');
    if let Some(kinds) = keywords.get("type") {
        let kinds: Vec<&str> = if kinds.get().starts_with('[') {
            items(kinds).into_iter().map(word).filter(|kind| *kind != "null").collect()
        } else {
            vec![word(kinds)]
        };
        return if let [kind] = kinds[..] { kind } else { "" };
    }
    let meant = [("properties", "object"), ("pattern", "string"), ("format", "string"), ("maxLength", "string")];
    meant.into_iter().find(|(keyword, _)| keywords.contains_key(*keyword)).map_or("", |(_, kind)| kind)
}

/// A schema without what it checks.
fn annotations(mut keywords: Keywords<'_>) -> Keywords<'_> {
    keywords.retain(|name, _| ["title", "description", "default", "examples"].contains(&name.as_str()));
    keywords
}

fn keywords(schema: &RawValue) -> Keywords<'_> {
    members(schema).into_iter().collect()
}

fn items(array: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(array.get()).unwrap_or_default()
}

pub(super) fn text(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

/// What a reference within the file leads to; other references have no fields of their own.
fn resolved<'a>(root: &'a RawValue, reference: &str) -> Option<&'a RawValue> {
    let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?.into_owned();
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    pointer.split('/').skip(1).try_fold(root, |at, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        let inner = || members(at).into_iter().find(|(name, _)| *name == step).map(|(_, inner)| inner);
        inner().or_else(|| step.parse().ok().and_then(|index: usize| items(at).get(index).copied()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(schema: &str) -> Part {
        Part::of(serde_json::from_str(schema).unwrap())
    }

    /// Each field: its name, what it takes, what it holds at first.
    fn fields(schema: &str) -> Vec<String> {
        let form = form(schema);
        let shown = |field: &&Field| {
            let required = if field.label.is_required { "!" } else { "" };
            let nullable = if field.is_nullable { "?" } else { "" };
            let shown = format!("{}{required}{nullable} {:?} {}", field.label.pointer, field.takes, field.first);
            shown.trim_end().to_owned()
        };
        form.fields().iter().map(shown).collect()
    }

    #[test]
    fn each_member_has_the_field_of_its_type_in_the_order_of_the_schema() {
        let schema = r#"{"type": "object", "required": ["total", "to", "kind"], "properties": {
            "total": {"type": "number", "minimum": 0, "examples": [12345678901234567890.10]},
            "count": {"type": ["integer", "null"], "maximum": 9, "default": 3},
            "currency": {"enum": ["EUR", "USD", 7], "default": "USD"},
            "paid": {"type": "boolean"},
            "kind": {"const": "sale"},
            "tags": {"type": "array", "items": {"type": "string"}, "default": ["a", "b"]},
            "lines": {"type": "array", "items": {"type": "object"}},
            "to": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}},
            "a/b": {"format": "date"},
            "any": true
        }}"#;
        insta::assert_snapshot!(fields(schema).join("\n"), @r#"
        /data/total! Number { least: Some("0"), most: None, is_whole: false } 12345678901234567890.10
        /data/count? Number { least: None, most: Some("9"), is_whole: true } 3
        /data/currency OneOf(["\"EUR\"", "\"USD\"", "7"]) "USD"
        /data/paid OneOf(["true", "false"])
        /data/kind! OneOf(["\"sale\""]) "sale"
        /data/tags Lines(Text) a
        b
        /data/lines Json
        /data/to/city! Text
        /data/a~1b Text
        /data/any Json
        "#);
    }

    #[test]
    fn references_within_the_file_are_followed_and_endless_ones_end() {
        let schema = r##"{"$defs": {"a b": {"type": "string", "description": "a city"}, "tree":
            {"type": "object", "properties": {"leaf": {"type": "integer"}, "tree": {"$ref": "#/$defs/tree"}}}},
            "properties": {"city": {"$ref": "#/$defs/a%20b", "title": "Where to"}, "tree": {"$ref": "#/$defs/tree"},
            "self": {"$ref": "#/properties/self"}, "missing": {"$ref": "#/$defs/none"}, "named": {"$ref": "#name"}}}"##;
        let form = form(schema);
        let city = &form.fields()[0].label;
        assert_eq!((city.name.as_str(), city.hint.as_str()), ("Where to", "a city"));
        let json = form.fields().into_iter().filter(|field| field.takes == Takes::Json);
        let json: Vec<&str> = json.map(|field| field.label.pointer.as_str()).collect();
        assert_eq!(json, ["/data/tree/tree/tree/tree/tree", "/data/self", "/data/missing", "/data/named"]);
    }

    #[test]
    fn what_may_be_null_is_what_it_is_else_and_what_may_be_several_things_is_json() {
        let of = |schema: &str| fields(&format!(r#"{{"properties": {{"a": {schema}}}, "required": ["a"]}}"#)).remove(0);
        assert_eq!(of(r#"{"anyOf": [{"type": "string"}, {"type": "null"}]}"#), "/data/a!? Text");
        assert_eq!(of(r#"{"allOf": [{"type": "boolean"}]}"#), r#"/data/a! OneOf(["true", "false"])"#);
        for several in [r#"{"type": ["string", "integer"]}"#, r#"{"oneOf": [{"type": "string"}, {"type": "integer"}]}"#]
        {
            assert_eq!(of(several), "/data/a! Json", "{several}");
        }
        let with_members =
            r#"{"anyOf": [{"required": ["b"]}, {"required": ["c"]}], "properties": {"b": {"type": "string"}}}"#;
        assert_eq!(of(with_members), "/data/a/b Text");
    }

    #[test]
    fn an_example_of_the_whole_fills_its_members() {
        let schema = r#"{"examples": [{"n": 1.0, "to": {"city": "Uppsala"}, "s": "two\nlines"}], "properties": {
            "n": {"type": "number"}, "s": {"type": "string"}, "to": {"properties": {"city": {"type": "string", "default": "-"}}}}}"#;
        let form = form(schema);
        let firsts: Vec<&str> = form.fields().iter().map(|field| field.first.as_str()).collect();
        assert_eq!(firsts, ["1.0", "", "Uppsala"]);
    }

    #[test]
    fn a_form_is_bounded_and_any_schema_makes_one() {
        let properties = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!(r#""{n}": {{"type": "string"}}"#)).collect();
            format!(r#"{{"properties": {{{}}}}}"#, members.join(","))
        };
        assert_eq!(form(&properties(200)).fields().len(), 200);
        assert_eq!(fields(&properties(201)), ["/data! Json"]);
        let wide = (0..201).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(fields(&format!(r#"{{"enum": [{wide}]}}"#)), ["/data! Json"]);
        for strange in ["true", "false", "{}", r#"{"properties": 7}"#, r#"{"type": 7, "required": "a", "enum": {}}"#] {
            assert_eq!(fields(strange), ["/data! Json"], "{strange}");
        }
        assert_eq!(fields(r#"{"type": "integer"}"#).len(), 1);
    }
}
