//! Where every key was written, so that a problem can say its line. Nothing is judged here.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::key_path::{KeyPath, Segment};
use super::{Place, Problem};

/// The places of the keys of one configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    handlers: Vec<KeyPath>,
    places: HashMap<KeyPath, Place>,
}

impl Places {
    /// Reads `text` only for where its keys are.
    ///
    /// # Errors
    /// Where it stops being TOML.
    pub fn of(text: &str, name: &str) -> Result<Self, Problem> {
        let lines = Lines { name, text };
        let table = DeTable::parse(text).map_err(|error| no_toml(text, name, &error, error.message()))?;
        let mut places = Self { handlers: KeyPath::of_handlers(&handler_names(table.get_ref())), ..Self::default() };
        places.walk(&KeyPath::default(), table.get_ref(), &lines);
        Ok(places)
    }

    /// Remembers that a variable has set this key, and with a table all that is in it.
    pub fn set_by(&mut self, variable: &str, key: &KeyPath, value: &Value) {
        let key = self.shown(key);
        self.places.retain(|other, _| !other.segments().starts_with(key.segments()));
        for (inner, value) in value.as_table().into_iter().flatten() {
            self.set_by(variable, &key.key(inner), value);
        }
        self.places.insert(key, Place::Variable(variable.to_owned()));
    }

    /// Where this key was written, if it was.
    pub fn place(&self, key: &KeyPath) -> Option<&Place> {
        self.places.get(&self.shown(key))
    }

    /// The problem with the place of its key, or of the nearest table around it that was written.
    pub fn locate(&self, problem: Problem) -> Problem {
        if problem.place.is_some() {
            return problem;
        }
        let key = self.shown(&problem.key);
        let mut at = Some(key.clone());
        let mut place = None;
        while let (None, Some(path)) = (&place, &at) {
            place = self.places.get(path).cloned();
            at = path.parent();
        }
        Problem { key, place, ..problem }
    }

    /// Handlers by name: `handler[0].url` is `handler.billing.url` for people.
    pub fn shown(&self, path: &KeyPath) -> KeyPath {
        match path.segments() {
            [Segment::Key(handler), Segment::Index(index), rest @ ..] if handler == "handler" => {
                let Some(named) = self.handlers.get(*index) else { return path.clone() };
                rest.iter().fold(named.clone(), |path, segment| path.then(segment.clone()))
            }
            _ => path.clone(),
        }
    }

    fn walk(&mut self, path: &KeyPath, table: &DeTable<'_>, lines: &Lines<'_>) {
        for (key, value) in table.iter() {
            let path = path.key(key.get_ref());
            self.places.insert(self.shown(&path), lines.place(key.span().start));
            self.descend(&path, value, lines);
        }
    }

    fn descend(&mut self, path: &KeyPath, value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) {
        match value.get_ref() {
            DeValue::Table(table) => self.walk(path, table, lines),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = path.index(index);
                    self.places.insert(self.shown(&path), lines.place(item.span().start));
                    self.descend(&path, item, lines);
                }
            }
            _ => {}
        }
    }
}

/// What stops `text` from being TOML, where the parser says so.
pub(super) fn no_toml(text: &str, name: &str, error: &toml::de::Error, what: &str) -> Problem {
    let place = error.span().map(|span| Lines { name, text }.place(span.start));
    Problem::new(KeyPath::default(), what).at(place)
}

fn handler_names<'a>(table: &'a DeTable<'_>) -> Vec<&'a str> {
    let handlers = table.get("handler").and_then(|handlers| handlers.get_ref().as_array());
    let name = |handler: &'a Spanned<DeValue<'_>>| handler.get_ref().get("name")?.get_ref().as_str();
    handlers.into_iter().flat_map(|handlers| handlers.iter()).map(|one| name(one).unwrap_or_default()).collect()
}

struct Lines<'a> {
    name: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, offset: usize) -> Place {
        // A span may end past the text, or within a character of a broken one.
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place::File {
            name: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
