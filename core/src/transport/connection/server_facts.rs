//! What a server tells of itself, asked once on an idle moment: its version, and what of its settings loses executions.

use redis::{Pipeline, Value};

use crate::config::Address;
use crate::error_texts::connections as texts;
use crate::transport::error::display_address;
use crate::transport::warning::Warning;

/// The oldest version that is tested.
const OLDEST: (u32, u32) = (6, 0);

/// What has been told so far. What a server does not tell, or forbids to ask, is not known.
#[derive(Debug, Default)]
pub struct ServerFacts {
    answers: Vec<String>,
}

impl ServerFacts {
    /// The questions, each with one reply. The last one is forbidden by services that keep data in a way of their own.
    pub fn questions() -> Pipeline {
        let mut pipeline = Pipeline::new();
        for section in ["server", "memory", "persistence"] {
            pipeline.cmd("INFO").arg(section);
        }
        pipeline.cmd("CONFIG").arg("GET").arg("save");
        pipeline
    }

    /// The reply to the next question; true when it was the last one.
    pub fn add(&mut self, reply: &Value) -> bool {
        self.answers.push(match reply {
            Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
            // Name and value.
            Value::Array(pair) => match &pair[..] {
                [_, Value::BulkString(value)] => format!("save:{}", String::from_utf8_lossy(value)),
                _ => String::new(),
            },
            _ => String::new(),
        });
        self.answers.len() == 4
    }

    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.answers.iter().flat_map(|answer| answer.lines());
        lines.filter_map(|line| line.split_once(':')).find(|(field, _)| *field == name).map(|(_, value)| value.trim())
    }

    /// The server's version as a person says it.
    pub fn version(&self) -> Option<String> {
        let other = self.field("valkey_version").map(|version| format!("Valkey {version}"));
        other.or_else(|| self.field("redis_version").map(|version| format!("Redis {version}")))
    }

    /// What is likely wrong. `expires` is whether keys are written that expire.
    pub fn warnings(&self, server: &Address, expires: bool) -> Vec<Warning> {
        let name = display_address(server);
        let mut warnings = Vec::new();
        let mut warn = |code, message| warnings.push(Warning::new(code, server, message));
        let limit = self.field("maxmemory").filter(|limit| *limit != "0");
        let policy = self.field("maxmemory_policy").unwrap_or_default();
        if limit.is_some() && (policy.starts_with("allkeys-") || expires && policy.starts_with("volatile-")) {
            warn("IDIOTEQUE_REDIS_EVICTION", texts::may_evict(&name, policy));
        }
        if self.field("aof_enabled") == Some("0") && self.field("save") == Some("") {
            warn("IDIOTEQUE_REDIS_PERSISTENCE", texts::keeps_nothing(&name));
        }
        let version = self.field("redis_version").unwrap_or_default();
        let mut numbers = version.split('.').map(str::parse);
        if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
            && (major, minor) < OLDEST
        {
            warn("IDIOTEQUE_REDIS_VERSION", texts::old_version(&name, version));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(answers: [&str; 3], save: Option<&str>, expires: bool) -> Vec<&'static str> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let mut facts = ServerFacts::default();
        for answer in answers {
            assert!(!facts.add(&text(answer)));
        }
        let last = save.map_or(Value::Nil, |save| Value::Array(vec![text("save"), text(save)]));
        assert!(facts.add(&last));
        facts.warnings(&Address::Tcp("x".into(), 1), expires).iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn only_what_loses_executions_is_warned_about() {
        let good = ["redis_version:6.0.16\r\n", "maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", "aof_enabled:1\r\n"];
        assert_eq!(codes(good, Some(""), true), <[&str; 0]>::default());
        let limited = |policy: &'static str| [good[0], policy, good[2]];
        let eviction = ["IDIOTEQUE_REDIS_EVICTION"];
        assert_eq!(codes(limited("maxmemory:9\r\nmaxmemory_policy:allkeys-lru\r\n"), None, false), eviction);
        let volatile = limited("maxmemory:9\r\nmaxmemory_policy:volatile-lru\r\n");
        assert_eq!(codes(volatile, None, true), eviction);
        assert_eq!(codes(volatile, None, false), <[&str; 0]>::default());
        assert_eq!(
            codes(limited("maxmemory:9\r\nmaxmemory_policy:noeviction\r\n"), None, true),
            <[&str; 0]>::default()
        );
        let unsaved = [good[0], good[1], "aof_enabled:0\r\n"];
        assert_eq!(codes(unsaved, Some(""), true), ["IDIOTEQUE_REDIS_PERSISTENCE"]);
        for save in [Some("3600 1"), None] {
            assert_eq!(codes(unsaved, save, true), <[&str; 0]>::default());
        }
        assert_eq!(codes(["redis_version:5.0.14\r\n", "", ""], None, true), ["IDIOTEQUE_REDIS_VERSION"]);
        assert_eq!(codes(["", "", ""], None, true), <[&str; 0]>::default());
    }
}
