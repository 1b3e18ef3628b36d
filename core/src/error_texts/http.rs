//! Requests to Upstash.

texts! {
    unresponsive(server) => Timeout, "{server} accepted the request but does not answer", "";
    hung_up(server) => Connection,
        "{server} closed the connection without an answer", "is this its TLS port (which needs https://)?";
    lost(server) => Connection, "the connection to {server} was lost", "";
    status(server, status) => Connection, "{server} answered with HTTP status {status}", "";
    not_an_answer(status) => Connection,
        "what was answered, with HTTP status {status}, is no answer of Upstash's REST interface",
        "is the URL right, and does nothing in between answer in its place?";
    answer_too_large(limit) => Reply,
        "the answer is larger than {limit} MiB, the most that is read over HTTP", "connect with a rediss:// URL to read it";
    token_refused(reason) => Reply,
        "Upstash refused the token ({reason})", "is it the REST token of this very database, and still valid?";

    // The proxy.
    proxy_requires_login(proxy) => Connection,
        "the proxy {proxy} requires a login", "put it into the proxy's URL, as in http://user:password@host:port";
    no_tunnel(proxy) => Connection, "the proxy {proxy} did not open a tunnel to Upstash", "";
    proxy_unreadable() => Config,
        "The proxy that the environment names for Upstash (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) cannot be read as a URL such as http://proxy.internal:3128",
        "Correct it, or name Upstash's host in NO_PROXY";
    proxy_of_another_kind() => Config,
        "The proxy that the environment names for Upstash (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) does not begin with http:// or https://, and others cannot be used here",
        "Correct it, or name Upstash's host in NO_PROXY";
}

/// What is said for the server where it refuses a request without a word.
pub const TOO_MANY_REQUESTS: &str = "ERR too many requests";
pub const REQUEST_TOO_LARGE: &str = "ERR the request is too large";
pub const UNAUTHORIZED: &str = "Unauthorized";

/// What is said in place of words that repeat the token.
pub const WORDS_WITH_TOKEN: &str = "the message is left out, because it repeats the token";

/// Advice for a request that is too large for the plan, and for a rate limit.
pub const PLAN_LIMITS_REQUEST: &str = "a request may not be larger than the database's plan allows";
pub const RATE_LIMIT: &str = "the rate limit of the database is reached";
