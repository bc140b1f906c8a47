//! A resolver that keeps private addresses out of a webhook's reach.
//!
//! The rule is applied to what is connected to, after the name was resolved: a check of the name beforehand could be
//! answered with a public address and the connection then with a private one (DNS rebinding).

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::refusal;

/// Resolves with another resolver and passes on the public addresses only.
pub struct PublicOnly {
    inner: Arc<dyn Resolve>,
}

impl PublicOnly {
    /// Asks the system's resolver.
    pub fn system() -> Self {
        Self::over(System)
    }

    /// Asks this resolver.
    pub fn over(inner: impl Resolve + 'static) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let addresses = self.inner.resolve(name);
        Box::pin(async move {
            let public = public_only(&host, addresses.await?)?;
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// All of a name's addresses are private. A retry, for DNS may answer otherwise next time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}` resolves to {address}, which is {kind}; only `allow_private = true` permits that")]
pub struct Refused {
    host: String,
    address: std::net::IpAddr,
    kind: &'static str,
}

fn public_only(host: &str, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused = None;
    let mut public = Vec::new();
    for address in addresses {
        match refusal(address.ip()) {
            None => public.push(address),
            Some(kind) => refused = Some(Refused { host: host.to_owned(), address: address.ip(), kind }),
        }
    }
    match refused {
        Some(refused) if public.is_empty() => Err(refused),
        _ => Ok(public),
    }
}

/// The system's resolver; reqwest has it too, but not for others to wrap.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 stands for the URL's.
            let lookup = move || (name.as_str(), 0).to_socket_addrs();
            let addresses = tokio::task::spawn_blocking(lookup).await??;
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> impl Iterator<Item = SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_mixed_answer_keeps_its_public_addresses_only() {
        let public = public_only("mixed.example", addresses(&["10.0.0.1", "8.8.8.8", "::1"])).unwrap();
        assert_eq!(public, addresses(&["8.8.8.8"]).collect::<Vec<_>>());
    }

    #[test]
    fn a_private_answer_is_refused_with_its_reason() {
        let refused = public_only("db.example", addresses(&["10.0.0.1"])).unwrap_err();
        let text = "`db.example` resolves to 10.0.0.1, which is private; only `allow_private = true` permits that";
        assert_eq!(refused.to_string(), text);
    }

    #[tokio::test]
    async fn the_systems_answer_is_filtered() {
        let error = PublicOnly::system().resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert_eq!(error.downcast::<Refused>().unwrap().kind, "loopback");
    }
}
