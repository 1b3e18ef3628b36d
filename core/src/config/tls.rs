//! Reads TLS settings as Node's `tls.connect` has them, and both clients with it, and makes of them what rustls
//! connects with. What cannot be honoured is named, never dropped.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, Error};

use self::verifier::Verifier;
use super::error::Unsupported;
use super::input::Input;
use super::schema::Keys;
use super::values;
use crate::error_texts::unsupported as texts;

mod algorithms;
mod verifier;
mod version1;
mod x509;

/// How a connection is encrypted, and who the server has to be. Its certificate and its name are always verified.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// Who may have signed the server's certificate.
    pub authorities: Authorities,
    /// Whether an intermediate authority among them is trusted by itself.
    pub partial_chains: bool,
    /// The client certificate, sent if the server asks for one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// The name the server's certificate has to be for, and of SNI; `None` is the host that is connected to.
    pub server_name: Option<String>,
    /// The protocol versions to offer.
    pub versions: Versions,
}

/// The certificate authorities that are trusted.
#[derive(Clone, PartialEq)]
pub enum Authorities {
    /// Mozilla's roots, as Node ships them, and those in a file: what `NODE_EXTRA_CA_CERTS` names.
    Mozilla {
        /// The file, read whenever a connection is made.
        extra: Option<PathBuf>,
    },
    /// These certificates and no others.
    Own(Arc<Vec<CertificateDer<'static>>>),
}

impl Default for Authorities {
    fn default() -> Self {
        Authorities::Mozilla { extra: None }
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Authorities::Mozilla { extra } => f.debug_struct("Mozilla").field("extra", extra).finish(),
            Authorities::Own(certificates) => f.debug_tuple("Own").field(&certificates.len()).finish(),
        }
    }
}

/// A client certificate, the chain below its authority, and its key.
#[derive(PartialEq)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Which versions of the protocol are offered. rustls has none before 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    #[default]
    Both,
    /// TLS 1.2 alone.
    Only12,
    /// TLS 1.3 alone.
    Only13,
}

impl Tls {
    /// What rustls connects with. `extra` is what was found in the file besides Mozilla's roots.
    ///
    /// # Errors
    /// When the client certificate and its key do not fit each other.
    pub fn client_config(&self, extra: &[CertificateDer<'static>]) -> Result<ClientConfig, Error> {
        let versions: &[_] = match self.versions {
            Versions::Both => &[&TLS13, &TLS12],
            Versions::Only12 => &[&TLS12],
            Versions::Only13 => &[&TLS13],
        };
        let config = ClientConfig::builder_with_provider(Arc::new(algorithms::provider()))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.verifier(extra)));
        match &self.client_certificate {
            Some(client_certificate) => {
                config.with_client_auth_cert(client_certificate.chain.clone(), client_certificate.key.clone_key())
            }
            None => Ok(config.with_no_client_auth()),
        }
    }

    fn verifier(&self, extra: &[CertificateDer<'static>]) -> Verifier {
        let (given, mozilla) = match &self.authorities {
            Authorities::Mozilla { .. } => (extra, true),
            Authorities::Own(certificates) => (certificates.as_slice(), false),
        };
        Verifier::new(given, mozilla, self.partial_chains)
    }
}

/// Settings that are read.
const MAPPED: &[&str] =
    &["allowPartialTrustChain", "ca", "cert", "key", "maxVersion", "minVersion", "rejectUnauthorized", "servername"];

/// Settings that only a server has, and those that change nothing about who is trusted.
const IGNORED: &[&str] = &[
    "ALPNCallback",
    "SNICallback",
    "dhparam",
    "enableTrace",
    "handshakeTimeout",
    "honorCipherOrder",
    "minDHSize",
    "requestCert",
    "requestOCSP",
    "session",
    "sessionIdContext",
    "sessionTimeout",
    "ticketKeys",
];

