//! Who may connect, and with which password.

use std::collections::BTreeMap;
use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use super::http::hex_digit;
use crate::ids::ChargeBoxId;

/// The charge points of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Every known ChargeBox ID, with its own password where it has one.
    pub known: BTreeMap<ChargeBoxId, Option<Password>>,
    /// The password of all that have none of their own; unset: none is asked for.
    pub password: Option<Password>,
    /// Lets unknown charge points connect, too.
    pub accept_unknown: bool,
    /// A client certificate must name the ChargeBox ID of whoever presents it.
    pub certificate_names_id: bool,
}

impl Directory {
    /// Finds an id as it is written, else the only one that differs from it in the case of
    /// ASCII letters alone: other alphabets have letters that look alike and are not (K and the Kelvin
    /// sign).
    pub fn find(&self, id: &str) -> Option<&ChargeBoxId> {
        if let Some((known, _)) = self.known.get_key_value(&ChargeBoxId::from(id)) {
            return Some(known);
        }
        let mut alike = self
            .known
            .keys()
            .filter(|known| known.as_str().eq_ignore_ascii_case(id));
        match (alike.next(), alike.next()) {
            (Some(known), None) => Some(known),
            _ => None,
        }
    }

    /// May a certificate that names these be presented by this charge point? An id in a certificate
    /// is understood as one in a URL is.
    pub fn lets_certificate(&self, names: &[String], id: &ChargeBoxId) -> bool {
        let is_id = |name: &String| name == id.as_str() || self.find(name) == Some(id);
        !self.certificate_names_id || names.iter().any(is_id)
    }

    /// What this charge point must present; `None`: nothing.
    pub fn password_of(&self, id: &ChargeBoxId) -> Option<&Password> {
        self.known
            .get(id)
            .and_then(Option::as_ref)
            .or(self.password.as_ref())
    }
}

/// A password. Never shown.
#[derive(Clone)]
pub struct Password {
    written: Vec<u8>,
    is_key: bool,
}

impl Password {
    /// The password as it stands in the configuration.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self {
            written: text.into(),
            is_key: false,
        }
    }

    /// The digits of an `AuthorizationKey` that a backend set: what they stand for is sent first.
    pub fn of_key(digits: impl Into<Vec<u8>>) -> Self {
        Self {
            is_key: true,
            ..Self::new(digits)
        }
    }

    /// Compares in constant time (for one length).
    ///
    /// An `AuthorizationKey` is configured as 32 to 40 hexadecimal digits: then a charge point may
    /// send the bytes they stand for, or the digits in either case (OCPP 1.6 security white paper
    /// §3.2, and the field).
    pub fn accepts(&self, sent: &[u8]) -> bool {
        let mut matches = self.written.ct_eq(sent);
        if let Some(key) = self.decoded() {
            matches |= key.ct_eq(sent);
            matches |= hex(sent).map_or(Choice::from(0), |sent| key.ct_eq(&sent));
        }
        matches.into()
    }

    /// Whether another configuration says the same, compared in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.written.ct_eq(&other.written).into()
    }

    /// The password as it stands in the configuration, to be sent.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.written
    }

    pub(super) const fn is_key(&self) -> bool {
        self.is_key
    }

    /// The bytes that an `AuthorizationKey` of 32 to 40 hexadecimal digits stands for.
    pub(super) fn decoded(&self) -> Option<Vec<u8>> {
        if (32..=40).contains(&self.written.len()) {
            hex(&self.written)
        } else {
            None
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(hex_digit(*high)? << 4 | hex_digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899AABBCCDDEEFF00112233";

    #[test]
    fn a_plain_password_matches_only_itself() {
        let password = Password::new("süß & geheim:1");
        assert!(password.accepts("süß & geheim:1".as_bytes()));
        for wrong in ["", "süß & geheim:", "süß & geheim:1 ", "SÜß & geheim:1"] {
            assert!(!password.accepts(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn an_authorization_key_matches_as_digits_in_either_case_and_as_bytes() {
        let password = Password::new(KEY);
        let bytes = hex(KEY.as_bytes()).unwrap();
        assert_eq!(bytes.len(), 20);
        assert!(password.accepts(KEY.as_bytes()));
        assert!(password.accepts(KEY.to_lowercase().as_bytes()));
        assert!(password.accepts(&bytes));
        assert!(!password.accepts(&bytes[1..]));
        assert!(!password.accepts(&[0; 20]));
    }

    #[test]
    fn only_32_to_40_digits_in_pairs_are_taken_for_bytes() {
        for (digits, taken) in [
            (30, false),
            (32, true),
            (33, false),
            (40, true),
            (42, false),
        ] {
            let sent = vec![0xAB; digits / 2];
            assert_eq!(
                Password::new("AB".repeat(21)[..digits].to_owned()).accepts(&sent),
                taken,
                "{digits}"
            );
        }
        let odd = Password::new("zz112233445566778899aabbccddeeff");
        assert!(!odd.accepts(b"ZZ112233445566778899aabbccddeeff"));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(…)");
    }

    #[test]
    fn an_id_is_found_exactly_then_without_case_but_never_guessed() {
        let directory = Directory {
            known: ["CB-1", "K1", "Box", "BOX", "RDAM 1/ü"]
                .map(|id| (ChargeBoxId::from(id), None))
                .into(),
            ..Directory::default()
        };
        let find = |id| directory.find(id).map(ChargeBoxId::as_str);
        assert_eq!(find("CB-1"), Some("CB-1"));
        assert_eq!(find("cb-1"), Some("CB-1"));
        assert_eq!(find("rdam 1/ü"), Some("RDAM 1/ü"));
        assert_eq!(find("RDAM 1/Ü"), None);
        assert_eq!(find("\u{212A}1"), None, "the Kelvin sign is no K");
        assert_eq!(find("BOX"), Some("BOX"));
        assert_eq!(find("box"), None, "two are alike");
        assert_eq!(find("CB-1 "), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn a_certificate_lets_in_whom_it_names_if_that_is_asked_for() {
        let id = ChargeBoxId::from("CB-1");
        let mut directory = Directory {
            known: ["CB-1", "Box", "BOX"]
                .map(|id| (ChargeBoxId::from(id), None))
                .into(),
            ..Directory::default()
        };
        let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert!(directory.lets_certificate(&[], &id));
        directory.certificate_names_id = true;
        assert!(directory.lets_certificate(&names(&["x", "CB-1"]), &id));
        assert!(directory.lets_certificate(&names(&["cb-1"]), &id));
        assert!(!directory.lets_certificate(&names(&["CB-2", "CB-1 "]), &id));
        assert!(!directory.lets_certificate(&[], &id));
        assert!(!directory.lets_certificate(&names(&["Box"]), &"BOX".into()));
    }

    #[test]
    fn its_own_password_replaces_the_one_of_the_server() {
        let own = ChargeBoxId::from("own");
        let other = ChargeBoxId::from("other");
        let directory = Directory {
            known: [
                (own.clone(), Some(Password::new("a"))),
                (other.clone(), None),
            ]
            .into(),
            password: Some(Password::new("b")),
            ..Directory::default()
        };
        assert!(directory.password_of(&own).unwrap().accepts(b"a"));
        assert!(!directory.password_of(&own).unwrap().accepts(b"b"));
        assert!(directory.password_of(&other).unwrap().accepts(b"b"));
    }
}
