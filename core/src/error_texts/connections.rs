//! Connections: addresses, TLS, Sentinel and clusters. What the server refuses is in [`super::replies`].

use std::fmt::Display;

texts! {
    // Addresses.
    connecting(server) => Connection, "no connection to {server} yet", "";
    refused(server) => Connection, "ECONNREFUSED {server}", "is Redis running?";
    timed_out(server) => Connection, "ETIMEDOUT {server}", "is the address right, and does a firewall block the connection?";
    host_unreachable(server) => Connection, "EHOSTUNREACH {server}", "there is no route to it";
    network_unreachable(server) => Connection, "ENETUNREACH {server}", "there is no route to it";
    not_permitted(server) => Connection, "EACCES {server}", "this process may not open it";
    not_found(server) => Connection, "ENOENT {server}", "there is no such socket, or the host name has no such address";
    host_not_found(server) => Connection,
        "ENOTFOUND {server}", "is the host name right, and does it resolve on this machine (see `cause`)?";
    cannot_connect(server) => Connection, "cannot connect to {server}", "";
    unresponsive(server) => Timeout,
        "{server} accepted the connection but does not answer", "is the server stopped or overloaded?";
    hung_up(server) => Connection,
        "{server} closed the connection without an answer",
        "is this its TLS port (which needs `rediss://` or `tls`), or does something in front of it turn connections away?";
    hangs_up_at(server, command) => Connection,
        "{server} closes every connection at {command}, which the settings require", "is it a proxy that does not support it?";
    lost() => Connection, "the connection to Redis was lost", "";

    // Settings that a live client is asked for.
    client_does_not_answer() => Connection,
        "the client the store was made from did not answer when it was asked for its settings", "";
    client_settings_unusable(reason) => Config, "The client's settings cannot be used: {reason}", "";
    client_cannot_say() => Connection,
        "the node-redis client the store was made from cannot say which database it has selected and what it logs in with (see `cause`)",
        "";
    database_unknown() => Config,
        "The database that the node-redis client has selected is unknown, because its user may not run CLIENT INFO",
        "Allow it (`ACL SETUSER … +client|info`), or use `connection: \"client\"`";

    // TLS.
    tls_unresponsive(server) => Timeout,
        "{server} accepted the connection but does not answer in TLS",
        "is this its plaintext port, or is it stopped or overloaded?";
    tls_closed(server) => Connection,
        "{server} closed the connection in the TLS handshake", "is this its plaintext port, or is it restarting?";
    tls_not_spoken(server) => Connection,
        "{server} does not speak TLS", "is this its plaintext port? A connection in plaintext has to be configured as one";
    tls_nothing_in_common(server) => Connection,
        "{server} has no cipher suite, key exchange or kind of key that a native connection has",
        "let it offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20, and have a key of RSA, P-256, P-384, P-521 or Ed25519; or pass a client of ioredis or node-redis, whose own methods are used then";
    tls_version_refused(server) => Connection,
        "{server} accepts no version of TLS that is supported here", "it has to offer TLS 1.2 or 1.3";
    tls_failed(server) => Connection, "the TLS connection to {server} failed (see `cause`)", "";
    tls_ended(server) => Connection, "{server} ended the TLS connection with an alert (see `cause`)", "";
    tls_handshake_ended(server) => Connection,
        "{server} ended the TLS handshake after it had asked for a client certificate", "give it one in `cert` and `key`";
    client_certificate_refused(server) => Connection,
        "{server} does not accept the client certificate in `cert` (see `cause`)", "";
    server_name_refused(server) => Connection,
        "{server} does not know the name in the TLS handshake (SNI)", "give the right one in `servername`";
    server_name_impossible(name) => Connection,
        "{name} is no name that a certificate can be for", "give the right one in `servername`";
    certificate_not_trusted(server) => Connection,
        "the certificate of {server} is not from an authority that is trusted",
        "give the authority's certificate in `ca`, or the file it is in to Node in NODE_EXTRA_CA_CERTS";
    certificate_of_another_name(server) => Connection,
        "the certificate of {server} is for another name (see `cause`)",
        "connect by a name in its subjectAltName, or give that in `servername`";
    certificate_expired(server) => Connection,
        "the certificate of {server} has expired", "renew it, or set this machine's clock";
    certificate_not_yet_valid(server) => Connection,
        "the certificate of {server} is not valid yet", "is this machine's clock right?";
    certificate_beyond_native(server) => Connection,
        "the certificate of {server}, or one above it, has a key or a signature that a native connection cannot verify (see `cause`)",
        "use RSA with 2048 bits or more, P-256, P-384, P-521 or Ed25519, with SHA-256 to SHA-512; or pass a client of ioredis or node-redis, whose own methods are used then";
    certificate_of_old_version(server) => Connection,
        "the certificate of {server} is of version 1 of X.509, which a native connection verifies only where an authority in `ca` has issued it itself",
        "issue it with extensions, such as a subjectAltName; or pass a client of ioredis or node-redis, whose own methods are used then";
    certificate_of_authority(server) => Connection,
        "the certificate of {server} is that of an authority itself",
        "if it is self-signed, give that certificate in `ca`; else issue one that is no authority's";
    certificate_not_for_servers(server) => Connection,
        "the certificate of {server} is not meant for servers", "its extended key usage, if it has one, has to include serverAuth";
    certificate_refused(server) => Connection, "the certificate of {server} cannot be accepted (see `cause`)", "";

    // Sentinel.
    no_primary_known(count, master, reason) => Connection,
        "none of the {count} sentinels could say where the primary \"{master}\" is; the last one: {reason}", "";
    no_such_primary(master) => Connection, "it knows no primary of the name \"{master}\"", "is `name` right?";
    primary_changed() => Connection, "the primary has changed, and the new one could not be reached in time", "";

    // Clusters.
    another_server(server) => Connection,
        "another server answers at {server}, and not the cluster's node that the cluster's map names there: nothing was sent to it",
        "";
    another_cluster() => Connection, "the only servers that answer are those of another cluster", "";
    sent_on(times, reply, detail) => Reply,
        "the cluster's nodes sent the call on to {times} new addresses, and then with {reply} {detail} to another one",
        "do they announce where they are, and agree on who has the slot (redis-cli --cluster check)?";
    no_slots() => Connection, "the cluster has no slots yet", "has it been created (redis-cli --cluster create)?";
}