const REFUSED: &[(&str, &str)] = &[
    ("ALPNProtocols", texts::ALPN),
    ("checkServerIdentity", texts::REPLACES_VERIFICATION),
    ("ciphers", texts::OPENSSL),
    ("clientCertEngine", texts::ENGINE),
    ("crl", texts::REVOCATION_LIST),
    ("ecdhCurve", texts::OPENSSL),
    ("passphrase", texts::PASSPHRASE),
    ("pfx", texts::PKCS12),
    ("privateKeyEngine", texts::ENGINE),
    ("privateKeyIdentifier", texts::ENGINE),
    ("pskCallback", texts::PRE_SHARED_KEYS),
    ("secureContext", texts::SECURE_CONTEXT),
    ("secureOptions", texts::OPENSSL),
    ("secureProtocol", texts::OPENSSL),
    ("sigalgs", texts::OPENSSL),
    ("socket", texts::SOCKET),
];

/// What ioredis lets a `tls` object change besides.
const REFUSED_BY_IOREDIS: &[(&str, &str)] = &[
    ("host", texts::PLACE),
    ("port", texts::PLACE),
    ("path", texts::PLACE),
    ("family", texts::PLACE),
    ("profile", texts::PROFILE),
    ("lookup", texts::REPLACES_RESOLUTION),
    ("localAddress", texts::LOCAL_ADDRESS),
    ("localPort", texts::LOCAL_PORT),
];

const fn keys(prefix: &'static str) -> Keys {
    Keys {
        kind: "TLS",
        prefix,
        mapped: MAPPED,
        ignored: IGNORED,
        refused: REFUSED,
        aliases: &[("serverName", "servername"), ("sni", "servername"), ("caCert", "ca"), ("certificate", "cert")],
    }
}

/// The settings in ioredis's `tls`.
pub(super) const OF_IOREDIS: Keys = keys("tls.");

/// The settings in ioredis's `sentinelTLS`.
pub(super) const OF_SENTINELS: Keys = keys("sentinelTLS.");

/// The settings in node-redis's `socket`.
pub(super) const OF_NODE_REDIS: Keys = keys("socket.");

/// Why a setting cannot be honoured by any native connection, if so.
pub(super) fn refusal(keys: &Keys, key: &str, value: &Input) -> Option<Unsupported> {
    let of_ioredis = || REFUSED_BY_IOREDIS.iter().find(|(name, _)| *name == key && values::truthy(value));
    let reason = match (key, value) {
        ("rejectUnauthorized", Input::Bool(false)) => texts::UNVERIFIED,
        _ => match keys.refusal(key, value) {
            Some(reason) => reason,
            None if keys.prefix != OF_NODE_REDIS.prefix => of_ioredis()?.1,
            None => return None,
        },
    };
    Some(unsupported(keys, key, reason))
}

/// Reads the settings; those that TLS does not have are left alone.
///
/// # Errors
/// At the first that cannot be honoured, or makes no sense.
pub(super) fn read(keys: &Keys, map: &[(String, Input)]) -> Result<Tls, Unsupported> {
    if let Some(refusal) = map.iter().find_map(|(key, value)| refusal(keys, key, value)) {
        return Err(refusal);
    }
    // As in Node, what is falsy counts as absent.
    let find =
        |key: &str| map.iter().find(|(name, value)| name == key && values::truthy(value)).map(|(_, value)| value);
    let wrong = |key: &str, reason: String| unsupported(keys, key, &reason);
    let mut tls = Tls { partial_chains: find("allowPartialTrustChain").is_some(), ..Tls::default() };
    if let Some(value) = find("servername") {
        tls.server_name = match value {
            Input::Text(name) => Some(name.clone()),
            other => return Err(wrong("servername", texts::must_be_text(values::describe(other)))),
        };
    }
    if let Some(value) = find("ca") {
        let certificates = certificates(value).map_err(|reason| wrong("ca", reason))?;
        tls.authorities = Authorities::Own(Arc::new(certificates));
        if !tls.verifier(&[]).trusts_anybody() {
            return Err(wrong("ca", texts::NO_AUTHORITY.into()));
        }
    }
    tls.client_certificate = match (find("cert"), find("key")) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert).map_err(|reason| wrong("cert", reason))?;
            let key = private_key(key).map_err(|reason| wrong("key", reason))?;
            Some(Arc::new(ClientCertificate { chain, key }))
        }
        (None, None) => None,
        (Some(_), None) => return Err(wrong("cert", texts::KEY_MISSING.into())),
        (None, Some(_)) => return Err(wrong("key", texts::CERTIFICATE_MISSING.into())),
    };
    if tls.client_certificate.is_some() {
        let fits = tls.client_config(&[]);
        fits.map_err(|error| wrong("key", texts::key_does_not_fit(error)))?;
    }
    tls.versions = versions(keys, find("minVersion"), find("maxVersion"))?;
    Ok(tls)
}

