//! TLS over a dialled stream: the handshake, and what its failures are called. There is no way back to plaintext.

use std::io;
use std::io::IoSlice;
use std::net::IpAddr;
#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, SignatureScheme};

use super::resolve::off_thread;
use super::stream::AsyncStream;
use crate::config::Address;
use crate::config::tls::{Authorities, Tls};
use crate::error_texts::{Text, append, connections as texts};
use crate::transport::error::{ConnectError, display_address};

/// An encrypted stream.
pub struct Encrypted<S> {
    stream: TlsStream<S>,
    alert: TlsAlert,
}

/// Why TLS failed behind the handshake, if it did: with TLS 1.3, the server checks the client certificate only then.
#[derive(Clone, Default)]
pub struct TlsAlert(Arc<OnceLock<Error>>);

impl TlsAlert {
    /// The error it is.
    pub fn connect_error(&self, address: &Address) -> Option<ConnectError> {
        // Whatever ends a connection that stands is about the client certificate.
        self.0.get().map(|error| refused(error, address, None, true))
    }
}

/// Encrypts a stream. The caller sets the time limit.
pub async fn encrypt<S>(stream: S, tls: &Tls, address: &Address) -> Result<Encrypted<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    encrypt_for(&[], stream, tls, address).await
}

/// Encrypts a stream that is to carry one of these protocols, the most wanted first. The caller sets the time limit.
pub async fn encrypt_for<S>(
    protocols: &[&[u8]],
    stream: S,
    tls: &Tls,
    address: &Address,
) -> Result<Encrypted<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = server_name(tls, address)?;
    let extra = match &tls.authorities {
        Authorities::Mozilla { extra: Some(file) } => read_file(file.clone()).await,
        _ => Ok(Vec::new()),
    };
    // As in Node, a file that cannot be read is as good as none; it is named when that is why a server is not trusted.
    let unread = extra.as_ref().err().cloned();
    let config = tls.client_config(extra.as_deref().unwrap_or_default());
    let mut config = config.map_err(|error| refused(&error, address, unread.as_deref(), false))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let client_certificate =
        Arc::new(ClientCertificate { given: config.client_auth_cert_resolver, asked: AtomicBool::new(false) });
    config.client_auth_cert_resolver = client_certificate.clone();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| match of_rustls(&error) {
        Some(why) => refused(why, address, unread.as_deref(), client_certificate.asked.load(Ordering::Relaxed)),
        None => broken(&error, address),
    })?;
    Ok(Encrypted { stream, alert: TlsAlert::default() })
}

impl<S> Encrypted<S> {
    /// A handle on what the other side may object to.
    pub fn alert(&self) -> TlsAlert {
        self.alert.clone()
    }

    /// The protocol that the server chose of those offered.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    fn note<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &result
            && let Some(error) = of_rustls(error)
        {
            // The first is the cause of the others.
            let _ = self.alert.0.set(error.clone());
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Encrypted<S> {
    /// A server sends an alert with the reason before it closes the connection, and that may not have been read yet.
    fn note_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(result, Poll::Ready(Err(_))) {
            let mut buffer = [0; 16];
            let alert = Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut buffer));
            let _ = self.note(alert);
        }
        self.note(result)
    }
}

impl<S: AsyncStream> AsyncStream for Encrypted<S> {
    #[cfg(target_os = "linux")]
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.stream.get_ref().0.socket()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.note_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The client certificate, and whether the server has asked for one: until TLS 1.3 nothing else tells why a server ends the
/// handshake.
#[derive(Debug)]
struct ClientCertificate {
    given: Arc<dyn ResolvesClientCert>,
    asked: AtomicBool,
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.given.resolve(authorities, schemes)
    }

    fn has_certs(&self) -> bool {
        self.given.has_certs()
    }
}

/// The server accepted the connection and does not answer in the handshake.
pub fn handshake_timeout(address: &Address) -> ConnectError {
    ConnectError::Transient(texts::tls_unresponsive(display_address(address)).error())
}

