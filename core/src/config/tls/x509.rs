//! What is read of an X.509 certificate besides what webpki reads: who may issue with it, for how long, and the common name.
//! <https://www.rfc-editor.org/rfc/rfc5280#section-4.1>

use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Extension, X509Version};

/// A certificate, as far as it is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct X509 {
    /// Whether it names itself as its issuer.
    pub is_self_issued: bool,
    /// Whether it is of version 3, the only one that has extensions.
    pub has_extensions: bool,
    /// What its issuer has signed.
    pub signed: Vec<u8>,
    /// The signature's algorithm, without its tag.
    pub algorithm: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The key and its kind.
    pub public_key: Vec<u8>,
    /// The issuer's name, without its tag.
    pub issuer: Vec<u8>,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// `CA` of the basic constraints, where there are any.
    authority: Option<bool>,
    /// How many intermediate certificates there may be below it.
    pub path_len: Option<u32>,
    key_usage: Option<Usage>,
    /// Whether the extended key usage, where there is any, includes servers.
    for_servers: Option<bool>,
    /// Whether it names hosts in the subjectAltName.
    pub names_hosts: bool,
    /// Whether it constrains the names of what is issued below it.
    pub constrains_names: bool,
    /// Whether something in it must not be ignored and is not known here.
    unknown_critical: bool,
}

/// What its key may be used for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    signs_certificates: bool,
    serves: bool,
}

impl X509 {
    /// Reads a certificate; `None` when it is malformed.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let signed = certificate.tbs_certificate.as_ref().to_vec();
        if certificate.signature_algorithm != certificate.tbs_certificate.signature {
            return None;
        }
        // Behind what is signed, in the one sequence that a certificate is.
        let algorithm = content(content(der)?.get(signed.len()..)?)?.to_vec();
        let (subject, validity) = (certificate.subject(), certificate.validity());
        let common_name = subject.iter_common_name().last().and_then(|name| name.as_str().ok());
        let mut read = X509 {
            is_self_issued: subject.as_raw() == certificate.issuer().as_raw(),
            has_extensions: certificate.version() == X509Version::V3,
            signed,
            algorithm,
            signature: certificate.signature_value.data.to_vec(),
            public_key: certificate.public_key().raw.to_vec(),
            issuer: content(certificate.issuer().as_raw())?.to_vec(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            common_name: common_name.map(str::to_owned),
            authority: None,
            path_len: None,
            key_usage: None,
            for_servers: None,
            names_hosts: false,
            constrains_names: false,
            unknown_critical: false,
        };
        certificate.extensions().iter().try_for_each(|extension| read.note(extension))?;
        Some(read)
    }

    /// Whether OpenSSL takes it for an authority: <https://github.com/openssl/openssl/blob/openssl-3.0/crypto/x509/v3_purp.c>
    /// (`check_ca`).
    pub fn may_issue(&self) -> bool {
        if self.unknown_critical || self.key_usage.is_some_and(|usage| !usage.signs_certificates) {
            return false;
        }
        match self.authority {
            Some(authority) => authority,
            // Version 1 has no way to say it.
            None => self.key_usage.is_some() || (!self.has_extensions && self.is_self_issued),
        }
    }

    /// Whether a server may present it, by its own words.
    pub fn may_serve(&self) -> bool {
        !self.unknown_critical && self.key_usage.is_none_or(|usage| usage.serves) && self.for_servers.unwrap_or(true)
    }

    fn note(&mut self, extension: &X509Extension<'_>) -> Option<()> {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(constraints) => {
                (self.authority, self.path_len) = (Some(constraints.ca), constraints.path_len_constraint);
            }
            ParsedExtension::KeyUsage(usage) => {
                let serves = usage.digital_signature() || usage.key_encipherment() || usage.key_agreement();
                self.key_usage = Some(Usage { signs_certificates: usage.key_cert_sign(), serves });
            }
            ParsedExtension::ExtendedKeyUsage(usage) => self.for_servers = Some(usage.any || usage.server_auth),
            ParsedExtension::SubjectAlternativeName(names) => {
                self.names_hosts = names.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_)));
            }
            ParsedExtension::NameConstraints(_) => self.constrains_names = true,
            ParsedExtension::SubjectKeyIdentifier(_) | ParsedExtension::AuthorityKeyIdentifier(_) => {}
            ParsedExtension::ParseError { .. } => return None,
            _ => self.unknown_critical |= extension.critical,
        }
        Some(())
    }
}

/// What the first value holds.
fn content(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, value)| value.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_none() {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.resize(260, 0x30);
        for cut in 0..=der.len() {
            assert_eq!(X509::read(&der[..cut]), None);
        }
    }
}
