//! Counts of what is under way. Whoever adds to one gets a token that has to be given back, so that nothing is counted twice
//! or forgotten.

use std::mem;

/// How many there are.
#[derive(Debug, Default)]
pub struct Count(u32);

/// One that is counted.
#[must_use = "what is counted has to be given back"]
#[derive(Debug)]
pub struct Counted(());

impl Count {
    /// Counts one more.
    pub fn take(&mut self) -> Counted {
        self.0 += 1;
        Counted(())
    }

    /// Counts one less.
    pub fn give_back(&mut self, counted: Counted) {
        counted.forget();
        self.0 -= 1;
    }

    /// Whether there is none.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Counted {
    /// What counted it is no more.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        debug_assert!(std::thread::panicking(), "something that is counted was not given back");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_counted_until_it_is_given_back() {
        let mut count = Count::default();
        let (one, other) = (count.take(), count.take());
        count.give_back(one);
        assert!(!count.is_zero());
        count.give_back(other);
        assert!(count.is_zero());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "not given back")]
    fn what_is_forgotten_is_noticed() {
        drop(Count::default().take());
    }
}
