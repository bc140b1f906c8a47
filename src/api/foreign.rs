//! Who may not ask: web pages from elsewhere. Operators have no login, so that a page that is open in a browser on this
//! machine must not be able to do here what its reader could.
//!
//! Pure: what a request says of itself is judged, nothing is looked up. Programs say neither where they come from nor
//! whether it is another site, and go on.

use std::net::IpAddr;

use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::http::{Method, Uri};

use super::Config;
use super::problem::{Code, Problem};

/// What browsers say of the page that asks, and no page can change.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a browser may have been talked into.
pub(super) fn judge(config: &Config, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let hosts: Vec<&str> = texts(headers, &HOST).chain(uri.authority().map(|authority| authority.as_str())).collect();
    // A name of somebody else may lead here: DNS says what its owner wants. Then their pages count as ours.
    if let Some(unknown) = hosts.iter().find(|host| !is_known(config, host)) {
        return Err(Problem::new(Code::UnknownHost, format!("`{unknown}` is no name of this server")));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    if let Some(site) = texts(headers, &FETCH_SITE).find(|site| !matches!(*site, "same-origin" | "none")) {
        let detail = format!("a page of another origin asked for this: `sec-fetch-site` is `{site}`");
        return Err(Problem::new(Code::ForeignOrigin, detail));
    }
    let is_own = |origin: &str| hosts.iter().copied().chain(allowed(config)).any(|host| is_at(origin, host));
    match texts(headers, &ORIGIN).find(|origin| !is_own(origin)) {
        Some(origin) => Err(Problem::new(Code::ForeignOrigin, format!("a page of `{origin}` asked for this"))),
        None => Ok(()),
    }
}

/// Every value of this header; what is no text is nothing that we know.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).map(|value| value.to_str().unwrap_or("?"))
}

fn allowed(config: &Config) -> impl Iterator<Item = &str> {
    config.allowed_hosts.iter().map(String::as_str)
}

/// Any port is as good: a tunnel brings its own, and no page can choose the name.
fn is_known(config: &Config, host: &str) -> bool {
    let name = name_of(host);
    // DNS leads nobody to an address that is written as one.
    let is_own_address = || !is_loopback(name_of(&config.bind)) && address(name).is_some();
    is_loopback(name) || is_own_address() || allowed(config).any(|allowed| is_same(allowed, host))
}

/// Whether only this machine can mean this name or address.
pub(crate) fn is_loopback(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || address(&name).is_some_and(|address| address.is_loopback())
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => name.parse().ok().filter(IpAddr::is_ipv6),
        None => name.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// Without the port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The same host and port; the ports that go without saying do.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |host: &str| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).map_or_else(|| host.clone(), str::to_owned)
    };
    plain(one) == plain(other)
}

/// Whether this origin is a page of this host. A proxy may have taken the TLS off.
fn is_at(origin: &str, host: &str) -> bool {
    let (scheme, at) = origin.split_once("://").unwrap_or_default();
    matches!(scheme, "http" | "https") && is_same(at, host)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const BOTH: [Method; 2] = [Method::GET, Method::POST];

    fn config(bind: &str) -> Config {
        Config { bind: bind.to_owned(), allowed_hosts: vec!["Evenkeel.example:8443".to_owned()], ..Config::default() }
    }

    fn said(config: &Config, method: &Method, headers: &[(&'static str, &str)]) -> Option<Code> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let uri = Uri::from_static("/api/v1/dead-letters/redrive");
        judge(config, method, &uri, &map).err().map(|problem| code(&problem))
    }

    fn code(problem: &Problem) -> Code {
        Code::from_word(problem.to_value()["code"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_host_is_known_if_it_is_loopback_or_allowed() {
        let known = [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost:9",
            "127.0.0.1",
            "127.0.0.2:8080",
            "[::1]:8080",
            "[::1]",
            "evenkeel.example:8443",
        ];
        let unknown = [
            "",
            "evil.example",
            "evenkeel.example",
            "evenkeel.example:80",
            "a.evenkeel.example:8443",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "notlocalhost",
            "192.0.2.1:8080",
            "::1",
            "[127.0.0.1]",
            "0.0.0.0:8080",
            "localhost:8080@evil.example",
        ];
        for method in &BOTH {
            for host in known {
                assert_eq!(said(&config("127.0.0.1:8080"), method, &[("host", host)]), None, "{host}");
            }
            for host in unknown {
                let refused = said(&config("127.0.0.1:8080"), method, &[("host", host)]);
                assert_eq!(refused, Some(Code::UnknownHost), "{host}");
            }
        }
    }

    #[test]
    fn beyond_loopback_addresses_are_known_and_other_names_are_not() {
        for (host, refused) in [
            ("192.0.2.1:8080", None),
            ("[2001:db8::1]:8080", None),
            ("localhost", None),
            ("evil.example:8080", Some(Code::UnknownHost)),
        ] {
            assert_eq!(said(&config("0.0.0.0:8080"), &Method::GET, &[("host", host)]), refused, "{host}");
        }
    }

    #[test]
    fn two_hosts_have_to_be_known_both() {
        let hosts = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(said(&config("127.0.0.1:8080"), &Method::GET, &hosts), Some(Code::UnknownHost));
        let uri = Uri::from_static("http://evil.example/");
        let refused = judge(&config("127.0.0.1:8080"), &Method::GET, &uri, &HeaderMap::new()).unwrap_err();
        assert_eq!(code(&refused), Code::UnknownHost);
    }

    #[test]
    fn what_changes_something_comes_from_a_page_of_ours_or_from_a_program() {
        let foreign = Some(Code::ForeignOrigin);
        let origins = [
            (None, None),
            (Some("http://localhost:8080"), None),
            (Some("http://LOCALHOST:8080"), None),
            (Some("https://evenkeel.example:8443"), None),
            (Some("http://localhost:3000"), foreign),
            (Some("http://localhost"), foreign),
            (Some("http://127.0.0.1:8080"), foreign),
            (Some("http://evil.example"), foreign),
            (Some("http://localhost:8080.evil.example"), foreign),
            (Some("ftp://localhost:8080"), foreign),
            (Some("chrome-extension://localhost:8080"), foreign),
            (Some("localhost:8080"), foreign),
            (Some("null"), foreign),
            (Some(""), foreign),
        ];
        let sites = [
            (None, None),
            (Some("same-origin"), None),
            (Some("none"), None),
            (Some("same-site"), foreign),
            (Some("cross-site"), foreign),
            (Some("anything"), foreign),
        ];
        for (origin, of_origin) in origins {
            for (site, of_site) in sites {
                let mut headers = vec![("host", "localhost:8080")];
                headers.extend(origin.map(|origin| ("origin", origin)));
                headers.extend(site.map(|site| ("sec-fetch-site", site)));
                for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::CONNECT] {
                    let refused = said(&config("127.0.0.1:8080"), &method, &headers);
                    assert_eq!(refused, of_origin.or(of_site), "{method} {headers:?}");
                }
                for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                    assert_eq!(said(&config("127.0.0.1:8080"), &method, &headers), None, "{method} {headers:?}");
                }
            }
        }
    }

    #[test]
    fn the_port_of_the_scheme_goes_without_saying() {
        for (host, origin) in [
            ("localhost", "http://localhost:80"),
            ("localhost:80", "http://localhost"),
            ("localhost", "https://localhost"),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert_eq!(said(&config("127.0.0.1:8080"), &Method::POST, &headers), None, "{headers:?}");
        }
    }
}
