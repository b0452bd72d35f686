//! Whom an address stands for, where somebody is counted.

use std::net::{IpAddr, Ipv6Addr};

/// The bits of an IPv6 address that a provider gives to one customer; below them he has 2⁶⁴.
const CUSTOMER: u128 = !0 << 64;

/// An IPv4 address, or the /64 of an IPv6 address.
pub(super) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & CUSTOMER).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_for_its_64_and_an_ipv4_address_for_itself() {
        let of = |address: &str| source(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
