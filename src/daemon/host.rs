//! What this machine is called and where it can be reached: for its self-signed certificate.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host name.
pub fn name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Every address of this machine, as far as the kernel tells; loopback and link-local left out.
pub fn addresses() -> Vec<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let mut addresses = ipv4(&read("/proc/net/fib_trie"));
    addresses.extend(ipv6(&read("/proc/net/if_inet6")));
    addresses
}

/// Reads the routing trie: an address of ours is a leaf with `/32 host LOCAL` under it.
fn ipv4(fib_trie: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut leaf = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf.take()
            && !address.is_loopback()
            && !address.is_link_local()
            && !addresses.contains(&IpAddr::V4(address))
        {
            addresses.push(IpAddr::V4(address));
        }
    }
    addresses
}

/// Reads the list of interfaces: 32 hexadecimal digits begin each line.
fn ipv6(if_inet6: &str) -> Vec<IpAddr> {
    if_inet6
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|address| !address.is_loopback() && !address.is_unicast_link_local())
        .map(IpAddr::V6)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_ipv4_addresses_are_the_local_leaves_of_the_routing_trie() {
        let trie = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.168.1.0/24 2 0 2
        |-- 192.168.1.0
           /24 link UNICAST
        |-- 192.168.1.5
           /32 host LOCAL
        |-- 192.168.1.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
        |-- 192.168.1.5
           /32 host LOCAL
";
        assert_eq!(ipv4(trie), [IpAddr::from([192, 168, 1, 5])]);
    }

    #[test]
    fn own_ipv6_addresses_leave_out_loopback_and_link_local() {
        let list = "\
fd000000000000000000000000000005 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
nonsense
";
        assert_eq!(ipv6(list), ["fd00::5".parse::<IpAddr>().unwrap()]);
    }
}
