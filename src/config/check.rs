//! What a configuration may not say although it can be read. Pure: nothing is opened or looked up to find out.

mod alerts;
mod handlers;
mod schemas;

use std::net::Ipv6Addr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::key_path::KeyPath;
use super::schema::closest;
use super::{Config, Error, Problem, Problems};
use crate::api::{self, is_loopback, name_of};
use crate::bus::{KafkaConfig, RabbitConfig};
use crate::retry::RetryPolicy;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Config {
    /// Whether an engine can run with this. `kinds` are the kinds of handlers that there are.
    ///
    /// # Errors
    /// [All](Problems) that is wrong.
    pub fn check(&self, kinds: &[&str]) -> Result<(), Error> {
        let mut found = Vec::new();
        self.check_numbers(&mut found);
        self.check_durations(&mut found);
        check_retry(&KeyPath::new(&["retry"]), &self.retry, &mut found);
        check_bind(&self.server.bind, &mut found);
        check_reach(&self.server, &mut found);
        check_database(&self.database.url, &mut found);
        check_kafka(&self.kafka, &mut found);
        check_lease(self.database.lease, &mut found);
        check_rabbitmq(&self.rabbitmq, &mut found);
        check_log_level(&self.telemetry.log_level, &mut found);
        alerts::check(&self.alerts, &mut found);
        handlers::check(self, kinds, &mut found);
        schemas::check(self, &mut found);
        if found.is_empty() { Ok(()) } else { Err(Problems(found).into()) }
    }

    fn check_numbers(&self, found: &mut Vec<Problem>) {
        for (section, key, is_zero) in [
            ("server", "body_limit", self.server.body_limit == 0),
            ("server", "batch_limit", self.server.batch_limit == 0),
            ("database", "max_connections", self.database.max_connections == 0),
            ("rabbitmq", "prefetch", self.rabbitmq.prefetch == 0),
            ("listener", "concurrency", self.listener.concurrency == 0),
            ("listener", "max_pending", self.listener.max_pending == 0),
            ("pool", "processors", self.pool.processors == 0),
            ("pool", "queue_capacity", self.pool.queue_capacity == 0),
        ] {
            at_least_one(KeyPath::new(&[section, key]), is_zero, found);
        }
    }

    fn check_durations(&self, found: &mut Vec<Problem>) {
        let times = &self.timeouts;
        for (section, key, duration) in [
            ("database", "acquire_timeout", self.database.acquire_timeout),
            ("timeouts", "handler", times.handler),
            ("timeouts", "processing", times.processing),
        ] {
            longer_than_nothing(KeyPath::new(&[section, key]), duration, found);
        }
        within_processing(KeyPath::new(&["timeouts", "handler"]), times.handler, times.processing, found);
    }
}

fn at_least_one(key: KeyPath, is_zero: bool, found: &mut Vec<Problem>) {
    if is_zero {
        found.push(Problem::new(key, "must be at least 1"));
    }
}

fn longer_than_nothing(key: KeyPath, duration: Duration, found: &mut Vec<Problem>) {
    if duration.is_zero() {
        found.push(Problem::new(key, "must be longer than nothing"));
    }
}

/// A handler that may run longer than its attempt would always be cut off.
fn within_processing(key: KeyPath, timeout: Duration, processing: Duration, found: &mut Vec<Problem>) {
    if timeout > processing {
        let (timeout, processing) = (humantime::format_duration(timeout), humantime::format_duration(processing));
        found.push(Problem::new(key, format!("{timeout} is longer than timeouts.processing ({processing})")));
    }
}

fn check_retry(section: &KeyPath, policy: &RetryPolicy, found: &mut Vec<Problem>) {
    if !policy.multiplier.is_finite() || policy.multiplier < 1.0 {
        let what = format!("{} is no multiplier: it must be 1 or more, or delays would shrink", policy.multiplier);
        found.push(Problem::new(section.key("multiplier"), what));
    }
    if !policy.jitter.is_finite() || policy.jitter < 0.0 {
        let what = format!("{} is no jitter: it must be 0 or more, since it only makes delays longer", policy.jitter);
        found.push(Problem::new(section.key("jitter"), what));
    }
}

fn check_bind(bind: &str, found: &mut Vec<Problem>) {
    let host_is_fine = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ', '@']),
    };
    let fine = bind.rsplit_once(':').is_some_and(|(host, port)| host_is_fine(host) && port.parse::<u16>().is_ok());
    if !fine {
        let what = format!("`{bind}` is not host:port, such as 127.0.0.1:8080 or [::1]:8080");
        found.push(Problem::new(KeyPath::new(&["server", "bind"]), what));
    }
}

