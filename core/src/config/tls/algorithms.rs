//! The signatures that are verified: ring's, and ECDSA with P-521 and with SHA-512, which ring does not have.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use ring::digest::{SHA256, SHA384, SHA512, digest};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as provider_of_ring};
use tokio_rustls::rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use webpki::ring as of_ring;

/// What verifies signatures, exchanges keys and encrypts.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: ALGORITHMS, ..provider_of_ring::default_provider() }
}

/// As rustls has them with ring, and those that ring does not have.
pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        of_ring::ECDSA_P256_SHA256,
        of_ring::ECDSA_P256_SHA384,
        P256_SHA512,
        of_ring::ECDSA_P384_SHA256,
        of_ring::ECDSA_P384_SHA384,
        P384_SHA512,
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
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[of_ring::ECDSA_P384_SHA384, of_ring::ECDSA_P256_SHA384, P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[of_ring::ECDSA_P256_SHA256, of_ring::ECDSA_P384_SHA256, P521_SHA256],
        ),
        // Behind those that ring verifies faster.
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512, P384_SHA512, P256_SHA512]),
        (SignatureScheme::ED25519, &[of_ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[of_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[of_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[of_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[of_ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[of_ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[of_ring::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

const P256_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P256, hash: Hash::Sha512 };
const P384_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P384, hash: Hash::Sha512 };
const P521_SHA256: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha256 };
const P521_SHA384: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha384 };
const P521_SHA512: &dyn SignatureVerificationAlgorithm = &Ecdsa { curve: Curve::P521, hash: Hash::Sha512 };

/// ECDSA with a curve and a hash that ring does not have together. Nothing secret is computed with.
#[derive(Debug)]
struct Ecdsa {
    curve: Curve,
    hash: Hash,
}

#[derive(Debug)]
enum Curve {
    P256,
    P384,
    P521,
}

#[derive(Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let algorithm = match self.hash {
            Hash::Sha256 => &SHA256,
            Hash::Sha384 => &SHA384,
            Hash::Sha512 => &SHA512,
        };
        let hash = digest(algorithm, message);
        let hash = hash.as_ref();
        macro_rules! verify {
            ($curve:ident, $hash:expr) => {{
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
                let signature = $curve::ecdsa::Signature::from_der(signature);
                let (key, signature) = (key.map_err(|_| InvalidSignature)?, signature.map_err(|_| InvalidSignature)?);
                key.verify_prehash($hash, &signature).map_err(|_| InvalidSignature)
            }};
        }
        match self.curve {
            Curve::P256 => verify!(p256, hash),
            Curve::P384 => verify!(p384, hash),
            Curve::P521 => {
                // The crate refuses a hash of less than half a field: numbers do not change by leading zeros.
                let mut padded = [0; 66];
                padded[66 - hash.len()..].copy_from_slice(hash);
                verify!(p521, &padded)
            }
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.curve {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.hash {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}
