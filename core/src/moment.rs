//! Moments on a clock that goes on while the machine is suspended: what was true before that may have changed since.

use std::time::Duration;

/// Nanoseconds since some moment before the process began. Linux and Android: since the machine booted, `CLOCK_BOOTTIME`; macOS:
/// `CLOCK_MONOTONIC`, which goes on there; elsewhere what [`std::time::Instant`] counts, which on Windows goes on too, and on other
/// systems may stand still while the machine is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Before all others.
    pub const NEVER: Self = Self(0);

    /// This one.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    pub fn now() -> Self {
        #[cfg(target_vendor = "apple")]
        let clock = rustix::time::ClockId::Monotonic;
        #[cfg(not(target_vendor = "apple"))]
        let clock = rustix::time::ClockId::Boottime;
        let time = rustix::time::clock_gettime(clock);
        Self((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
    }

    /// This one.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    pub fn now() -> Self {
        use std::sync::LazyLock;
        use std::time::Instant;
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self(START.elapsed().as_nanos() as u64)
    }

    /// How long it is after another one; nothing when it is before that.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// So much later.
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_order() {
        let first = Moment::now();
        let second = Moment::now();
        assert!(first <= second && Moment::default() <= first);
        let later = first.after(Duration::from_millis(3));
        assert_eq!((later.since(first), first.since(later)), (Duration::from_millis(3), Duration::ZERO));
    }
}
