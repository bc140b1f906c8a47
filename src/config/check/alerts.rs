//! What `[alerts]` may not say.

use super::{at_least_one, longer_than_nothing};
use crate::alert::Config;
use crate::config::{KeyPath, Problem};
use crate::handlers::webhook::Error;

pub(super) fn check(alerts: &Config, found: &mut Vec<Problem>) {
    let key = |key| KeyPath::new(&["alerts", key]);
    check_webhook(alerts, found);
    for (name, duration) in [
        ("cooldown", alerts.cooldown),
        ("resolve_after", alerts.resolve_after),
        ("oldest_pending", alerts.oldest_pending),
        ("failing_window", alerts.failing_window),
    ] {
        longer_than_nothing(key(name), duration, found);
    }
    at_least_one(key("failing_minimum"), alerts.failing_minimum == 0, found);
    // Not a number is in no range.
    if !(0.0..=1.0).contains(&alerts.failing_ratio) {
        let what = format!("{} is no share: it must be from 0 to 1", alerts.failing_ratio);
        found.push(Problem::new(key("failing_ratio"), what));
    }
}

/// The texts of these errors hold neither the secret nor more of the URL than its host.
fn check_webhook(alerts: &Config, found: &mut Vec<Problem>) {
    let Err(error) = alerts.target() else { return };
    let (name, what) = match &error {
        Error::Url(_) => ("webhook", "is no URL, such as https://hooks.example/evenkeel".to_owned()),
        Error::Scheme(scheme) => ("webhook", format!("must begin with http:// or https://, not {scheme}:")),
        Error::Private { host, kind } => {
            ("webhook", format!("leads to {host}, which is {kind}; set alerts.allow_private = true if that is meant"))
        }
        Error::Secret(why) => ("secret", format!("cannot be used: {why}")),
        Error::Client(_) => ("webhook", error.to_string()),
    };
    found.push(Problem::new(KeyPath::new(&["alerts", name]), what));
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn problems(text: &str) -> String {
        Config::parse(text, "c").unwrap().config.check(&[]).map_err(|error| error.to_string()).unwrap_err()
    }

    #[test]
    fn a_webhook_has_to_be_one_and_its_secret_is_not_shown() {
        let told = |keys: &str| problems(&format!("[alerts]\n{keys}"));
        assert_eq!(told("webhook = 'hook'"), "alerts.webhook: is no URL, such as https://hooks.example/evenkeel");
        let private = told("webhook = 'http://127.0.0.1:9/hook'");
        assert!(private.contains("leads to 127.0.0.1, which is loopback; set alerts.allow_private"), "{private}");
        let secret = told("webhook = 'https://hooks.example/'\nsecret = 'hunter2'");
        assert_eq!(secret, "alerts.secret: cannot be used: it must be `whsec_` and then base64");
    }

    #[test]
    fn shares_and_times_have_to_make_sense() {
        let text = "[alerts]\ncooldown = '0s'\nresolve_after = '0s'\noldest_pending = '0s'\nfailing_window = '0s'\n\
                    failing_minimum = 0\nfailing_ratio = 1.5";
        let error = problems(text);
        assert!(error.starts_with("6 problems"), "{error}");
        assert!(error.contains("alerts.failing_ratio: 1.5 is no share: it must be from 0 to 1"), "{error}");
        assert!(problems("[alerts]\nfailing_ratio = nan").contains("NaN is no share"));
    }
}
