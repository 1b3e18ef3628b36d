//! Tests of the store's options.

use super::*;

fn text(text: &str) -> Input {
    Input::Text(text.into())
}

fn read<const N: usize>(entries: [(&str, Input); N]) -> Result<Options, ConfigError> {
    Options::read(Some(&Input::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())))
}

#[test]
fn without_options_everything_has_its_default() {
    let defaults = Options::read(None).unwrap();
    assert_eq!(read([]).as_ref(), Ok(&defaults));
    assert_eq!((defaults.ttl, defaults.max_pending, defaults.connection), (None, 100_000, Connection::Auto));
    assert_eq!(defaults.command_timeout_or(None), Duration::from_secs(10));
    assert_eq!(defaults.connect_timeout_or(None), Duration::from_secs(5));
    assert_eq!(defaults.key_prefix_or("app:"), "app:");
}

#[test]
fn an_option_goes_before_what_the_client_has() {
    let options = read([
        ("ttl", Input::Number(2500.0)),
        ("slidingTtl", Input::Bool(true)),
        ("inProgressTtl", Input::Number(0.5)),
        ("orphanTtl", Input::Number(7.0)),
        ("claim", Input::Function),
        ("keyPrefix", text("")),
        ("hashTags", Input::Bool(true)),
        ("connection", text("client")),
        ("readAhead", Input::Bool(false)),
        ("commandTimeout", Input::Number(1.5)),
        ("connectTimeout", Input::Number(3.0)),
        ("maxPending", Input::Number(1.0)),
        ("warnings", Input::Bool(false)),
    ]);
    let expected = Options {
        ttl: Some(2500),
        sliding_ttl: true,
        in_progress_ttl: Some(1),
        orphan_ttl: Some(7),
        claims: true,
        key_prefix: Some(String::new()),
        read_ahead: false,
        hash_tags: true,
        connection: Connection::Client,
        command_timeout: Some(Duration::from_millis(2)),
        connect_timeout: Some(Duration::from_millis(3)),
        warnings: false,
        max_pending: 1,
    };
    assert_eq!(options.as_ref(), Ok(&expected));
    let of_client = Some(Duration::from_secs(60));
    assert_eq!(expected.command_timeout_or(of_client), Duration::from_millis(2));
    assert_eq!(expected.connect_timeout_or(of_client), Duration::from_millis(3));
    assert_eq!(expected.key_prefix_or("app:"), "");
    assert_eq!(Options::default().command_timeout_or(of_client), Duration::from_secs(60));
}

#[test]
fn a_ttl_is_positive_and_rounded_up_or_nothing() {
    for (ms, expected) in [
        (0.0, None),
        (-0.0, None),
        (f64::MIN_POSITIVE, Some(1)),
        (0.5, Some(1)),
        (2500.0, Some(2500)),
        (2500.1, Some(2501)),
        (MAX_TTL_MS, Some(9_007_199_254_740_991)),
    ] {
        assert_eq!(read([("ttl", Input::Number(ms))]).map(|options| options.ttl), Ok(expected), "{ms}");
    }
    for ms in [-1.0, -0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, MAX_TTL_MS + 1.0, 1e300] {
        let error = read([("ttl", Input::Number(ms))]).unwrap_err();
        assert!(error.range, "{ms}");
    }
    let error = read([("ttl", Input::Number(f64::NAN))]).unwrap_err();
    assert!(error.message.starts_with("`ttl` must be a positive number") && error.message.ends_with("got NaN"));
}

#[test]
fn numbers_out_of_range_are_range_errors() {
    for (key, number) in [
        ("commandTimeout", 0.0),
        ("commandTimeout", -1.0),
        ("commandTimeout", f64::INFINITY),
        ("commandTimeout", 2_147_483_648.0),
        ("connectTimeout", 0.0),
        ("connectTimeout", f64::NAN),
        ("maxPending", 0.0),
        ("maxPending", 1.5),
        ("maxPending", f64::INFINITY),
        ("maxPending", f64::NAN),
        ("maxPending", 4_294_967_296.0),
    ] {
        let error = read([(key, Input::Number(number))]).unwrap_err();
        assert!(error.range && error.message.contains(key), "{key} {number}: {error}");
    }
}

#[test]
fn other_types_are_type_errors() {
    for (key, value) in [
        ("ttl", text("2500")),
        ("ttl", Input::Other("bigint".into())),
        ("slidingTtl", Input::Number(1.0)),
        ("keyPrefix", Input::Other("Buffer".into())),
        ("hashTags", text("true")),
        ("connection", Input::Bool(true)),
        ("connection", text("Native")),
        ("commandTimeout", text("10")),
        ("connectTimeout", Input::Map(vec![])),
        ("maxPending", text("10")),
    ] {
        let error = read([(key, value.clone())]).unwrap_err();
        assert!(!error.range && error.message.contains(key), "{key} {value:?}: {error}");
    }
    for input in [Input::Number(2500.0), text("x"), Input::Function, Input::List(vec![])] {
        let error = Options::read(Some(&input)).unwrap_err();
        assert!(!error.range && error.message.starts_with("The options must be an object"), "{error}");
    }
}

#[test]
fn null_counts_as_absent() {
    assert_eq!(Options::read(Some(&Input::Null)), Ok(Options::default()));
    for key in KEYS.mapped.iter().chain(&["tll"]) {
        assert_eq!(read([(key, Input::Null)]), Ok(Options::default()), "{key}");
    }
}

#[test]
fn unknown_options_are_named() {
    for (key, reason) in [
        ("tll", "`tll` is not a setting of the store's options. Did you mean `ttl`?"),
        ("TTL", "Did you mean `ttl`?"),
        ("slidingTTL", "Did you mean `slidingTtl`?"),
        ("prefix", "Did you mean `keyPrefix`?"),
        ("timeout", "Did you mean `commandTimeout`?"),
        ("retries", "Those that count are: ttl, slidingTtl"),
    ] {
        let error = read([(key, Input::Number(1.0))]).unwrap_err();
        assert!(!error.range && error.message.contains(reason), "{key}: {error}");
    }
}
