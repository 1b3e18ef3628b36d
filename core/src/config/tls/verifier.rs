//! Who is trusted, as OpenSSL has it in Node's default settings: rustls verifies, and what it does otherwise is made the
//! same here. An authority that was given has to be one, has to be valid today, and has issued itself; a certificate that was
//! given and has issued itself may be the server's own; a common name counts where no host is named.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::algorithms::ALGORITHMS;
use super::version1;
use super::x509::X509;

/// Verifies servers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    /// Mozilla's, and those of the given certificates that are authorities.
    roots: RootCertStore,
    /// The authorities that were given.
    authorities: Vec<Authority>,
    /// Given certificates that are not trusted by themselves, and complete the chains of servers.
    intermediates: Vec<CertificateDer<'static>>,
    /// Given certificates that a server may present itself.
    own: Vec<CertificateDer<'static>>,
}

/// An authority that was given: what webpki leaves out of its checks.
#[derive(Debug)]
struct Authority {
    anchor: TrustAnchor<'static>,
    not_before: i64,
    not_after: i64,
    path_len: Option<u32>,
    constrains_names: bool,
}

impl Verifier {
    /// Trusts the certificates that were given, and `mozilla`'s authorities. With `partial`, as OpenSSL calls it, an intermediate
    /// authority is trusted by itself.
    pub fn new(given: &[CertificateDer<'static>], mozilla: bool, partial: bool) -> Self {
        let mut roots = RootCertStore::empty();
        if mozilla {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let mut verifier = Self { roots, authorities: Vec::new(), intermediates: Vec::new(), own: Vec::new() };
        for certificate in given {
            // What cannot be read is skipped, as by OpenSSL.
            let Some(read) = X509::read(certificate) else { continue };
            if !read.is_self_issued && !partial {
                verifier.intermediates.push(certificate.clone());
                continue;
            }
            verifier.own.push(certificate.clone());
            if read.may_issue()
                && let Ok(anchor) = anchor_from_trusted_cert(certificate)
            {
                let anchor = anchor.to_owned();
                verifier.roots.roots.push(anchor.clone());
                let X509 { not_before, not_after, path_len, constrains_names, .. } = read;
                verifier.authorities.push(Authority { anchor, not_before, not_after, path_len, constrains_names });
            }
        }
        verifier
    }

    /// Whether anything could be trusted.
    pub fn trusts_anybody(&self) -> bool {
        !(self.roots.is_empty() && self.own.is_empty())
    }

    fn verify_chain(
        &self,
        certificate: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let intermediates: Vec<_> = sent.iter().chain(&self.intermediates).cloned().collect();
        let end_entity = match EndEntityCert::try_from(certificate) {
            Ok(end_entity) => end_entity,
            Err(webpki::Error::UnsupportedCertVersion) => {
                return self.verify_version1(certificate, &intermediates, now);
            }
            Err(error) => return Err(other(error)),
        };
        let authority_allows = |path: &VerifiedPath<'_>| self.check_authority(path, now);
        let verified = end_entity.verify_for_usage(
            ALGORITHMS.all,
            &self.roots.roots,
            &intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&authority_allows),
        );
        match verified {
            Ok(_) => Ok(()),
            Err(webpki::Error::CertExpired { .. }) => Err(CertificateError::Expired.into()),
            Err(webpki::Error::CertNotValidYet { .. }) => Err(CertificateError::NotValidYet.into()),
            // rustls has better words for the others, and the same opinion of all that do not come from here.
            Err(error) => {
                let parsed = ParsedCertificate::try_from(certificate)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, &intermediates, now, ALGORITHMS.all)?;
                Err(other(error))
            }
        }
    }

