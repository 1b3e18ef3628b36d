//! Clients that are passed to `createRedisStore`: which cannot be used, and why one has to be called instead of having its
//! settings used.

use std::fmt::Display;

texts! {
    ioredis_ended() => Config,
        "This ioredis instance has ended (quit() or disconnect() was called)", "pass a live one";
    node_redis_closed() => Config,
        "This node-redis client has been closed (close(), destroy() or quit() was called)", "pass a live one";
    glide_closed() => Config, "This valkey-glide client has been closed", "pass a live one";
    takes_callbacks() => Config,
        "What `legacy()` of a node-redis client returns takes callbacks", "pass the client it was made from";
    transaction() => Config,
        "A pipeline or transaction cannot be used as a client: its commands do nothing until exec()",
        "Pass the client it was made from";
    promise() => Config, "A promise was passed in place of a client", "await it first";
    method_missing(method) => Config, "The client lacks the method {method}", "";
    methods_missing(methods) => Config, "The client lacks the methods {methods}", "";
    native_impossible(reason) => Config,
        "`connection: \"native\"` is impossible with this client: {reason}",
        "Use `connection: \"auto\"` to work through the client's own methods";
    reads_from_replicas(setting) => Config,
        "This client reads from replicas ({setting}), which may not have yet what the store has just written: an execution that has begun would pass for one that has not",
        "Pass a client that reads from the primary";
    client_missing() => Config,
        "`connection: \"client\"` needs a client", "with a URL or a configuration there is none to work through";
}

/// A warning: a store reads from replicas because its caller said so.
pub fn replicas_are_read(setting: impl Display) -> String {
    format!(
        "the store reads from replicas ({setting}), which may not have yet what it has just written: a step may be done twice. Pass \
         a client that reads from the primary."
    )
}

// Why a native connection is impossible with a client. What it is set to and cannot be honoured is in `unsupported`.
pub const BEHIND_PROXY: &str = "it is behind a proxy";
pub const SETTINGS_UNKNOWN: &str = "the settings of this client are not known";
pub const GLIDE: &str = "valkey-glide has a native connection of its own";
pub const POOL: &str = "a pool has many connections, and a native store only one";
pub const SENTINEL_CLIENT: &str =
    "a client of createSentinel does not tell its settings; give createRedisStore the same options";
pub const OLD_CLUSTER: &str = "a cluster of this version of node-redis does not tell its settings";
pub const OPTIONS_UNREADABLE: &str = "its options cannot be read";
pub const LOOKUP_REPLACED: &str =
    "its option `dnsLookup` replaces name resolution, which a native connection cannot use";
pub const METHODS_REPLACED: &str = "its methods have been replaced";
pub const PROVIDER_OF_OTHER_TYPE: &str = "`credentialsProvider` is of a type that only node-redis can follow";
pub const OWN_REQUESTER: &str = "it has a requester of its own";
pub const MIDDLEWARE: &str = "its requests pass through middleware";
pub const RETRY_CHANGED: &str = "its option `retry` changes how often requests are sent";
pub const NO_TOKEN: &str = "it has no token";

pub fn method_replaced(name: impl Display) -> String {
    format!("its method `{name}` has been replaced")
}

pub fn option_changes_requests(option: impl Display) -> String {
    format!("its option `{option}` changes how requests are sent")
}

pub fn header_of_its_own(name: impl Display) -> String {
    format!("it sends a header of its own, `{name}`")
}
