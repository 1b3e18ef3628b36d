//! Tests of the TLS settings of configuration objects.

use super::*;

fn text(text: &str) -> Input {
    Input::Text(text.into())
}

fn map<const N: usize>(entries: [(&str, Input); N]) -> Vec<(String, Input)> {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

#[test]
fn the_default_is_mozillas_roots_and_the_hosts_name() {
    let falsy =
        [("ca", Input::Null), ("servername", text("")), ("passphrase", text("")), ("session", Input::Bool(true))];
    for entries in [map([]), map(falsy), map([("rejectUnauthorized", Input::Bool(true))])] {
        let tls = read(&OF_IOREDIS, &entries).unwrap();
        assert_eq!(tls, Tls::default(), "{entries:?}");
        assert!(tls.client_config(&[]).is_ok());
    }
}

#[test]
fn versions_are_those_that_both_sides_have() {
    for (oldest, newest, expected) in [
        (Input::Null, Input::Null, Versions::Both),
        (text("TLSv1"), text("TLSv1.3"), Versions::Both),
        (text("TLSv1.3"), Input::Null, Versions::Only13),
        (Input::Null, text("TLSv1.2"), Versions::Only12),
    ] {
        let tls = read(&OF_IOREDIS, &map([("minVersion", oldest), ("maxVersion", newest)])).unwrap();
        assert_eq!(tls.versions, expected);
    }
}

#[test]
fn what_cannot_be_honoured_is_named() {
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (entry, expected) in [
        (("rejectUnauthorized", Input::Bool(false)), "`tls.rejectUnauthorized` is false"),
        (("checkServerIdentity", Input::Function), "`tls.checkServerIdentity` replaces the verification"),
        (("secureContext", Input::Other("an instance of SecureContext".into())), "`tls.secureContext` is a context"),
        (("pfx", Input::Bytes(vec![1])), "`tls.pfx` is a PKCS #12 file"),
        (("passphrase", text("hunter2")), "`tls.passphrase` is for an encrypted key"),
        (("host", text("elsewhere")), "`tls.host` changes where to connect"),
        (("profile", text("RedisCloudFixed")), "`tls.profile` names certificates"),
        (("servername", Input::Number(1.0)), "`tls.servername` must be a string"),
        (("minVersion", text("TLSv2")), "`tls.minVersion` must be"),
        (("maxVersion", text("TLSv1.1")), "`tls.maxVersion` must be"),
        (("ca", text("/etc/ca.pem")), "`tls.ca` is not PEM text: give the content of the file"),
        (("ca", text("-----BEGIN CERTIFICATE-----\\nAAAA")), "`tls.ca` has its line breaks written as \\n"),
        (("ca", text("-----BEGIN CERTIFICATE-----\nAAAA")), "`tls.ca` holds no PEM"),
        (("ca", text(bad)), "`tls.ca` has no certificate that could be an authority"),
        (("ca", Input::List(vec![])), "`tls.ca` must be PEM text"),
        (("ca", Input::Bool(true)), "got a boolean"),
        (("cert", text(bad)), "`tls.cert` needs its private key"),
        (("key", text("hunter2")), "`tls.key` needs its certificate"),
    ] {
        let error = read(&OF_IOREDIS, &map([entry])).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let encrypted = text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let error = read(&OF_NODE_REDIS, &map([("cert", text(bad)), ("key", encrypted)])).unwrap_err().to_string();
    assert!(error.starts_with("`socket.key` is encrypted"), "{error}");
    let both = [("minVersion", text("TLSv1.3")), ("maxVersion", text("TLSv1.2"))];
    assert!(read(&OF_IOREDIS, &map(both)).unwrap_err().to_string().contains("newer than `maxVersion`"));
}

#[test]
fn a_key_is_never_shown() {
    let key = PrivateKeyDer::Pkcs8(b"hunter2".to_vec().into());
    let tls = Tls { client_certificate: Some(Arc::new(ClientCertificate { chain: vec![], key })), ..Tls::default() };
    assert!(format!("{tls:?}").contains("client_certificate: Some([hidden])"), "{tls:?}");
}
