//! How values look in the file that TOML has no type for, as the JSON Schema says it. Nothing is read or judged here.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A duration as people write it: `"30s"`, `"1m 30s"`.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "title": "duration", "type": "string", "pattern": r"^\s*(0|(\d+\s*[a-zA-Zµ]+\s*)+)$" })
}

/// A number of bytes as people write it: `"1MiB"`, `"500kB"`, or a plain number.
pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "title": "size", "type": ["string", "integer"], "pattern": r"^\s*\d+\s*([kKmMgG][iI]?)?[bB]?\s*$", "minimum": 0
    })
}