/// Operators have no login: who can reach the port is one.
fn check_reach(server: &api::Config, found: &mut Vec<Problem>) {
    let is_bad = |host: &&String| name_of(host).is_empty() || host.contains(['/', ' ', '@', '*', ',']);
    if let Some(host) = server.allowed_hosts.iter().find(is_bad) {
        let what = format!("`{host}` is not a host with its port, as in http://HOST/: evenkeel.example:8080");
        found.push(Problem::new(KeyPath::new(&["server", "allowed_hosts"]), what));
    }
    if !is_loopback(name_of(&server.bind)) && !server.allow_remote_without_login {
        let what = format!(
            "`{}` can be reached from other machines, and operators have no login: whoever reaches it can redrive and \
             discard. Bind to 127.0.0.1, and let a tunnel or a proxy with a login lead there, or say \
             server.allow_remote_without_login = true",
            server.bind
        );
        found.push(Problem::new(KeyPath::new(&["server", "bind"]), what));
    }
}

/// A lease is renewed three times while it lasts, over a network, beside everything else.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

fn check_lease(lease: Duration, found: &mut Vec<Problem>) {
    if lease < SHORTEST_LEASE {
        let what = "must be at least 1s, or a node that is only busy would count as gone";
        found.push(Problem::new(KeyPath::new(&["database", "lease"]), what));
    }
}

fn check_database(url: &str, found: &mut Vec<Problem>) {
    // The rest of the URL may hold a password.
    let (scheme, rest) = url.split_once(':').unzip();
    let rest = rest.unwrap_or_default();
    let what = match scheme {
        Some("sqlite") if rest.trim_start_matches("//").is_empty() => {
            "names no file, such as sqlite://evenkeel-data/evenkeel.db"
        }
        Some("sqlite") => return,
        Some("postgres" | "postgresql") if rest.trim_start_matches('/').is_empty() => {
            "names no server, such as postgres://user:password@127.0.0.1:5432/evenkeel"
        }
        Some("postgres" | "postgresql") => return,
        _ => "must start with sqlite:// or postgres://, such as sqlite://evenkeel-data/evenkeel.db",
    };
    found.push(Problem::new(KeyPath::new(&["database", "url"]), what));
}

fn check_kafka(config: &KafkaConfig, found: &mut Vec<Problem>) {
    let kafka = KeyPath::new(&["kafka"]);
    let at = |keys: &[&str]| keys.iter().fold(kafka.clone(), |path, key| path.key(key));
    found.extend(config.faults().into_iter().map(|(keys, what)| Problem::new(at(&keys), what)));
}

/// The longest name of a queue, in bytes.
const MAX_QUEUE_BYTES: usize = 255;

fn check_rabbitmq(config: &RabbitConfig, found: &mut Vec<Problem>) {
    let key = |key| KeyPath::new(&["rabbitmq", key]);
    if let Some(what) = config.fault_of_url() {
        found.push(Problem::new(key("url"), what));
    }
    for (name, queue) in [("queue", &config.queue), ("dlq", &config.dlq)] {
        if queue.is_empty() || queue.len() > MAX_QUEUE_BYTES {
            found.push(Problem::new(key(name), format!("must be a name of 1 to {MAX_QUEUE_BYTES} bytes")));
        } else if queue.starts_with("amq.") {
            found.push(Problem::new(key(name), "names that start with `amq.` are RabbitMQ's own"));
        }
    }
    if config.queue == config.dlq {
        found.push(Problem::new(key("dlq"), "is the queue of the events too: every dead letter would come in again"));
    }
}

