//! How long what a store writes lives, beyond the expiry of whole keys: the mark of a task in progress that expires by itself (its
//! lease), what is written although its execution is gone (an orphan), and the renewal of all that by `touch`.

use super::call::{Call, KeyOptions, word_of};
use super::command_writer::{CommandWriter, Decimal};
use super::keys::Role;
use super::operation::Operation;
use super::server_features::ServerFeatures;

/// Lets the hashes of an execution that is gone expire, unless they do so earlier. A transaction cannot decide that on what is read
/// in it: <https://redis.io/docs/latest/commands/eval/>.
const GUARD: &str = "\
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end \
local shortened = 0 \
for i = 2, 3 do \
local left = redis.call('PTTL', KEYS[i]) \
if left == -1 or left > tonumber(ARGV[1]) then shortened = shortened + redis.call('PEXPIRE', KEYS[i], ARGV[1]) end \
end \
return shortened";

impl Call {
    /// Whether it may leave something behind of an execution that is gone, which is then to expire.
    pub fn is_guarded(&self) -> bool {
        let may_leave = match self.operation {
            // A claim leaves nothing.
            Operation::BeginTask => !self.key_options.claims,
            Operation::CommitResult => true,
            Operation::Touch => self.key_options.ttl.is_some(),
            _ => false,
        };
        may_leave && self.only.is_none() && self.key_options.orphan_ttl.is_some()
    }

    /// Whether it makes what it finds under the id of its execution part of that.
    pub(super) fn restores(&self) -> bool {
        self.operation == Operation::BeginExecution && self.only.is_none() && self.key_options.orphan_ttl.is_some()
    }

    /// How long an orphan lives.
    pub(super) fn orphan_ttl(&self) -> Option<u64> {
        let KeyOptions { orphan_ttl, ttl, .. } = *self.key_options;
        orphan_ttl.map(|orphan_ttl| orphan_ttl.min(ttl.unwrap_or(u64::MAX)))
    }

    /// Lets what was just written expire, if its execution is gone.
    pub(super) fn push_guard(&self, out: &mut impl CommandWriter) -> usize {
        let Some(orphan_ttl) = self.key_options.orphan_ttl.filter(|_| self.is_guarded()) else { return 0 };
        out.begin(7);
        out.argument(b"EVAL");
        out.argument(GUARD.as_bytes());
        out.argument(b"3");
        for role in [Role::Execution, Role::Transactions, Role::Results] {
            out.key(&self.key(role));
        }
        out.argument(Decimal::new(orphan_ttl).as_bytes());
        1
    }

    /// Lets a key live as long as its execution.
    pub(super) fn push_restore(&self, role: Role, out: &mut impl CommandWriter) -> usize {
        match self.key_options.ttl {
            Some(ttl) => self.push_expiry(out, ttl, role),
            None => self.push(out, "PERSIST", role, &[]),
        }
    }

    /// Whether it sets a mark that expires by itself.
    pub fn is_leased(&self) -> bool {
        self.operation == Operation::BeginTask && !self.key_options.claims && self.key_options.in_progress_ttl.is_some()
    }

    /// Whether one of its commands is about the expiry of a field.
    pub fn uses_field_expiry(&self) -> bool {
        self.is_leased()
            || self.is_claim() && self.key_options.in_progress_ttl.is_some()
            || self.operation == Operation::Touch && self.renewed_lease().is_some()
    }

    /// The lease of a mark that was just set: <https://redis.io/docs/latest/commands/hpexpire/>.
    pub(super) fn push_lease(&self, out: &mut impl CommandWriter) -> usize {
        let Some(lease) = self.key_options.in_progress_ttl else { return 0 };
        self.push(out, "HPEXPIRE", Role::Transactions, &[Decimal::new(lease).as_bytes(), b"FIELDS", b"1", self.task()])
    }

    /// The lease that `touch` renews, if it names a task and the store has leases.
    fn renewed_lease(&self) -> Option<u64> {
        self.key_options.in_progress_ttl.filter(|_| !self.task().is_empty())
    }

    /// Whether `touch` is about several keys.
    pub(super) fn touches_several(&self) -> bool {
        self.key_options.ttl.is_some() || self.renewed_lease().is_some()
    }

    /// Whether `touch`, or this part of it, is several commands.
    pub(super) fn touches_in_steps(&self) -> bool {
        match self.only {
            None => self.touches_several(),
            Some(Role::Transactions) => self.key_options.ttl.is_some() && self.renewed_lease().is_some(),
            Some(Role::Execution | Role::Results) => false,
        }
    }

    /// Renews all expiries that there are. The execution's own key comes last: its answer is that of the call.
    pub(super) fn append_touch(&self, features: ServerFeatures, out: &mut impl CommandWriter) -> usize {
        if !self.touches_in_steps() {
            return self.push_touch_of(Role::Execution, out);
        }
        word_of(features, out, "MULTI")
            + self.push_touch_of(Role::Transactions, out)
            + self.push_touch_of(Role::Results, out)
            + self.push_guard(out)
            + self.push_touch_of(Role::Execution, out)
            + word_of(features, out, "EXEC")
    }

    /// What of that is about one key, in a transaction of its own where it is two commands.
    pub(super) fn append_touch_of(&self, role: Role, features: ServerFeatures, out: &mut impl CommandWriter) -> usize {
        let bracket = |out: &mut _, name| if self.touches_in_steps() { word_of(features, out, name) } else { 0 };
        bracket(out, "MULTI") + self.push_touch_of(role, out) + bracket(out, "EXEC")
    }

    fn push_touch_of(&self, role: Role, out: &mut impl CommandWriter) -> usize {
        let lease = match (role, self.renewed_lease()) {
            // `XX`: a mark that never expires, of a store without leases, stays so.
            (Role::Transactions, Some(lease)) => {
                self.push(out, "HPEXPIRE", role, &[Decimal::new(lease).as_bytes(), b"XX", b"FIELDS", b"1", self.task()])
            }
            _ => 0,
        };
        match (role, self.key_options.ttl) {
            (_, Some(ttl)) => lease + self.push_expiry(out, ttl, role),
            (Role::Execution, None) => self.push(out, "GET", role, &[]),
            (_, None) => lease,
        }
    }
}
