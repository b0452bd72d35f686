//! The security extension of OCPP 1.6 on the way to a backend.
//!
//! A gateway's link to its backend is its own, so its certificates are, too, whatever stands
//! behind it. Which backend is trusted and who we are stands in the configuration; a backend can
//! add to both, and never take away:
//!
//! - A certificate that it signed for a key of ours (`SignCertificate`, `CertificateSigned`) is
//!   shown from the next connection on. Until the backend asked for it and let us in, it takes turns
//!   with what was shown before and with that of the configuration, and again when it is refused
//!   later. Another certificate in the configuration ends it. It is asked for again a month before
//!   it ends.
//! - Roots that it installed are trusted beside `ca`, for what comes from them and names the host:
//!   a server's own certificate is not installed. Without `ca` any server is taken; one root
//!   would turn that into "none but this one" without the operator's knowledge, and lock everybody
//!   out who does not come from it. Then nothing is installed. What stands in `ca` is neither
//!   listed nor deleted: it is not the backend's.
//! - `SecurityProfile` can be raised as far as the address allows (`profile`).
//!
//! Logs are uploaded only where the configuration says so (`upload-log`), because the backend says
//! where to. Then `GetLog` means our own log of this charge point, whatever stands behind it, and
//! nothing of an upload outlives a restart or a new configuration. Otherwise it is rejected,
//! unless a wallbox is there to do it.
//!
//! The private key is part of what the gateway remembers, with the password: it is on disk before
//! the request for its certificate leaves, in a database that is readable for nobody else.
//!
//! | file | what is in it |
//! |---|---|
//! | `safe` | our key, the certificate for it, and the installed roots |
//! | `ending` | which of their certificates are about to end |
//! | `events`, `telling` | what the backend is told of security |
//! | `serving` | the commands |
//! | `presented` | which certificates a backend showed where any is taken |
//! | `log_upload`, `uploading` | our log on its way to where the backend wants it |
//! | `profile` | how `SecurityProfile` is raised, and what a connection is made with |

mod ending;
mod events;
mod log_upload;
mod presented;
mod profile;
mod safe;
mod serving;
mod telling;
mod uploading;

pub(super) use ending::Ends;
pub(super) use events::{Event, Events};
pub(super) use log_upload::LogUpload;
pub use log_upload::{Location, UploadOrder, UploadOutcome};
pub(super) use presented::Known;
pub use presented::Presented;
pub use profile::Login;
pub(super) use profile::Shown;
pub(super) use safe::Safe;
pub use safe::{PrivateKey, Signed};
pub(super) use serving::is_of_security;
pub use serving::{Requested, Subject};