fn of_rustls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The name that the server's certificate has to be for: that of the settings, else the host, else Node's default.
fn server_name(tls: &Tls, address: &Address) -> Result<ServerName<'static>, ConnectError> {
    let name = match (&tls.server_name, address) {
        (Some(name), _) => name,
        // A certificate does not name the interface that a link-local address is reached through.
        (None, Address::Tcp(host, _)) => host.split_once('%').map_or(host.as_str(), |(host, _)| host),
        (None, Address::Unix(_)) => "localhost",
    };
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(ip.into());
    }
    ServerName::try_from(name.to_owned())
        .map_err(|_| ConnectError::Fatal(texts::server_name_impossible(format_args!("{name:?}")).error()))
}

/// The certificates in a file, or why there are none.
async fn read_file(file: PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = |file: &Path| CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, PemError>>();
    // A file may take its time, and the I/O thread has others to serve.
    let path = file.clone();
    let outcome = off_thread(move || read(&path)).await;
    let why = match outcome {
        Ok(Ok(certificates)) => return Ok(certificates),
        Ok(Err(PemError::Io(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(texts::extra_certificates_left_out(file.display(), why))
}

/// One side does not accept the other, which no further attempt would change. `asked`: whether the server has asked for a client
/// certificate.
fn refused(error: &Error, address: &Address, unread: Option<&str>, asked: bool) -> ConnectError {
    let server = display_address(address);
    let text = match error {
        Error::InvalidCertificate(why) => certificate(why, &server),
        Error::InvalidMessage(_) => texts::tls_not_spoken(server),
        Error::AlertReceived(AlertDescription::HandshakeFailure) if !asked => texts::tls_nothing_in_common(server),
        Error::AlertReceived(alert) => alerted(*alert, &server),
        Error::PeerIncompatible(_) => texts::tls_nothing_in_common(server),
        _ => texts::tls_failed(server),
    };
    let mut refusal = text.caused_by(error.to_string());
    refusal.beyond_native = is_beyond_native(error, asked);
    if let (Error::InvalidCertificate(CertificateError::UnknownIssuer), Some(unread)) = (error, unread) {
        append(&mut refusal.message, unread);
    }
    ConnectError::Fatal(refusal)
}

fn certificate(why: &CertificateError, server: &str) -> Text {
    match why {
        CertificateError::UnknownIssuer => texts::certificate_not_trusted(server),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            texts::certificate_of_another_name(server)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => texts::certificate_expired(server),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            texts::certificate_not_yet_valid(server)
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            texts::certificate_not_for_servers(server)
        }
        CertificateError::Other(error) => match error.0.downcast_ref() {
            Some(webpki::Error::UnsupportedCertVersion) => texts::certificate_of_old_version(server),
            Some(webpki::Error::CaUsedAsEndEntity) => texts::certificate_of_authority(server),
            _ => texts::certificate_refused(server),
        },
        // ring has no smaller keys of RSA, which it says in no other way.
        CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            texts::certificate_beyond_native(server)
        }
        _ => texts::certificate_refused(server),
    }
}

/// Whether OpenSSL may do what failed here. About names, times and unknown issuers both are of one mind.
fn is_beyond_native(error: &Error, asked: bool) -> bool {
    match error {
        Error::PeerIncompatible(_) => true,
        Error::AlertReceived(AlertDescription::HandshakeFailure) => !asked,
        Error::InvalidCertificate(why) => {
            matches!(
                why,
                CertificateError::BadSignature
                    | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                    | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                    | CertificateError::Other(_)
            ) || has_partial_wildcard(why)
        }
        _ => false,
    }
}

/// Whether a name of the certificate has a wildcard beside other letters, which Node takes.
fn has_partial_wildcard(why: &CertificateError) -> bool {
    let CertificateError::NotValidForNameContext { presented, .. } = why else { return false };
    presented.iter().any(|name| name.contains('*') && !name.contains("\"*."))
}

fn alerted(alert: AlertDescription, server: &str) -> Text {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => {
            texts::tls_handshake_ended(server)
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => texts::client_certificate_refused(server),
        AlertDescription::ProtocolVersion => texts::tls_version_refused(server),
        AlertDescription::UnrecognisedName => texts::server_name_refused(server),
        _ => texts::tls_ended(server),
    }
}

/// The connection ended in the middle of the handshake.
fn broken(error: &io::Error, address: &Address) -> ConnectError {
    ConnectError::Transient(texts::tls_closed(display_address(address)).caused_by(error.to_string()))
}
