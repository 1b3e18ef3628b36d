//! Why a native connection cannot honour a setting: the end of a sentence that begins with the setting, as in "`natMap`
//! translates addresses, which a native connection does not do".

use std::fmt::Display;

// Addresses and sockets.
pub const TRANSLATES_ADDRESSES: &str = "translates addresses, which a native connection does not do";
pub const REPLACES_RESOLUTION: &str = "replaces name resolution, which a native connection cannot use";
pub const LOOKS_UP_SERVICES: &str = "finds the nodes by SRV records, which a native connection does not do";
pub const LOCAL_ADDRESS: &str = "chooses a local address, which a native connection does not do";
pub const LOCAL_PORT: &str = "chooses a local port, which a native connection does not do";
pub const OPEN_FILE: &str = "is an open file, which a native connection cannot use";
pub const NULL_PORT: &str = "is null, with which ioredis cannot connect";
pub const REPLACES_CONNECTIONS: &str = "replaces how connections are made, which a native connection cannot use";
pub const DECIDES_RECONNECTING: &str = "decides when to reconnect, which a native connection decides itself";

// Who answers.
pub const MONITOR: &str = "turns the connection into a monitor, which cannot write";
pub const READ_ONLY: &str = "asks for a read-only connection, and the store has to write: leave it out";

// Who logs in.
pub const CREDENTIALS_PROVIDER: &str =
    "is called for live clients only: give `username` and `password`, or pass the node-redis client";
pub const PROVIDER_OF_CLUSTER: &str = "is called by the client alone";

// What belongs in another place.
pub const STARTUP_NODES: &str = "would be the servers of a cluster: pass them as an array in place of the object, or `new Cluster(nodes)` of ioredis";
pub const CLUSTER_OPTION: &str =
    "is an option of ioredis's Cluster: pass an array of nodes, or `new Cluster(nodes, { redisOptions })`";
pub const UPSTASH_REQUESTS: &str = "changes the requests of @upstash/redis: pass the client that is made with it";

// TLS.
pub const TLS_OF_IOREDIS: &str = "must be an object with the settings of TLS, `true` or `false`";
pub const TLS_OF_NODE_REDIS: &str = "must be true or false: the settings of TLS stand beside it in `socket`";
pub const UNVERIFIED: &str = "is false, which leaves the server's certificate unverified, and a native connection always \
    verifies it: give its authority in `ca`";
pub const REPLACES_VERIFICATION: &str =
    "replaces the verification of the server's name, which a native connection always does";
pub const ALPN: &str = "chooses a protocol by ALPN, which a native connection does not do";
pub const PKCS12: &str = "is a PKCS #12 file, which a native connection cannot read: give `cert` and `key` in PEM";
pub const ENGINE: &str = "asks for an OpenSSL engine, which a native connection does not have";
pub const OPENSSL: &str = "is for OpenSSL, which a native connection does not use";
pub const REVOCATION_LIST: &str = "is a revocation list, which a native connection does not check";
pub const PASSPHRASE: &str = "is for an encrypted key, which a native connection cannot read: give the key unencrypted";
pub const PRE_SHARED_KEYS: &str = "asks for pre-shared keys, which a native connection does not have";
pub const SECURE_CONTEXT: &str =
    "is a context of OpenSSL, which a native connection cannot use: give `ca`, `cert` and `key`";
pub const SOCKET: &str = "is a socket, which a native connection cannot use";
pub const PLACE: &str = "changes where to connect: give it beside `tls`";
pub const PROFILE: &str = "names certificates that only ioredis knows: give them in `ca`";
pub const NO_AUTHORITY: &str = "has no certificate that could be an authority: an intermediate one needs the root above it \
    beside it, or `allowPartialTrustChain: true`";
pub const KEY_MISSING: &str = "needs its private key in `key`";
pub const CERTIFICATE_MISSING: &str = "needs its certificate in `cert`";
pub const NEWER_THAN_MAX: &str = "is newer than `maxVersion`";
pub const ONE_KEY: &str = "must be one private key";
pub const ENCRYPTED_KEY: &str = "is encrypted, which a native connection cannot read: give the key unencrypted";
pub const NOT_PEM: &str = "is not PEM text: give the content of the file, not its path";
pub const ESCAPED_LINES: &str = "has its line breaks written as \\n: turn them into real ones";
pub const OTHER_PEM: &str = "holds no PEM of the kind that belongs there, or a damaged one";

pub fn must_be_text(shown: impl Display) -> String {
    format!("must be a string, got {shown}")
}

pub fn must_be_version(shown: impl Display) -> String {
    format!("must be \"TLSv1.2\" or \"TLSv1.3\", got {shown}")
}

pub fn must_be_pem(shown: impl Display) -> String {
    format!("must be PEM text, as a string or Buffer, or an array of these, got {shown}")
}

pub fn key_does_not_fit(error: impl Display) -> String {
    format!("cannot be used with the certificate in `cert`: {error}")
}

pub fn sentinels_unusable(error: impl Display) -> String {
    format!("cannot be used: {error}")
}
