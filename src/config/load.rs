//! Reading the configuration: the file, then the environment over it, then one decoding with all its problems.
//!
//! The only place that touches the file and the process's environment.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::decode::{decode, options};
use super::environment::{Variable, overlay};
use super::places::{Places, no_toml};
use super::schema::Schema;
use super::{Config, Error, KeyPath, Place, Problem, Problems};
use crate::handle;

/// A configuration and where it comes from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What was read.
    pub config: Config,
    /// What paths of schema and template files are relative to: the file's folder. The database's path is relative to
    /// the working directory instead.
    pub base_dir: PathBuf,
    /// The file's name as it was given; none if there was no file.
    pub source: Option<String>,
    places: Places,
}

impl Config {
    /// Reads a file, or starts from the defaults without one, and takes `EVENKEEL__SECTION__KEY` from the environment.
    ///
    /// # Errors
    /// The file cannot be read, or [all](Problems) that is wrong in it and in the environment.
    pub fn load(path: Option<&Path>) -> Result<Loaded, Error> {
        load(path, std::env::vars_os())
    }

    /// Reads a text that is called `name` in problems, without the environment.
    ///
    /// # Errors
    /// [All](Problems) that is wrong in it.
    pub fn parse(text: &str, name: &str) -> Result<Loaded, Error> {
        parse(text, name, [])
    }
}

impl Loaded {
    /// [`Config::check`] with the places of what is wrong.
    ///
    /// # Errors
    /// As there.
    pub fn check(&self, kinds: &[&str]) -> Result<(), Error> {
        self.config.check(kinds).map_err(|error| self.locate(error))
    }

    /// [`options`] with the places of what is wrong.
    ///
    /// # Errors
    /// As there.
    pub fn options<T: DeserializeOwned>(&self, handler: &handle::Config) -> Result<T, Error> {
        options(handler).map_err(|error| self.locate(error))
    }

    /// Where the value of this key was written, if it was.
    pub(super) fn written(&self, key: &KeyPath) -> Option<&Place> {
        self.places.place(key)
    }

    /// The key as it is shown to people.
    pub(super) fn shown(&self, key: &KeyPath) -> KeyPath {
        self.places.shown(key)
    }

    /// Adds to every problem where its key was written.
    #[must_use]
    pub fn locate(&self, error: Error) -> Error {
        match error {
            Error::Invalid(problems) => located(&self.places, problems.0),
            other => other,
        }
    }
}

fn load(path: Option<&Path>, variables: impl IntoIterator<Item = Variable>) -> Result<Loaded, Error> {
    let Some(path) = path else {
        return parse("", "", variables).map(|loaded| Loaded { source: None, ..loaded });
    };
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let loaded = parse(&text, &path.display().to_string(), variables)?;
    Ok(Loaded { base_dir: folder.map_or(loaded.base_dir, Path::to_owned), ..loaded })
}

fn parse(text: &str, name: &str, variables: impl IntoIterator<Item = Variable>) -> Result<Loaded, Error> {
    let schema = Schema::new();
    let mut places = Places::of(text, name).map_err(|problem| Problems(vec![problem]))?;
    // What was TOML for its places can only have a number that is too large now.
    let out_of_range = |error| no_toml(text, name, &error, "the number is out of range");
    let mut table: Table = toml::from_str(text).map_err(|error| Problems(vec![out_of_range(error)]))?;
    let mut problems = overlay(&mut table, variables, &mut places, &schema);
    let one_bracket = ["handler", "schema"].map(|list| (list, table.get(list).is_some_and(Value::is_table)));
    let config = decode(table, |key| schema.suggest(key)).map_err(|wrong| problems.extend(wrong)).unwrap_or_default();
    for (list, _) in one_bracket.into_iter().filter(|(_, is_table)| *is_table) {
        for problem in problems.iter_mut().filter(|problem| problem.key == KeyPath::new(&[list])) {
            problem.suggestion = Some(format!("[[{list}]]"));
        }
    }
    if !problems.is_empty() {
        return Err(located(&places, problems));
    }
    Ok(Loaded { config, base_dir: PathBuf::from("."), source: Some(name.to_owned()), places })
}

