//! Our role as a WebSocket client, towards billing backends.
//!
//! | file | what is in it |
//! |---|---|
//! | `url`, `target` | where a backend is, who calls, and where a redirect leads; pure |
//! | `upgrade` | what is asked and how the answer is judged; pure |
//! | `tls` | TLS, and who we are there |
//! | `connect` | all of it over a socket, with deadlines |

mod connect;
mod target;
mod tls;
mod upgrade;
mod url;

pub use connect::{Connected, DialError, PATIENCE, Step, connect};
pub use target::{Credentials, NotAUrl, RedirectError, Target};
pub use tls::TlsClient;
pub use upgrade::{Answer, Key, Misfit, Subprotocol, judge, request};
