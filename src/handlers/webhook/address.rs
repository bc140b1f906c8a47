//! Which addresses a webhook may not reach unless `allow_private` says so.
//!
//! Pure. Whoever may set a webhook's URL, or the DNS record behind it, must not get at what only this machine or its
//! network can reach (server-side request forgery): the cloud's metadata service above all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What forbids the address, in a word, or nothing if it is one of the public internet.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

/// The IANA registry of special-purpose IPv4 addresses, but for the few in it that are globally reachable.
const SPECIAL_V4: [(Ipv4Net, &str); 15] = [
    (v4([0, 0, 0, 0], 8), "unspecified"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "shared by a carrier's NAT"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "reserved"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    // The broadcast address is in here.
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The same for IPv6; only 2000::/3 is given out at all, so what is special outside of it has a name here and no more.
const SPECIAL_V6: [(Ipv6Net, &str); 11] = [
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "local NAT64"),
    // Teredo and other assignments of the IETF.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "unique-local"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind)
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some((_, kind)) = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)) {
        return Some(kind);
    }
    // These reach the IPv4 address inside, so that one counts. A network without IPv4 of its own sees all of the
    // IPv4 internet through NAT64, which is why the form itself is not refused.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return refusal_v4(mapped);
    }
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return refusal_v4(Ipv4Addr::new(a, b, c, d));
    }
    (!GLOBAL_V6.contains(&address)).then_some("reserved")
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        refusal(address.parse().unwrap())
    }

    #[test]
    fn every_special_range_is_refused_from_its_first_to_its_last_address() {
        let v4 = SPECIAL_V4.iter().flat_map(|(net, _)| [net.network(), net.broadcast()]).map(IpAddr::V4);
        let v6 = SPECIAL_V6.iter().flat_map(|(net, _)| [net.network(), net.broadcast()]).map(IpAddr::V6);
        for address in v4.chain(v6) {
            assert!(refusal(address).is_some(), "{address}");
        }
    }

    #[test]
    fn the_refusal_names_the_kind() {
        assert_eq!(kind("127.0.0.53"), Some("loopback"));
        assert_eq!(kind("169.254.169.254"), Some("link-local"));
        assert_eq!(kind("172.31.255.255"), Some("private"));
        assert_eq!(kind("100.127.0.1"), Some("shared by a carrier's NAT"));
        assert_eq!(kind("255.255.255.255"), Some("reserved"));
        assert_eq!(kind("::"), Some("unspecified"));
        assert_eq!(kind("::1"), Some("loopback"));
        assert_eq!(kind("fd00:ec2::254"), Some("unique-local"));
        assert_eq!(kind("fe80::1"), Some("link-local"));
        assert_eq!(kind("ff02::1"), Some("multicast"));
    }

    #[test]
    fn a_private_address_cannot_hide_in_an_ipv6_form() {
        for form in ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "::10.0.0.1", "2002:a00:1::"] {
            assert!(kind(form).is_some(), "{form}");
        }
        // IPv4-translated (RFC 2765), Teredo.
        for form in ["::ffff:0:10.0.0.1", "2001:0:a00:1::"] {
            assert_eq!(kind(form), Some("reserved"), "{form}");
        }
    }

    #[test]
    fn the_public_internet_is_allowed() {
        let just_outside = ["9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"];
        let v6 = ["2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"];
        for address in ["8.8.8.8", "192.169.0.1", "223.255.255.255"].into_iter().chain(just_outside).chain(v6) {
            assert_eq!(kind(address), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn what_std_calls_local_is_refused_in_every_form(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let local = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_unspecified() || address.is_broadcast()
                || address.is_documentation();
            prop_assert!(!local || refusal_v4(address).is_some());
            let nat64 = Ipv6Addr::from_bits(NAT64.network().to_bits() | u128::from(bits));
            for form in [address.to_ipv6_mapped(), nat64] {
                prop_assert_eq!(refusal_v6(form), refusal_v4(address));
            }
        }
    }
}
