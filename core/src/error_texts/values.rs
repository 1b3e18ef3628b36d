//! The arguments of `createRedisStore`: options, configuration objects and their values, and the environment. URLs are in
//! [`super::urls`]. `{key}` is the name of a key, with the keys above it; `{shown}` what was given, or only its type where
//! that may be a secret.

texts! {
    // The first argument as a whole.
    not_accepted(shown) => Config,
        "Pass a Redis URL, a configuration object such as {{ host, port }}, a client of ioredis, node-redis, Upstash or valkey-glide, or anything with the methods get, set, del, expire, hget, hset, hdel and hgetall; got {shown}",
        "";
    undefined_passed() => Config,
        "`undefined` was passed where a Redis URL, a configuration object or a client has to be",
        "is the environment variable that it comes from set? To use REDIS_URL or the variables of Upstash or Vercel KV, call createRedisStoreFromEnv(options)";
    no_server() => Config,
        "The configuration does not say where to connect", "give `host`, `port`, `path`, `db`, `url` or `socket`";
    two_styles(key, other, instead) => Config,
        "`{key}` belongs to an ioredis-style configuration and `{other}` to a node-redis-style one, which has `{instead}`",
        "use one style";
    given_twice(key, location) => Config, "`{key}` is given twice, with different values: {location}", "Give it once";
    unknown_key(key, kind, known) => Config, "`{key}` is not a setting of {kind}", "Those that count are: {known}";
    misspelt_key(key, kind, known) => Config, "`{key}` is not a setting of {kind}", "Did you mean `{known}`?";
    cannot_be_honoured(setting, reason) => Config,
        "`{setting}` {reason}",
        "Pass a client of ioredis or node-redis that is made with it instead (for a cluster, `new Cluster(nodes)`; for Sentinel, `new Redis({{ sentinels, name }})`): its own methods are used for what a native connection cannot do";
    wrong_setting(setting, reason) => Config, "`{setting}` {reason}", "";

    // Values of every kind.
    must_be_text(key, shown) => Config, "`{key}` must be a string, got {shown}", "";
    must_be_object(key, shown) => Config, "`{key}` must be an object, got {shown}", "";
    must_be_array(key, shown) => Config, "`{key}` must be an array, got {shown}", "";
    must_be_boolean(key, shown) => Config, "`{key}` must be true or false, got {shown}", "";
    must_be_number(key, of_what, shown) => Config, "`{key}` must be a number {of_what}, got {shown}", "";
    must_be_integer(key, min, max, shown) => Config, "`{key}` must be an integer from {min} to {max}, got {shown}", "";
    must_be_time(key, max, shown) => Config,
        "`{key}` must be a positive number of milliseconds, at most {max}, got {shown}", "";
    must_be_client_name(key) => Config,
        "`{key}` must consist of printable ASCII characters without spaces, as Redis requires of client names", "";
    must_be_family(key, shown) => Config, "`{key}` must be 4, 6, or 0 for either IP version, got {shown}", "";
    host_empty(key) => Config, "`{key}` is empty", "is the environment variable it comes from set?";
    host_is_url(key) => Config,
        "`{key}` must be a host name or IP address only", "pass a URL in place of the whole configuration";
    host_has_spaces(key) => Config, "`{key}` must not contain spaces, line breaks or control characters", "";
    host_has_port(key) => Config, "`{key}` must not contain a port", "give the port in `port`";
    path_empty(key) => Config, "`{key}` is empty", "it must be the path of a Unix domain socket";
    must_be_master() => Config, "`role` must be \"master\"", "the store has to write";

    // The options.
    options_must_be_object(shown) => Config, "The options must be an object, got {shown}", "";
    must_be_ttl(key, max, shown) => Config,
        "`{key}` must be a positive number of milliseconds, at most {max}, or 0 for no expiry, got {shown}", "";
    must_be_function(key, shown) => Config, "`{key}` must be a function, got {shown}", "";
    must_be_connection(key, shown) => Config, "`{key}` must be \"auto\", \"native\" or \"client\", got {shown}", "";

    beyond_client(option) => Config,
        "`{option}` needs a connection of the store's own, and the client's own methods would carry the calls",
        "pass a URL or a configuration, or leave the option out";

    // TLS.
    tls_not_asked_for(key) => Config,
        "`socket.{key}` is a setting for TLS, which is off without `socket.tls`",
        "Set that to true, or to false if the connection is to be in plaintext";
    tls_contradicts_url() => Config, "`socket.tls` is false, and the scheme of `url` asks for TLS", "";

    // Sentinel.
    name_missing(key) => Config,
        "`name` is missing beside `{key}`", "it says what the sentinels call the primary, such as \"mymaster\"";
    tls_needs_switch() => Config,
        "`tls` counts beside `sentinels` only with `enableTLSForSentinelMode: true`, without which ioredis connects to the primary in plaintext",
        "set that, or leave `tls` out";
    switch_needs_tls() => Config,
        "`enableTLSForSentinelMode` asks for TLS to the primary, whose settings have to be in `tls`",
        "give them, if only as `tls: {{}}`";

    // Lists of servers.
    list_empty(key) => Config, "`{key}` is empty", "name at least one server";
    must_be_server(key, shown) => Config, "`{key}` must be an object such as {{ host, port }}, got {shown}", "";
    must_be_node(key, shown) => Config,
        "`{key}` must be a URL, a port or an object such as {{ host, port }}, got {shown}", "";
    not_a_setting_of_a_server(key) => Config,
        "`{key}` is not a setting of one server here", "Those that count are: host, port";
    node_has_database(key) => Config, "`{key}` names a database, and a cluster has only 0", "";
    cluster_has_one_database() => Config, "`database` must be 0", "a cluster has no other";
    nodes_differ_in_tls(key) => Config,
        "`{key}` has nodes with different settings of TLS, and all nodes of a cluster need the same",
        "give them once for all";

    // Upstash. `{location}` is a key or a variable.
    upstash_incomplete(key) => Config,
        "`{key}` is missing: Upstash's HTTP interface needs `url` and `token`",
        "Are the environment variables they come from set?";
    upstash_empty(location) => Config, "{location} is empty", "is the environment variable it comes from set?";
    token_malformed(location) => Config, "{location} must consist of printable ASCII characters without spaces", "";
    url_not_https(location) => Config,
        "{location} must begin with https:// where a token is given: it is Upstash's REST URL",
        "A redis:// or rediss:// URL is passed by itself, without a token";
    url_unreadable(location) => Config, "{location} cannot be read as a URL", "";
    url_has_login(location) => Config, "{location} must not have a user name or password", "give the token in `token`";
    url_has_query(location) => Config, "{location} must not have a ? or # part", "";
    url_has_no_host(location) => Config, "{location} has no host", "";

    // The environment.
    environment_empty() => Config,
        "Nothing was passed, and the environment variable REDIS_URL is not set, nor are UPSTASH_REDIS_REST_URL and \
         UPSTASH_REDIS_REST_TOKEN, or KV_REST_API_URL and KV_REST_API_TOKEN",
        "pass a Redis URL, a configuration object or a client, or set REDIS_URL or one of the pairs";
    environment_incomplete(url, token, present, missing) => Config,
        "Nothing was passed, and of the environment variables {url} and {token} only {present} is set",
        "set {missing} too";
    environment_wrong(name, problem) => Config,
        "The environment variable {name}, used because nothing was passed: {problem}", "";
}

/// A warning: an expiry that is too short to be meant.
pub fn ttl_in_seconds(ttl: u64) -> String {
    format!(
        "`ttl` is {ttl}: are these seconds? It is in milliseconds, so that what a workflow has stored expires {} seconds after it was \
         written. Give `ttl: {ttl} * 1000`, or `warnings: false` if it is meant.",
        ttl as f64 / 1000.0
    )
}

/// Where a URL or token comes from, at the beginning of a sentence.
pub fn variable(name: &str) -> String {
    format!("The environment variable {name}, used because nothing was passed,")
}