fn unsupported(keys: &Keys, key: &str, reason: &str) -> Unsupported {
    Unsupported::new(format!("{}{key}", keys.prefix), reason)
}

/// What rustls calls the oldest and the newest version that are allowed.
fn versions(keys: &Keys, oldest: Option<&Input>, newest: Option<&Input>) -> Result<Versions, Unsupported> {
    let minor = |key: &str, value: Option<&Input>, default: u8| match value {
        None => Ok(default),
        Some(Input::Text(text)) if text == "TLSv1.3" => Ok(3),
        Some(Input::Text(text)) if text == "TLSv1.2" => Ok(2),
        // As the oldest, they allow what we have.
        Some(Input::Text(text)) if key == "minVersion" && (text == "TLSv1.1" || text == "TLSv1") => Ok(2),
        Some(other) => {
            let shown = values::describe(other);
            Err(unsupported(keys, key, &texts::must_be_version(shown)))
        }
    };
    match (minor("minVersion", oldest, 2)?, minor("maxVersion", newest, 3)?) {
        (2, 3) => Ok(Versions::Both),
        (2, _) => Ok(Versions::Only12),
        (_, 3) => Ok(Versions::Only13),
        _ => Err(unsupported(keys, "minVersion", texts::NEWER_THAN_MAX)),
    }
}

/// The certificates in a PEM text or several.
fn certificates(value: &Input) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut all = Vec::new();
    for pem in pems(value)? {
        let found: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| malformed(pem))?;
        if found.is_empty() {
            return Err(malformed(pem));
        }
        all.extend(found);
    }
    Ok(all)
}

/// The one private key in a PEM text.
fn private_key(value: &Input) -> Result<PrivateKeyDer<'static>, String> {
    let pems = pems(value)?;
    let [pem] = pems[..] else { return Err(texts::ONE_KEY.into()) };
    if pem.windows(9).any(|word| word == b"ENCRYPTED") {
        return Err(texts::ENCRYPTED_KEY.into());
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| malformed(pem))
}

fn pems(value: &Input) -> Result<Vec<&[u8]>, String> {
    match value {
        Input::Text(text) => Ok(vec![text.as_bytes()]),
        Input::Bytes(bytes) => Ok(vec![bytes]),
        Input::List(items) if !items.is_empty() => {
            let nested = |item: &Input| matches!(item, Input::List(_));
            let each = items.iter().map(|item| if nested(item) { Err(values::kind(item)) } else { pems(item) });
            Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
        }
        other => Err(texts::must_be_pem(values::kind(other))),
    }
}

fn malformed(pem: &[u8]) -> String {
    let has = |word: &[u8]| pem.windows(word.len()).any(|part| part == word);
    match has(b"-----BEGIN ") {
        false => texts::NOT_PEM,
        true if has(b"\\n") => texts::ESCAPED_LINES,
        true => texts::OTHER_PEM,
    }
    .into()
}

#[cfg(test)]
mod tests;
