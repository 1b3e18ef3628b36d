//! The signatures that are verified: ring's, and ECDSA with P-521, which ring does not have.

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as provider_of_ring};
use tokio_rustls::rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use webpki::ring as of_ring;

/// What verifies signatures, exchanges keys and encrypts.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: ALGORITHMS, ..provider_of_ring::default_provider() }
}

/// As rustls has them with ring, and P-521.
pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        of_ring::ECDSA_P256_SHA256,
        of_ring::ECDSA_P256_SHA384,
        of_ring::ECDSA_P384_SHA256,
        of_ring::ECDSA_P384_SHA384,
        P521_SHA256,
        P521_SHA384,
        P521_SHA512,
        of_ring::ED25519,
        of_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        of_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        of_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        of_ring::RSA_PKCS1_2048_8192_SHA256,
        of_ring::RSA_PKCS1_2048_8192_SHA384,
        of_ring::RSA_PKCS1_2048_8192_SHA512,
        of_ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        of_ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        of_ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    // In TLS 1.2 the scheme does not say the curve; in TLS 1.3 only the first of each is used.
    mapping: &[
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512]),
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[of_ring::ECDSA_P384_SHA384, of_ring::ECDSA_P256_SHA384, P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[of_ring::ECDSA_P256_SHA256, of_ring::ECDSA_P384_SHA256, P521_SHA256],
        ),
        (SignatureScheme::ED25519, &[of_ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[of_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[of_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[of_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[of_ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[of_ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[of_ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

const P521_SHA256: &dyn SignatureVerificationAlgorithm = &P521 { id: alg_id::ECDSA_SHA256, hash: &SHA256 };
const P521_SHA384: &dyn SignatureVerificationAlgorithm = &P521 { id: alg_id::ECDSA_SHA384, hash: &SHA384 };
const P521_SHA512: &dyn SignatureVerificationAlgorithm = &P521 { id: alg_id::ECDSA_SHA512, hash: &SHA512 };

/// ECDSA with P-521 and a hash. Nothing secret is computed with.
#[derive(Debug)]
struct P521 {
    id: AlgorithmIdentifier,
    hash: &'static Algorithm,
}

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // The crate wants half a field at least, which SHA-256 is short of: numbers do not change by leading zeros.
        let mut prehash = [0; 66];
        let hashed = digest(self.hash, message);
        prehash[66 - hashed.as_ref().len()..].copy_from_slice(hashed.as_ref());
        key.verify_prehash(&prehash, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}