fn check_log_level(filter: &str, found: &mut Vec<Problem>) {
    let key = KeyPath::new(&["telemetry", "log_level"]);
    if let Err(error) = EnvFilter::try_new(filter) {
        found.push(Problem::new(key, format!("`{filter}` is no log filter: {error}")));
        return;
    }
    for directive in filter.split(',').map(str::trim) {
        let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(directive));
        // The filter would take a misspelt level for a target, and say nothing of all others.
        if !is_level && !directive.contains(['=', '[']) && !directive.contains("::") {
            let what = format!("`{directive}` is no level; a filter for a part is written `part=debug`");
            found.push(Problem::new(key.clone(), what).suggest(closest(directive, LEVELS)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Config::parse(text, "c").unwrap().config.check(&["log"]).map_err(|error| error.to_string()).unwrap_err()
    }

    #[test]
    fn the_default_is_fine() {
        Config::default().check(&[]).unwrap();
    }

    #[test]
    fn nothing_may_be_zero_that_would_stop_the_engine() {
        let text = "server = { batch_limit = 0, body_limit = 0 }\ndatabase = { max_connections = 0, acquire_timeout = '0s' }\n\
                    listener = { concurrency = 0, max_pending = 0 }\nrabbitmq = { prefetch = 0 }\npool = { processors = 0, queue_capacity = 0 }\n\
                    timeouts = { handler = '0s' }";
        let error = problems(text);
        assert!(error.starts_with("10 problems"), "{error}");
        assert!(error.contains("\n  pool.processors: must be at least 1"), "{error}");
    }

    #[test]
    fn a_handler_may_not_run_longer_than_its_attempt() {
        assert_eq!(
            problems("timeouts = { processing = '10s' }"),
            "timeouts.handler: 30s is longer than timeouts.processing (10s)"
        );
    }

    #[test]
    fn delays_may_not_shrink_nor_be_endless() {
        for policy in ["multiplier = 0.5", "multiplier = inf", "multiplier = nan", "jitter = -0.1", "jitter = inf"] {
            let key = policy.split_once(' ').unwrap().0;
            assert!(problems(&format!("[retry]\n{policy}")).starts_with(&format!("retry.{key}: ")), "{policy}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let check = |bind: &str| {
            let mut found = Vec::new();
            check_bind(bind, &mut found);
            found.is_empty()
        };
        assert!(["127.0.0.1:0", "localhost:80", "[::1]:8080"].into_iter().all(check));
        assert!(
            !["", "8080", ":8080", "localhost", "a:99999", "::1:80", "[x]:80", "http://a:80"].into_iter().any(check)
        );
    }

    #[test]
    fn who_can_be_reached_from_elsewhere_says_so_in_words() {
        for bind in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80", "evenkeel.example:80"] {
            let error = problems(&format!("[server]\nbind = '{bind}'"));
            assert!(error.starts_with("server.bind: ") && error.contains("allow_remote_without_login"), "{error}");
            let said = format!("[server]\nbind = '{bind}'\nallow_remote_without_login = true");
            Config::parse(&said, "c").unwrap().check(&[]).unwrap();
        }
        for bind in ["localhost:1", "127.0.0.9:1", "[::1]:1"] {
            Config::parse(&format!("[server]\nbind = '{bind}'"), "c").unwrap().check(&[]).unwrap();
        }
    }

    #[test]
    fn an_allowed_host_is_written_as_in_a_url() {
        for host in ["", ":8080", "*", "http://evenkeel.example", "a b", "a,b"] {
            assert!(problems(&format!("[server]\nallowed_hosts = ['{host}']")).starts_with("server.allowed_hosts: "));
        }
        let fine = "[server]\nallowed_hosts = ['evenkeel.example', 'evenkeel.example:8080', '[2001:db8::1]:80']";
        Config::parse(fine, "c").unwrap().check(&[]).unwrap();
    }

    #[test]
    fn a_database_is_sqlite_or_postgres_and_a_password_is_not_shown() {
        assert!(problems("[database]\nurl = 'postgres://'").contains("names no server"));
        Config::parse("[database]\nurl = 'postgres://bob:hidden@db/evenkeel'", "c").unwrap().check(&[]).unwrap();
        assert!(
            problems("[database]\nurl = 'mysql://bob:hidden@db'")
                .starts_with("database.url: must start with sqlite:// or postgres://")
        );
        assert!(problems("[database]\nurl = 'sqlite://'").contains("names no file"));
        Config::parse("[database]\nurl = 'sqlite:a.db'", "c").unwrap().check(&[]).unwrap();
    }

    #[test]
    fn a_lease_leaves_time_to_renew_it() {
        assert!(problems("[database]\nlease = '999ms'").starts_with("database.lease: must be at least 1s"));
        Config::parse("[database]\nlease = '1s'", "c").unwrap().config.check(&[]).unwrap();
    }

    #[test]
    fn queues_have_names_of_their_own_and_a_password_is_not_shown() {
        let same = problems("[rabbitmq]\nqueue = 'a'\ndlq = 'a'");
        assert!(same.starts_with("rabbitmq.dlq: is the queue of the events too"), "{same}");
        assert!(problems("[rabbitmq]\nqueue = ''").starts_with("rabbitmq.queue: must be a name"));
        assert!(problems("[rabbitmq]\ndlq = 'amq.dead'").starts_with("rabbitmq.dlq: names that start with"));
        let url = problems("[rabbitmq]\nurl = 'http://bob:hidden@mq'");
        assert!(url.starts_with("rabbitmq.url: is no URL of RabbitMQ") && !url.contains("hidden"), "{url}");
        Config::parse("[rabbitmq]\nurl = 'amqps://mq.example/vhost?heartbeat=5'", "c")
            .unwrap()
            .config
            .check(&[])
            .unwrap();
    }

    #[test]
    fn properties_of_kafka_are_named_and_passwords_are_not_shown() {
        let refused = problems("[kafka.properties]\n'group.instance.id' = 'a'");
        assert!(refused.starts_with("kafka.properties.\"group.instance.id\": would keep the partitions"), "{refused}");
        let unknown = problems("[kafka.properties]\nsasl.pasword = 'hidden'");
        assert_eq!(unknown, "kafka.properties.\"sasl.pasword\": librdkafka has no such property");
        assert!(problems("[kafka]\ntopic = 'a'\ndlq_topic = 'a'").starts_with("kafka.dlq_topic: is the topic of"));
    }

    #[test]
    fn a_misspelt_level_is_no_target() {
        assert!(problems("[telemetry]\nlog_level = 'inof'").ends_with("did you mean `info`?"));
        assert!(problems("[telemetry]\nlog_level = 'evenkeel=loud'").contains("is no log filter"));
        Config::parse("[telemetry]\nlog_level = 'warn,evenkeel=debug,a::b'", "c").unwrap().check(&[]).unwrap();
    }
}
