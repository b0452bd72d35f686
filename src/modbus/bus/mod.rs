//! Carries requests to devices and answers back: one [`Line`] for each TCP peer or serial line.
//!
//! | file | what is in it |
//! |---|---|
//! | `line` | the task, and the pause after a failure |
//! | `turns` | what waits, and whose turn it is |
//! | `connection` | one open socket or serial port, one request at a time |
//! | `wire` | the bytes below `tokio-modbus`, without what is left of earlier answers |

mod connection;
mod line;
mod turns;
mod wire;

pub use connection::open_serial_port;
pub use line::{Line, LineHandle, line};
