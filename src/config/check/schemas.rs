//! What the schemas of a configuration may not say. Whether their files can be used is found out when they are read.

use crate::Config;
use crate::config::{KeyPath, Problem};

pub(super) fn check(config: &Config, found: &mut Vec<Problem>) {
    for (index, schema) in config.schema.iter().enumerate() {
        let path = KeyPath::new(&["schema"]).index(index);
        let event_type = &schema.event_type;
        let before = config.schema[..index].iter().position(|other| other.event_type == *event_type);
        let what = if event_type.is_empty() {
            Some("is empty".to_owned())
        } else if event_type.contains('*') {
            Some(format!("`{event_type}` is a pattern; a schema is for one type exactly"))
        } else {
            before.map(|before| format!("`{event_type}` has a schema already: schema[{before}]"))
        };
        found.extend(what.map(|what| Problem::new(path.key("type"), what)));
        if schema.file.is_empty() {
            found.push(Problem::new(path.key("file"), "is empty"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_for_one_type_exactly_and_has_a_file() {
        let text =
            ["order.paid", "order.*", "", "order.paid"].map(|of| format!("[[schema]]\ntype = '{of}'\nfile = 'a'\n"));
        let text = format!("{}[[schema]]\ntype = 'b'\nfile = ''\n", text.concat());
        let loaded = Config::parse(&text, "config.toml").unwrap();
        insta::assert_snapshot!(loaded.check(&[]).unwrap_err(), @r#"
        4 problems in the configuration:
          config.toml:5:1: schema[1].type: `order.*` is a pattern; a schema is for one type exactly
          config.toml:8:1: schema[2].type: is empty
          config.toml:11:1: schema[3].type: `order.paid` has a schema already: schema[0]
          config.toml:15:1: schema[4].file: is empty
        "#);
    }
}