fn located(places: &Places, problems: Vec<Problem>) -> Error {
    let mut problems: Vec<Problem> = problems.into_iter().map(|problem| places.locate(problem)).collect();
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Problems(problems).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn variables(variables: &[(&str, &str)]) -> Vec<Variable> {
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn file_problems(text: &str) -> String {
        Config::parse(text, "config.toml").unwrap_err().to_string()
    }

    fn from_environment(text: &str, list: &[(&str, &str)]) -> Result<Config, String> {
        parse(text, "config.toml", variables(list)).map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    const BILLING: &str = "[[handler]]\nname = 'billing'\nkind = 'webhook'\ntypes = ['order.paid']\n";

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
        assert_eq!(
            file_problems("[server]\nbind = '127.0.0.1:1'\n  shutdown_timout = '30s'\n"),
            "config.toml:3:3: server.shutdown_timout: unknown key; did you mean `shutdown_timeout`?"
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once_in_the_order_of_the_file() {
        let text = "[servr]\nbind = 'x'\n[pool]\nprocessors = 'ten'\nqueue_capacity = -1\n[retry]\nmax_delay = '1x'\n\
                    [[handler]]\nname = 'a'\nkind = 'log'\ntypes = ['a', 5]\nretry = { max_retry = 1 }\n";
        insta::assert_snapshot!(file_problems(text), @r#"
        6 problems in the configuration:
          config.toml:1:2: servr: unknown key; did you mean `server`?
          config.toml:4:1: pool.processors: invalid type: string "ten", expected a whole number that is not negative
          config.toml:5:1: pool.queue_capacity: invalid value: integer `-1`, expected a whole number that is not negative
          config.toml:7:1: retry.max_delay: invalid value: string "1x", expected a duration such as "30s" or "1m 30s"
          config.toml:11:15: handler.a.types[1]: invalid type: integer `5`, expected a string
          config.toml:12:11: handler.a.retry.max_retry: unknown key; did you mean `max_retries`?
        "#);
    }

    #[test]
    fn a_text_that_is_no_toml_says_where() {
        insta::assert_snapshot!(file_problems("[server]\nbind = \n"), @"config.toml:2:8: string values must be quoted, expected literal string");
        insta::assert_snapshot!(file_problems("[server]\n[server]\n"), @"config.toml:2:2: duplicate key");
        insta::assert_snapshot!(file_problems("[pool]\nprocessors = 99999999999999999999\n"), @"config.toml:2:14: the number is out of range");
    }

    #[test]
    fn a_handler_without_its_name_or_in_single_brackets_is_explained() {
        insta::assert_snapshot!(file_problems("\n[[handler]]\nkind = 'log'\n"), @"config.toml:2:1: handler[0]: `name` is missing");
        insta::assert_snapshot!(file_problems("[handler]\nname = 'a'\n"), @"config.toml:1:2: handler: invalid type: map, expected a list; did you mean `[[handler]]`?");
    }

    #[test]
    fn a_schema_is_a_list_too_and_its_keys_are_suggested() {
        insta::assert_snapshot!(file_problems("[schema]\ntype = 'a'\n"), @"config.toml:1:2: schema: invalid type: map, expected a list; did you mean `[[schema]]`?");
        insta::assert_snapshot!(file_problems("[[schema]]\ntype = 'a'\nfiles = 'a.json'\n"), @r#"
        2 problems in the configuration:
          config.toml:1:1: schema[0]: `file` is missing
          config.toml:3:1: schema[0].files: unknown key; did you mean `file`?
        "#);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let config = from_environment(
            "[pool]\nprocessors = 3\nqueue_capacity = 4\n",
            &[
                ("EVENKEEL__SERVER__BIND", "[::1]:80"),
                ("EVENKEEL__SERVER__BODY_LIMIT", "2048"),
                ("EVENKEEL__TIMEOUTS__HANDLER", "\"5s\""),
                ("EVENKEEL__POOL__QUEUE_CAPACITY", "7"),
                ("EVENKEEL_URL", "http://elsewhere"),
                ("HOME", "/root"),
            ],
        )
        .unwrap();
        assert_eq!((config.pool.processors, config.pool.queue_capacity), (3, 7));
        assert_eq!((config.server.bind.as_str(), config.server.body_limit), ("[::1]:80", 2048));
        assert_eq!(config.timeouts.handler, Duration::from_secs(5));
    }

    #[test]
    fn a_handler_in_the_file_can_be_given_its_secret_by_the_environment() {
        let list =
            [("EVENKEEL__HANDLER__BILLING__SECRET", "123"), ("EVENKEEL__HANDLER__BILLING__RETRY__MAX_RETRIES", "9")];
        let config = from_environment(BILLING, &list).unwrap();
        assert_eq!(config.handler[0].options["secret"].as_str(), Some("123"));
        assert_eq!(config.handler[0].retry.as_ref().unwrap().max_retries, Some(9));
    }

    #[test]
    fn what_a_variable_has_set_is_known_to_be_its() {
        let text = format!("{BILLING}retry = {{ jitter = 0.1, max_delay = '1m' }}\n");
        let list = variables(&[("EVENKEEL__HANDLER__BILLING__RETRY", "{ jitter = 0.2 }")]);
        let loaded = parse(&text, "config.toml", list).unwrap();
        let place = |key: &str| {
            let retry = KeyPath::new(&["handler"]).index(0).key("retry");
            loaded.written(&retry.key(key)).map(ToString::to_string)
        };
        let variable = "environment variable EVENKEEL__HANDLER__BILLING__RETRY";
        assert_eq!((place("jitter").as_deref(), place("max_delay")), (Some(variable), None));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let wrong = [
            ("EVENKEEL__HANDLER__BILING__URL", "x"),
            ("EVENKEEL__HANDLER__BILLING", "x"),
            ("EVENKEEL__KINESIS__BROKERS", "x"),
            ("EVENKEEL__POOL__PROCESSORS", "many"),
            ("EVENKEEL__SCHEMA__TYPE", "x"),
            ("EVENKEEL__SERVER__BND", "x"),
            ("EVENKEEL__SERVER__PROCESSORS", "1"),
            ("EVENKEEL__SERVR__BIND", "x"),
            ("EVENKEEL__SERVER", "x"),
        ];
        insta::assert_snapshot!(from_environment(BILLING, &wrong).unwrap_err(), @r#"
        9 problems in the configuration:
          environment variable EVENKEEL__HANDLER__BILING__URL: handler.biling.url: unknown handler; did you mean `EVENKEEL__HANDLER__BILLING__URL`?
          environment variable EVENKEEL__HANDLER__BILLING: a handler's key is set with EVENKEEL__HANDLER__<name>__<key>
          environment variable EVENKEEL__KINESIS__BROKERS: kinesis.brokers: unknown section
          environment variable EVENKEEL__POOL__PROCESSORS: pool.processors: invalid type: string "many", expected a whole number that is not negative
          environment variable EVENKEEL__SCHEMA__TYPE: schemas are named in the file alone; a variable cannot tell which of them it is about
          environment variable EVENKEEL__SERVER: a key is set with EVENKEEL__<section>__<key>
          environment variable EVENKEEL__SERVER__BND: server.bnd: unknown key; did you mean `EVENKEEL__SERVER__BIND`?
          environment variable EVENKEEL__SERVER__PROCESSORS: server.processors: unknown key; did you mean `EVENKEEL__POOL__PROCESSORS`?
          environment variable EVENKEEL__SERVR__BIND: servr.bind: unknown section; did you mean `EVENKEEL__SERVER__BIND`?
        "#);
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let variable = ("EVENKEEL__SERVER__BIND".into(), std::ffi::OsString::from_vec(vec![0xff]));
        let error = parse("", "", [variable]).unwrap_err().to_string();
        assert_eq!(error, "environment variable EVENKEEL__SERVER__BIND: server.bind: the value is not UTF-8");
    }

    #[test]
    fn options_and_checks_say_their_lines_too() {
        #[derive(Debug, serde::Deserialize)]
        struct Nothing {}
        let loaded = Config::parse(&format!("{BILLING}url = 'x'\nconcurrency = 0\n"), "config.toml").unwrap();
        let error = loaded.options::<Nothing>(&loaded.config.handler[0]).unwrap_err();
        assert_eq!(error.to_string(), "config.toml:5:1: handler.billing.url: unknown key");
        let error = loaded.check(&["webhook"]).unwrap_err();
        assert_eq!(error.to_string(), "config.toml:6:1: handler.billing.concurrency: must be at least 1");
    }

    #[test]
    fn the_files_folder_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "[pool]\nprocessors = 2\n").unwrap();
        let loaded = load(Some(&path), []).unwrap();
        assert_eq!((loaded.config.pool.processors, loaded.base_dir.as_path()), (2, folder.path()));
        assert_eq!(loaded.source, Some(path.display().to_string()));
    }

    #[test]
    fn without_a_file_the_defaults_hold() {
        let loaded = load(None, []).unwrap();
        assert_eq!((loaded.config, loaded.source), (Config::default(), None));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load(Some(Path::new("/nowhere/config.toml")), []).unwrap_err().to_string();
        assert!(
            error.starts_with("the configuration file /nowhere/config.toml cannot be read: No such file"),
            "{error}"
        );
    }
}
