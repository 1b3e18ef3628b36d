//! Which keys a configuration object may have, and the errors for those that it may not.

use super::error::ConfigError;
use super::input::Input;
use super::values::truthy;
use crate::error_texts::unsupported::READ_ONLY;
use crate::error_texts::values as texts;

/// The keys of one kind of object. A key whose value is `null` counts as absent.
pub(super) struct Keys {
    /// The kind of object, for messages, with its article.
    pub kind: &'static str,
    /// Put before the key in messages, as in `socket.`.
    pub prefix: &'static str,
    /// Keys that are read.
    pub mapped: &'static [&'static str],
    /// Keys that change neither where data goes nor what is stored.
    pub ignored: &'static [&'static str],
    /// Keys that no native connection can honour, unless their value is falsy, and why.
    pub refused: &'static [(&'static str, &'static str)],
    /// What else people call them.
    pub aliases: &'static [(&'static str, &'static str)],
}

impl Keys {
    /// Whether objects of this kind may have the key.
    pub fn has(&self, key: &str) -> bool {
        self.mapped.contains(&key) || self.ignored.contains(&key) || self.refused.iter().any(|(name, _)| *name == key)
    }

    /// Why the value of this key cannot be honoured, if so.
    pub fn refusal(&self, key: &str, value: &Input) -> Option<&'static str> {
        let (_, reason) = self.refused.iter().find(|(name, _)| *name == key)?;
        truthy(value).then_some(*reason)
    }

    /// Fails at a key that cannot be honoured.
    pub fn refuse(&self, map: &[(String, Input)]) -> Result<(), ConfigError> {
        match map.iter().find_map(|(key, value)| Some((key, self.refusal(key, value)?))) {
            // A client that is made with it would not do either.
            Some((key, READ_ONLY)) => Err(ConfigError::wrong_type(texts::wrong_setting(key, READ_ONLY))),
            Some((key, reason)) => {
                let setting = format!("{}{key}", self.prefix);
                Err(ConfigError::wrong_type(texts::cannot_be_honoured(setting, reason)))
            }
            None => Ok(()),
        }
    }

    /// Fails at a key that objects of this kind do not have, so that a misspelt one never goes unnoticed.
    pub fn check(&self, map: &[(String, Input)]) -> Result<(), ConfigError> {
        match map.iter().find(|(key, value)| *value != Input::Null && !self.has(key)) {
            Some((key, _)) => Err(self.unknown(key)),
            None => Ok(()),
        }
    }

    /// The error for a key that objects of this kind do not have.
    pub fn unknown(&self, key: &str) -> ConfigError {
        let Keys { kind, prefix, .. } = self;
        let shown: String = key.chars().take(60).collect();
        let shown = format!("{prefix}{shown}");
        ConfigError::wrong_type(match self.suggestion(key) {
            Some(known) => texts::misspelt_key(shown, kind, known),
            None => texts::unknown_key(shown, kind, self.mapped.join(", ")),
        })
    }

    /// The key that was probably meant.
    pub fn suggestion(&self, key: &str) -> Option<String> {
        let lower = key.to_lowercase();
        if let Some((_, meant)) = self.aliases.iter().find(|(alias, _)| alias.to_lowercase() == lower) {
            return Some((*meant).to_owned());
        }
        let names = self.mapped.iter().chain(self.ignored).chain(self.refused.iter().map(|(name, _)| name));
        names
            .map(|name| (distance(&lower, &name.to_lowercase()), *name))
            // Two slips in a word of three letters make any other word.
            .filter(|(distance, name)| *distance <= if name.len() <= 3 { 1 } else { 2 })
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, name)| format!("{}{name}", self.prefix))
    }
}

/// How many letters have to be added, dropped, changed or swapped with their neighbour to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(60).collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys {
        kind: "a test",
        prefix: "socket.",
        mapped: &["host", "port", "db", "keyPrefix"],
        ignored: &["noDelay"],
        refused: &[("tls", "is refused")],
        aliases: &[("server", "socket.host")],
    };

    #[test]
    fn near_misses_are_recognised() {
        for (key, meant) in [
            ("hots", Some("socket.host")),
            ("Host", Some("socket.host")),
            ("keyprefix", Some("socket.keyPrefix")),
            ("prots", Some("socket.port")),
            ("nodelay", Some("socket.noDelay")),
            ("tsl", Some("socket.tls")),
            ("SERVER", Some("socket.host")),
            ("xyz", None),
            ("constructor", None),
            ("", None),
        ] {
            assert_eq!(KEYS.suggestion(key).as_deref(), meant, "{key}");
        }
    }

    #[test]
    fn distances_count_a_swap_once() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("host", "hots", 1),
            ("port", "prot", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn null_is_absent_and_falsy_is_not_refused() {
        let map = |key: &str, value| vec![(key.to_owned(), value)];
        assert!(KEYS.check(&map("anything", Input::Null)).is_ok());
        assert!(KEYS.refuse(&map("tls", Input::Bool(false))).is_ok());
        let refused = KEYS.refuse(&map("tls", Input::Map(vec![]))).unwrap_err();
        assert!(refused.message.starts_with("`socket.tls` is refused. Pass a client"), "{refused}");
        let unknown = KEYS.check(&map("x", Input::Bool(true))).unwrap_err();
        assert_eq!(
            unknown.message,
            "`socket.x` is not a setting of a test. Those that count are: host, port, db, keyPrefix"
        );
    }
}
