//! Makes certificates and certificate requests, always with a new EC P-256 key.

use std::net::IpAddr;

use jiff::civil::Date;
use rcgen::string::PrintableString;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};

/// Whom a certificate names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN: a host name, or the serial number of a charge point.
    pub common_name: String,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub unit: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C, two letters.
    pub country: Option<String>,
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A host name in ASCII; `*.` may begin it.
    Host(String),
    /// An address.
    Address(IpAddr),
}

impl Name {
    /// Reads an IP address or a host name; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let host = text.strip_prefix("*.").unwrap_or(text);
        let label = |label: &str| {
            let ends = label.starts_with('-') || label.ends_with('-');
            let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !label.is_empty() && label.len() <= 63 && !ends && label.chars().all(known)
        };
        (host.len() <= 253 && host.split('.').all(label)).then(|| Self::Host(text.to_owned()))
    }
}

/// Something new and its private key, both as PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate or the request.
    pub pem: String,
    /// PKCS#8.
    pub key: String,
}

/// Makes a certificate that is signed by itself, for servers and clients, valid on the days from
/// `first` until `last` begins.
///
/// # Errors
/// When the randomness for the key is missing, or a country is not of two plain letters.
pub fn self_signed(
    subject: &Subject,
    names: &[Name],
    [first, last]: [Date; 2],
) -> Result<Issued, rcgen::Error> {
    let mut params = params(subject, names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    [params.not_before, params.not_after] = [first, last].map(|date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        date_time_ymd(date.year().into(), month, day)
    });
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(Issued {
        pem: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a request (PKCS#10) for somebody else to sign.
///
/// # Errors
/// As with [`self_signed`].
pub fn request(subject: &Subject, names: &[Name]) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(Issued {
        pem: params(subject, names)?.serialize_request(&key)?.pem()?,
        key: key.serialize_pem(),
    })
}

fn params(subject: &Subject, names: &[Name]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    // The default has a name of its own.
    params.distinguished_name = DistinguishedName::new();
    let dn = &mut params.distinguished_name;
    if let Some(country) = &subject.country {
        // RFC 5280 appendix A: not UTF-8 like the others.
        let country = PrintableString::try_from(country.as_str())?;
        dn.push(DnType::CountryName, DnValue::PrintableString(country));
    }
    for (kind, value) in [
        (DnType::StateOrProvinceName, &subject.state),
        (DnType::LocalityName, &subject.locality),
        (DnType::OrganizationName, &subject.organization),
        (DnType::OrganizationalUnitName, &subject.unit),
    ] {
        if let Some(value) = value {
            dn.push(kind, value);
        }
    }
    dn.push(DnType::CommonName, &subject.common_name);
    for name in names {
        let name = match name {
            Name::Host(host) => SanType::DnsName(host.as_str().try_into()?),
            Name::Address(address) => SanType::IpAddress(*address),
        };
        if !params.subject_alt_names.contains(&name) {
            params.subject_alt_names.push(name);
        }
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_or_a_host_name_in_ascii() {
        for (text, host) in [
            ("192.168.1.5", false),
            ("fd00::5", false),
            ("garage", true),
            ("pi.fritz.box", true),
            ("*.example.org", true),
            ("xn--bro-pi-o2a", true),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(matches!(name, Name::Host(_)), host, "{text}");
        }
        for text in [
            "", "büro-pi", "a b", "a..b", "-a", "a.*.b", "wss://x", "x:1",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_country_is_printable_or_refused() {
        let subject = |country: &str| Subject {
            common_name: "x".into(),
            country: Some(country.into()),
            ..Subject::default()
        };
        assert!(request(&subject("DE"), &[]).is_ok());
        assert!(request(&subject("Ö1"), &[]).is_err());
    }
}
