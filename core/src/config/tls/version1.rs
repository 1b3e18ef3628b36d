//! Certificates of version 1 of X.509, as `openssl x509 -req` makes them without extensions, which webpki does not read. One is
//! taken, as by OpenSSL, where an authority that was given has issued it itself; it can only be a server's, and has no name but
//! the common one.

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::verify_tls13_signature_with_raw_key;
use tokio_rustls::rustls::pki_types::{SubjectPublicKeyInfoDer, TrustAnchor};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, ProtocolVersion};
use webpki::{RawPublicKeyEntity, spki_for_anchor};

use super::algorithms::ALGORITHMS;
use super::x509::X509;

/// Verifies that the authority has issued the certificate.
///
/// # Errors
/// When another one has, or its signature is wrong or of a kind that is not verified.
pub(super) fn verify_issuer(certificate: &X509, authority: &TrustAnchor<'_>) -> Result<(), Error> {
    if certificate.issuer != authority.subject.as_ref() {
        return Err(CertificateError::UnknownIssuer.into());
    }
    let key = spki_for_anchor(authority);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    let of_kind =
        ALGORITHMS.all.iter().filter(|algorithm| algorithm.signature_alg_id().as_ref() == certificate.algorithm);
    let verifies = |algorithm| key.verify_signature(algorithm, &certificate.signed, &certificate.signature).is_ok();
    if of_kind.copied().any(verifies) { Ok(()) } else { Err(CertificateError::BadSignature.into()) }
}

/// Verifies that whoever shook hands has the certificate's key.
///
/// # Errors
/// When that is not so.
pub(super) fn verify_handshake(
    version: ProtocolVersion,
    message: &[u8],
    certificate: &X509,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(certificate.public_key.as_slice());
    if version == ProtocolVersion::TLSv1_3 {
        return verify_tls13_signature_with_raw_key(message, &key, signed, &ALGORITHMS);
    }
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
    let of_scheme = ALGORITHMS.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
    let (_, algorithms) = of_scheme.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let verifies = |algorithm| key.verify_signature(algorithm, message, signed.signature()).is_ok();
    if algorithms.iter().copied().any(verifies) {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}