/// Why none of the sentinels said anything.
pub const SENTINELS_DO_NOT_ANSWER: &str = "they do not answer";

/// The cause where the other end closed the connection.
pub const CLOSED_BY_SERVER: &str = "the connection was closed by the server";

/// The causes where the server broke the protocol.
pub const UNSOLICITED_REPLY: &str = "the server sent a reply that belongs to no command";
pub const REPLY_TOO_LARGE: &str = "the server sent a reply of more than 512 MB or 16 million values";
pub const NOT_REDIS: &str = "what the server sent is not the Redis protocol (RESP2): is it a Redis server?";
pub const NOT_PLAINTEXT: &str = "what the server sent is TLS: is this its TLS port (which needs `rediss://` or `tls`)?";
pub const REPLY_OF_ANOTHER_KIND: &str = "the server sent a reply of another kind than the command brings";

/// The causes where an address cannot be connected to at all.
pub const NO_UNIX_SOCKETS: &str = "there are no Unix sockets on this platform";
pub const TOO_MANY_LOOKUPS: &str = "too many host names are being looked up already";
pub const LOOKUP_ENDED: &str = "the look-up of the host name ended without an answer";
pub const NO_ADDRESS_OF_FAMILY: &str = "the host name has no address of the IP version in `family`";

/// Why the settings of a live client cannot be read.
pub const ENVIRONMENT_UNREADABLE: &str = "the environment cannot be read";

/// Why something that would block the I/O thread, such as reading a file of certificates, came to nothing.
pub const THREAD_ENDED: &str = "the thread ended before it was done";

/// A warning: a file of certificates is not used.
pub fn extra_certificates_left_out(file: impl Display, reason: impl Display) -> String {
    format!("NODE_EXTRA_CA_CERTS names {file}, which is left out: {reason}")
}

/// A warning: a password is given and not asked for.
pub fn password_not_needed(server: impl Display) -> String {
    format!(
        "a password is given for {server}, but the server requires none: anybody who can reach it can use it. Set a password \
         on the server (`requirepass`, or an ACL user), or remove it from the configuration."
    )
}

/// A warning: the store is made from a live client, whose settings a native connection cannot honour, as turned out.
pub fn carried_by_client(reason: impl Display) -> String {
    format!(
        "a native connection is impossible: {reason}. The methods of the client that was passed carry the calls, which is slower. \
         With `connection: \"client\"` that is so from the start."
    )
}

/// A store was closed, and what may still be on its way could not be fenced off.
pub fn closed_unfenced(server: impl Display) -> String {
    format!(
        "the store was closed while a call to {server} had no answer, and the server could not be reached within \
         commandTimeout to end its connection: a write that was given up may still be applied when the network delivers it."
    )
}

/// A warning: executions may be evicted.
pub fn may_evict(server: impl Display, policy: impl Display) -> String {
    format!(
        "{server} has a memory limit and evicts keys when it is reached (maxmemory-policy {policy}), also those of executions in \
         progress, whose tasks would run again. Set maxmemory-policy to noeviction, or use a server of its own for executions"
    )
}

/// A warning: a restart loses everything.
pub fn keeps_nothing(server: impl Display) -> String {
    format!(
        "{server} keeps nothing on disk: a restart loses all executions. Turn on the append-only file (appendonly yes), or \
         snapshots (save)"
    )
}

/// A warning: a server that nobody has tried.
pub fn old_version(server: impl Display, version: impl Display) -> String {
    format!("{server} is Redis {version}, which is older than what is tested. Use Redis 6.2 or later, or Valkey")
}

/// A warning: a write and its expiry are not one step.
pub fn expiry_apart(server: impl Display) -> String {
    format!(
        "{server} has no transactions (MULTI), so that a write and its expiry are two commands: what is written when the connection \
         or the server ends between them has no TTL until the execution's next write. Connect to a server with transactions, or \
         without the proxy in front of it."
    )
}
