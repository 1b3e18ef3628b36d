//! Redis URLs. No sentence shows any part of the URL that could belong to a password.

texts! {
    empty() => Config, "The Redis URL is empty", "is the environment variable it comes from set?";
    of_upstash() => Config,
        "The Redis URL is Upstash's REST URL, which needs a token beside it",
        "pass `{{ url, token }}` in place of the URL";
    unknown_scheme(scheme, accepted) => Config,
        "The Redis URL has the unknown scheme `{scheme}://`", "Accepted are {accepted}";
    at_behind_host(encode) => Config,
        "The Redis URL has an @ after the host, which must be written %40", "{encode}";
    unreadable(error, accepted, encode) => Config,
        "The Redis URL cannot be read ({error}). Accepted are {accepted}",
        "{encode}. IPv6 addresses go in brackets: [::1]";
    has_fragment(encode) => Config, "The Redis URL has a # part, which means nothing here", "{encode}";
    path_has_fragment() => Config, "The Redis URL has a # part, which means nothing here", "In a path, write %23";
    host_not_ascii() => Config,
        "The Redis URL has a host that is not plain ASCII", "write international names in their xn-- form";
    path_without_scheme() => Config, "The Redis URL has a path but no scheme", "write redis://host:port/database";
    socket_path_relative() => Config,
        "The Redis URL of a Unix socket needs an absolute path, as in unix:///path/to.sock", "";
    login_in_socket_path() => Config,
        "The Redis URL has a : and an @ behind the beginning of a socket's path, as if a user and a password were in it: these go in front, unix://user:password@/path/to.sock",
        "A path that has both can be given as `path` in a configuration object";
    malformed(part) => Config,
        "The Redis URL has a {part} that is not correctly percent-encoded", "write % as %25";
    address_in_query(key) => Config, "The Redis URL has a query parameter `{key}`", "write it in the URL itself";
    tls_in_query() => Config,
        "The Redis URL has a query parameter `tls`", "write rediss:// in place of redis:// to ask for TLS";
    parameter_twice(key) => Config, "The Redis URL has the query parameter `{key}` more than once", "";
}

/// What is accepted.
pub const ACCEPTED: &str = "redis://[user[:password]@]host[:port][/database], rediss://… for TLS, valkey://…, unix:///path/to.sock, host:port, \
    a port, or the absolute path of a socket";

/// What to do about characters that have a meaning in a URL.
pub const ENCODE: &str =
    "In a user name or password, percent-encode @ as %40, / as %2F, # as %23, ? as %3F and % as %25";