    /// A certificate of version 1, which an authority that was given has to have issued itself.
    fn verify_version1(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let read = read_version1(certificate).ok_or(CertificateError::BadEncoding)?;
        check_dates(&read, now)?;
        if !read.may_serve() {
            return Err(CertificateError::InvalidPurpose.into());
        }
        let mut refusal = match intermediates {
            [] => CertificateError::UnknownIssuer.into(),
            // One of them may have issued it.
            _ => other(webpki::Error::UnsupportedCertVersion),
        };
        for authority in self.authorities.iter().filter(|authority| !authority.constrains_names) {
            match version1::verify_issuer(&read, &authority.anchor) {
                Ok(()) if check_validity(authority.not_before, authority.not_after, now).is_ok() => return Ok(()),
                Ok(()) => refusal = CertificateError::Expired.into(),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// What webpki does not check of the authority at the end of a chain.
    fn check_authority(&self, path: &VerifiedPath<'_>, now: UnixTime) -> Result<(), webpki::Error> {
        let same = |authority: &&Authority| authority.anchor == *path.anchor();
        // Mozilla's are looked after by Mozilla.
        let Some(authority) = self.authorities.iter().find(same) else { return Ok(()) };
        check_validity(authority.not_before, authority.not_after, now)?;
        let below = path.intermediate_certificates().count();
        match authority.path_len {
            Some(limit) if below > limit as usize => Err(webpki::Error::PathLenConstraintViolated),
            _ => Ok(()),
        }
    }

    /// A certificate that was given, presented by the server itself: it is trusted, and has to be valid and for servers.
    fn verify_own(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
        let read = X509::read(certificate).ok_or(CertificateError::BadEncoding)?;
        check_dates(&read, now)?;
        if read.may_serve() { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
    }

    /// As Node: a common name counts where a certificate names no host, for hosts alone. <https://nodejs.org/api/tls.html>
    /// (`checkServerIdentity`)
    fn verify_name(
        &self,
        certificate: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), Error> {
        let read = X509::read(certificate).ok_or(CertificateError::BadEncoding)?;
        let refusal = if read.has_extensions {
            let parsed = ParsedCertificate::try_from(certificate)?;
            match verify_server_name(&parsed, name) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            }
        } else {
            CertificateError::NotValidForName.into()
        };
        let (ServerName::DnsName(host), Some(common_name), false) = (name, &read.common_name, read.names_hosts) else {
            return Err(refusal);
        };
        // Constraints are checked for the names that certificates have, and a common name is none.
        let constrains =
            |certificate: &CertificateDer<'_>| X509::read(certificate).is_none_or(|it| it.constrains_names);
        let constrained = sent.iter().chain(&self.intermediates).any(constrains)
            || self.authorities.iter().any(|authority| authority.constrains_names);
        if !constrained && is_for(common_name, host.as_ref()) { Ok(()) } else { Err(refusal) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.own.contains(certificate) {
            Self::verify_own(certificate, now)?;
        } else {
            self.verify_chain(certificate, sent, now)?;
        }
        self.verify_name(certificate, sent, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match read_version1(certificate) {
            Some(read) => version1::verify_handshake(ProtocolVersion::TLSv1_2, message, &read, signed),
            None => verify_tls12_signature(message, certificate, signed, &ALGORITHMS),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match read_version1(certificate) {
            Some(read) => version1::verify_handshake(ProtocolVersion::TLSv1_3, message, &read, signed),
            None => verify_tls13_signature(message, certificate, signed, &ALGORITHMS),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

/// A certificate, if it has no extensions.
fn read_version1(certificate: &CertificateDer<'_>) -> Option<X509> {
    X509::read(certificate).filter(|read| !read.has_extensions)
}

fn check_validity(not_before: i64, not_after: i64, now: UnixTime) -> Result<(), webpki::Error> {
    let time = |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.max(0) as u64));
    let (not_before, not_after) = (time(not_before), time(not_after));
    if now < not_before {
        return Err(webpki::Error::CertNotValidYet { time: now, not_before });
    }
    if now > not_after {
        return Err(webpki::Error::CertExpired { time: now, not_after });
    }
    Ok(())
}

/// Whether a certificate is valid today.
fn check_dates(certificate: &X509, now: UnixTime) -> Result<(), Error> {
    match check_validity(certificate.not_before, certificate.not_after, now) {
        Ok(()) => Ok(()),
        Err(webpki::Error::CertExpired { .. }) => Err(CertificateError::Expired.into()),
        Err(_) => Err(CertificateError::NotValidYet.into()),
    }
}

fn other(error: webpki::Error) -> Error {
    let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
    CertificateError::Other(tokio_rustls::rustls::OtherError(error)).into()
}

/// Whether a common name is that of a host; `*` may stand for its first part.
fn is_for(common_name: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = common_name.strip_suffix('.').unwrap_or(common_name);
    match (name.strip_prefix("*."), host.split_once('.')) {
        // Not for what is directly below a top-level domain.
        (Some(rest), Some((_, parent))) => rest.contains('.') && rest.eq_ignore_ascii_case(parent),
        (Some(_), None) => false,
        (None, _) => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_is_for_the_host_that_it_spells() {
        for (name, host, expected) in [
            ("localhost", "localhost", true),
            ("LOCALHOST", "localhost", true),
            ("redis.test", "redis.test.", true),
            ("redis.test", "other.test", false),
            ("*.redis.test", "a.redis.test", true),
            ("*.redis.test", "a.b.redis.test", false),
            ("*.redis.test", "redis.test", false),
            ("*.test", "redis.test", false),
            ("*", "localhost", false),
            ("a*.redis.test", "ab.redis.test", false),
            ("", "localhost", false),
        ] {
            assert_eq!(is_for(name, host), expected, "{name} {host}");
        }
    }
}
