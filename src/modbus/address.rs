//! Where a Modbus device is: `host:port`, or a serial line.

use core::net::Ipv6Addr; // a value; nothing is opened here
use std::fmt;

/// The address of one or more Modbus devices: what one connection leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Modbus TCP.
    Tcp {
        /// Name or IP address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Modbus RTU.
    Serial {
        /// The device file.
        device: String,
        /// Bits per second.
        baud: u32,
        /// 7 or 8.
        data_bits: u8,
        /// Parity.
        parity: Parity,
        /// 1 or 2.
        stop_bits: u8,
    },
}

/// Parity of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parity {
    /// `n`
    None,
    /// `e`
    Even,
    /// `o`
    Odd,
}

impl Address {
    /// Reads `192.168.1.50:502`, `meter.lan:502`, `[fe80::1]:502` or `/dev/ttyUSB0,9600,8,n,1`;
    /// `None` if it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            Self::parse_serial(text)
        } else {
            let (host, port) = host_and_port(text)?;
            Some(Self::Tcp {
                host: host.to_owned(),
                port: port?,
            })
        }
    }

    fn parse_serial(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let device = parts.next()?.to_owned();
        let baud = parts.next()?.parse().ok().filter(|baud| *baud > 0)?;
        let data_bits = parts
            .next()?
            .parse()
            .ok()
            .filter(|bits| matches!(bits, 7 | 8))?;
        let parity = match parts.next()? {
            "n" | "N" => Parity::None,
            "e" | "E" => Parity::Even,
            "o" | "O" => Parity::Odd,
            _ => return None,
        };
        let stop_bits = parts
            .next()?
            .parse()
            .ok()
            .filter(|bits| matches!(bits, 1 | 2))?;
        parts.next().is_none().then_some(Self::Serial {
            device,
            baud,
            data_bits,
            parity,
            stop_bits,
        })
    }
}

/// Splits `host`, `host:port` or `[::1]:port`; the port is 1–65535. `None` if it is none of them.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':')?)),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || ",/@?#[]\\".contains(c);
    if host.is_empty() || host.contains(is_odd) {
        return None;
    }
    match port {
        None => Some((host, None)),
        Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => {
            let port = digits.parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
        Some(_) => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Serial {
                device,
                baud,
                data_bits,
                parity,
                stop_bits,
            } => {
                let parity = match parity {
                    Parity::None => 'n',
                    Parity::Even => 'e',
                    Parity::Odd => 'o',
                };
                write!(f, "{device},{baud},{data_bits},{parity},{stop_bits}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_was_written() {
        for text in [
            "192.0.2.50:502",
            "meter.lan:502",
            "[fe80::1]:502",
            "/dev/ttyUSB0,9600,8,n,1",
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn half_an_address_and_ports_out_of_range_are_refused() {
        for text in [
            "192.0.2.50",
            ":502",
            "host:0",
            "host:65536",
            "host:+1",
            "a:1:2",
            "[x]:1",
            "[::1",
            "h o:1",
            "/dev/ttyUSB0",
            "/dev/ttyUSB0,9600,8,n",
            "/dev/x,0,8,n,1",
            "/dev/x,9600,9,n,1",
            "/dev/x,9600,8,x,1",
            "/dev/x,9600,8,n,3",
            "/dev/x,9600,8,n,1,1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
