//! How the answers to calls side by side come. A server sends those of one pipeline together, as long as they are small; proxies and
//! networks may hand them over one by one.

/// What one store has seen of it last. What the last of such calls carries is there in time for those who asked beside it only where
/// the answers come together.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals(i8);

impl Default for Arrivals {
    /// One by one until they are seen to come together: to take them so when they do not costs every call after them its round trip,
    /// the other way round it is one read in vain.
    fn default() -> Self {
        Self(-1)
    }
}

/// What counts at most, so that a store whose answers begin to come otherwise knows it after a few.
const MOST: i8 = 4;

impl Arrivals {
    /// An answer has come to a call beside another one: `together` with the answer to that one, or after what that brought about.
    pub fn note(&mut self, together: bool) {
        self.0 = (self.0 + if together { 1 } else { -1 }).clamp(-MOST, MOST);
    }

    /// Whether they come together.
    pub fn are_together(self) -> bool {
        self.0 >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_last_counts_however_long_it_was_otherwise() {
        let mut arrivals = Arrivals::default();
        assert!(!arrivals.are_together());
        arrivals.note(true);
        assert!(arrivals.are_together());
        for together in [true, false] {
            (0..100).for_each(|_| arrivals.note(!together));
            (0..=MOST).for_each(|_| arrivals.note(together));
            assert_eq!(arrivals.are_together(), together);
        }
    }
}
