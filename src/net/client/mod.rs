//! Our role as a client: the WebSocket to a billing backend, and uploads over HTTP.
//!
//! | file | what is in it |
//! |---|---|
//! | `url`, `target` | where a backend is, who calls, and where a redirect leads; pure |
//! | `upgrade` | what is asked and how the answer is judged; pure |
//! | `receiver` | where a file is uploaded to; pure |
//! | `tls` | TLS, and who we are there |
//! | `connect` | all of it over a socket, with deadlines |
//! | `upload` | a file over a socket |

mod connect;
mod receiver;
mod target;
mod tls;
mod upgrade;
mod upload;
mod url;

pub use connect::{Certified, Connected, DialError, PATIENCE, Step, connect};
pub use receiver::Receiver;
pub use target::{Credentials, NotAUrl, RedirectError, Target};
pub use tls::TlsClient;
pub use upgrade::{Answer, Key, Misfit, Subprotocol, judge, request};
pub use upload::upload;
