//! A request to a Modbus device, its answer, and how it may fail.

use std::fmt;

/// Which registers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Input registers, function code 4.
    Input,
    /// Holding registers, function code 3.
    Holding,
}

/// What a device is asked. Its address and unit are known to whoever carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Reads `count` registers (1–125).
    Read {
        /// Of which table.
        table: Table,
        /// From 0.
        address: u16,
        /// How many.
        count: u16,
    },
    /// Writes holding registers: one with function code 6, several with 16.
    Write {
        /// From 0.
        address: u16,
        /// In order.
        values: Vec<u16>,
    },
}

/// What came of a request: the registers that were read, none after a write.
pub type Answer = Result<Vec<u16>, Failure>;

/// Why a request was not answered as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The device understood and refuses (its Modbus exception code). The connection stays.
    Exception(u8),
    /// Nothing came in time; the connection was dropped.
    Silent,
    /// There is no connection, or it broke, or what came was no Modbus. Why, for people.
    NoConnection(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exception(code) => {
                let meaning = match code {
                    1 => "illegal function",
                    2 => "illegal address",
                    3 => "illegal value",
                    4 => "device failure",
                    5 => "acknowledged, still busy",
                    6 => "busy",
                    10 => "no path to the device",
                    11 => "the device behind the gateway does not answer",
                    _ => "unknown",
                };
                write!(f, "the device refuses with exception {code} ({meaning})")
            }
            Self::Silent => f.write_str("the device does not answer"),
            Self::NoConnection(why) => write!(f, "no connection: {why}"),
        }
    }
}
