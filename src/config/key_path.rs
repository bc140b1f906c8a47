//! Where a key is: `server.bind`, `handler.billing.types[0]`. Pure words, no reading of files.

use std::fmt;

/// The path to a key, as it is shown in problems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyPath(Vec<Segment>);

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(super) fn new(keys: &[&str]) -> Self {
        keys.iter().fold(Self::default(), |path, key| path.key(key))
    }

    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Segment::Key(key.to_owned()))
    }

    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    #[must_use]
    pub(super) fn then(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    pub(super) fn last_key(&self) -> Option<&str> {
        match self.0.last()? {
            Segment::Key(key) => Some(key),
            Segment::Index(_) => None,
        }
    }

    /// The paths of handlers with these names: `handler.billing`, or `handler[1]` where a name is empty or not the only
    /// one.
    pub(super) fn of_handlers(names: &[&str]) -> Vec<Self> {
        let handler = Self::new(&["handler"]);
        let alone = |name: &str| !name.is_empty() && names.iter().filter(|other| **other == name).count() == 1;
        names
            .iter()
            .enumerate()
            .map(|(index, name)| if alone(name) { handler.key(name) } else { handler.index(index) })
            .collect()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        for (position, segment) in self.0.iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            match segment {
                Segment::Key(key) if bare(key) => write!(f, "{dot}{key}")?,
                Segment::Key(key) => write!(f, "{dot}{key:?}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment as Theirs;
        let segments = path.iter().filter_map(|segment| match segment {
            Theirs::Seq { index } => Some(Segment::Index(*index)),
            Theirs::Map { key } => Some(Segment::Key(key.clone())),
            Theirs::Enum { .. } | Theirs::Unknown => None,
        });
        Self(segments.collect())
    }
}

impl From<&serde_ignored::Path<'_>> for KeyPath {
    fn from(path: &serde_ignored::Path<'_>) -> Self {
        use serde_ignored::Path as Theirs;
        match path {
            Theirs::Root => Self::default(),
            Theirs::Seq { parent, index } => Self::from(*parent).index(*index),
            Theirs::Map { parent, key } => Self::from(*parent).key(key),
            Theirs::Some { parent } | Theirs::NewtypeStruct { parent } | Theirs::NewtypeVariant { parent } => {
                Self::from(*parent)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_toml_writes_it() {
        let path = KeyPath::new(&["handler", "order.paid", "types"]).index(1);
        assert_eq!(path.to_string(), "handler.\"order.paid\".types[1]");
    }

    #[test]
    fn handlers_are_called_by_a_name_that_is_theirs_alone() {
        let paths: Vec<String> = KeyPath::of_handlers(&["a", "b", "", "a"]).iter().map(KeyPath::to_string).collect();
        assert_eq!(paths, ["handler[0]", "handler.b", "handler[2]", "handler[3]"]);
    }
}
