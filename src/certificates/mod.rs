//! Certificates: what they say, whom to trust, and who we are.
//!
//! TLS libraries refuse X.509 v1, but that is what the common openssl recipe makes: its configuration
//! asks for extensions in a place where openssl does not look. So a certificate is read and judged
//! here, for both legs, and the TLS library does the rest. Pure but for the signatures, which the
//! algorithms of the TLS library verify: no file, no socket, no clock.
//!
//! | file | what is in it |
//! |---|---|
//! | `blocks`, `pem`, `foreign` | certificates and keys out of files, and what to do where there are none |
//! | `certificate`, `names`, `naming` | what a certificate says, and how it is named to others |
//! | `identity` | who we are: a chain and the key that belongs to it |
//! | `roots`, `distrust` | whom we trust: the judge of chains, and its reasons |
//! | `urgency` | how near the end of a certificate is |
//! | `fitness` | whether those that the configuration names will do |
//! | `verifier` | how the TLS library asks the judge |

mod blocks;
mod certificate;
mod distrust;
mod fitness;
mod foreign;
mod identity;
mod names;
mod naming;
mod pem;
mod roots;
mod urgency;
mod verifier;

pub(crate) use blocks::{Block, Content, blocks, text};
pub use certificate::{Certificate, NoCertificate, fingerprint};
pub use distrust::Distrust;
pub(crate) use fitness::{Flaw, flaw_of_list, flaws_of_own, flaws_of_trusted};
pub use foreign::Foreign;
pub use identity::{Identity, IdentityError};
pub(crate) use names::{alternative_for_people, name_for_people};
pub use naming::Sha2;
pub(crate) use pem::{Kind, with_names};
pub use pem::{PemError, certificates, private_key};
pub use roots::{Roots, Usage, Verified};
pub use urgency::{Said, Urgency};
pub use verifier::{ClientVerifier, ServerVerifier, Trust, distrust_in};
