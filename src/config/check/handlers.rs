//! What the handlers of a configuration may not say, each for itself and beside each other.

use std::collections::HashMap;

use super::{at_least_one, check_retry, closest, longer_than_nothing, within_processing};
use crate::Config;
use crate::config::{KeyPath, Problem};
use crate::handle;

pub(super) fn check(config: &Config, kinds: &[&str], found: &mut Vec<Problem>) {
    let names: Vec<&str> = config.handler.iter().map(|handler| handler.name.as_str()).collect();
    let paths = KeyPath::of_handlers(&names);
    let mut bound = HashMap::new();
    for (index, (handler, path)) in config.handler.iter().zip(&paths).enumerate() {
        check_name(&names, index, path, found);
        check_kind(&handler.kind, kinds, path, found);
        check_types(handler, path, &mut bound, found);
        check_limits(config, handler, path, found);
    }
}

fn check_name(names: &[&str], index: usize, path: &KeyPath, found: &mut Vec<Problem>) {
    let name = names[index];
    if name.is_empty() {
        found.push(Problem::new(path.key("name"), "is empty"));
    } else if names[..index].contains(&name) {
        found.push(Problem::new(path.key("name"), format!("another handler is called `{name}` already")));
    }
}

fn check_kind(kind: &str, kinds: &[&str], path: &KeyPath, found: &mut Vec<Problem>) {
    if !kinds.contains(&kind) {
        let what = format!("there is no handler of kind `{kind}`, only {}", kinds.join(", "));
        found.push(Problem::new(path.key("kind"), what).suggest(closest(kind, kinds.iter().copied())));
    }
}

fn check_types<'a>(
    handler: &'a handle::Config,
    path: &KeyPath,
    bound: &mut HashMap<&'a str, KeyPath>,
    found: &mut Vec<Problem>,
) {
    let types = path.key("types");
    if handler.types.is_empty() {
        found.push(Problem::new(types.clone(), "names no event type; `\"*\"` is for all of them"));
    }
    for (index, pattern) in handler.types.iter().enumerate() {
        let what = if pattern.is_empty() {
            "is empty; `*` matches every type".to_owned()
        } else if pattern.trim_end_matches('*').len() + 1 < pattern.len() || pattern[..pattern.len() - 1].contains('*')
        {
            format!("`{pattern}` has a `*` that is not at its end, where alone it matches the rest of a type")
        } else {
            match bound.insert(pattern, path.clone()) {
                None => continue,
                Some(other) if other == *path => format!("`{pattern}` is there twice"),
                Some(other) => format!("`{pattern}` is bound to {other} already"),
            }
        };
        found.push(Problem::new(types.index(index), what));
    }
}

fn check_limits(config: &Config, handler: &handle::Config, path: &KeyPath, found: &mut Vec<Problem>) {
    at_least_one(path.key("concurrency"), handler.concurrency == Some(0), found);
    at_least_one(path.key("queue_capacity"), handler.queue_capacity == Some(0), found);
    if let Some(timeout) = handler.timeout {
        longer_than_nothing(path.key("timeout"), timeout, found);
        within_processing(path.key("timeout"), timeout, config.timeouts.processing, found);
    }
    if let Some(retry) = &handler.retry {
        // Only what the handler itself says: a wrong `[retry]` is told there.
        check_retry(&path.key("retry"), &retry.apply(&Default::default()), found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Config::parse(text, "c").unwrap().config.check(&["log", "webhook"]).unwrap_err().to_string()
    }

    fn handler(name: &str, rest: &str) -> String {
        format!("[[handler]]\nname = '{name}'\nkind = 'log'\n{rest}\n")
    }

    #[test]
    fn an_unknown_kind_is_told_with_the_ones_that_there_are() {
        assert_eq!(
            problems("[[handler]]\nname = 'a'\nkind = 'web-hook'\ntypes = ['a']"),
            "handler.a.kind: there is no handler of kind `web-hook`, only log, webhook; did you mean `webhook`?"
        );
    }

    #[test]
    fn names_and_patterns_belong_to_one_handler() {
        let two = handler("a", "types = ['x.*']") + &handler("a", "types = ['x.*', 'y', 'y']");
        insta::assert_snapshot!(problems(&two), @r#"
        3 problems in the configuration:
          handler[1].name: another handler is called `a` already
          handler[1].types[0]: `x.*` is bound to handler[0] already
          handler[1].types[2]: `y` is there twice
        "#);
        let error = problems(&(handler("a", "types = ['x']") + &handler("b", "types = ['x']")));
        assert_eq!(error, "handler.b.types[0]: `x` is bound to handler.a already");
    }

    #[test]
    fn a_star_stands_at_the_end_alone() {
        for pattern in ["*.paid", "order.*.paid", "order.**", "**"] {
            assert!(problems(&handler("a", &format!("types = ['{pattern}']"))).contains("not at its end"), "{pattern}");
        }
        for pattern in ["*", "order.*", "order"] {
            let text = handler("a", &format!("types = ['{pattern}']"));
            Config::parse(&text, "c").unwrap().check(&["log"]).unwrap();
        }
    }

    #[test]
    fn a_handler_needs_a_name_types_and_sensible_limits() {
        let limits = "types = ['']\nconcurrency = 0\nqueue_capacity = 0\ntimeout = '2m'\nretry = { multiplier = 0.1 }";
        insta::assert_snapshot!(problems(&(handler("", "") + &handler("b", limits))), @r#"
        7 problems in the configuration:
          handler[0].name: is empty
          handler[0].types: names no event type; `"*"` is for all of them
          handler.b.types[0]: is empty; `*` matches every type
          handler.b.concurrency: must be at least 1
          handler.b.queue_capacity: must be at least 1
          handler.b.timeout: 2m is longer than timeouts.processing (1m)
          handler.b.retry.multiplier: 0.1 is no multiplier: it must be 1 or more, or delays would shrink
        "#);
    }
}
