//! Slots that one side takes and the other gives back, without a lock.
//!
//! A sender keeps a fixed number of packets in memory. It takes a slot, fills it and sends it; the network gives it back
//! when it has been sent, on whatever processor and at whatever moment that is. When the sender goes, it has to know that
//! nothing is under way any more: it and everything under way are *users*, and whoever is the last to leave says so.
//!
//! The order of atomic operations is checked with loom: `cargo xtask check --thorough`.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most slots there can be.
pub const MAX_SLOTS: u32 = u64::BITS;

/// Which slots are free, and how many users there are.
#[derive(Debug)]
pub struct Slots {
    /// Bit n: slot n is free.
    free: AtomicU64,
    users: AtomicU32,
}

impl Slots {
    /// `count` free slots, [`MAX_SLOTS`] at most, and one user: the owner.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let free = u64::MAX.checked_shr(MAX_SLOTS.saturating_sub(count)).unwrap_or(0);
        Self { free: AtomicU64::new(free), users: AtomicU32::new(1) }
    }

    /// Takes the free slot with the lowest number; what the one who gave it back wrote can be seen. By the owner only.
    pub fn claim(&self) -> Option<u32> {
        let free = self.free.load(Ordering::Relaxed);
        if free == 0 {
            return None;
        }
        let index = free.trailing_zeros();
        // Nobody else takes slots, so the bit is still set; this is what makes visible what was written before.
        self.free.fetch_and(!(1 << index), Ordering::Acquire);
        Some(index)
    }

    /// Gives a slot back: from here on the owner may use it again.
    pub fn give_back(&self, index: u32) {
        if let Some(bit) = 1_u64.checked_shl(index) {
            self.free.fetch_or(bit, Ordering::Release);
        }
    }

    /// One more user. By the owner, which is one itself.
    pub fn enter(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// One user less. True for the last one, which can see what all others did before they left; the others must not
    /// touch the slots, nor what they belong to, from here on.
    #[must_use = "the last one has to tell the owner"]
    pub fn leave(&self) -> bool {
        self.users.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_taken_from_the_lowest_and_come_back() {
        let slots = Slots::new(3);
        assert_eq!(
            [slots.claim(), slots.claim(), slots.claim(), slots.claim()],
            [Some(0), Some(1), Some(2), None]
        );
        slots.give_back(1);
        assert_eq!([slots.claim(), slots.claim()], [Some(1), None]);
    }

    #[test]
    fn there_are_none_to_sixty_four() {
        assert_eq!(Slots::new(0).claim(), None);
        let slots = Slots::new(MAX_SLOTS);
        assert_eq!(core::iter::from_fn(|| slots.claim()).last(), Some(63));
        assert_eq!(Slots::new(1_000).claim(), Some(0));
    }

    #[test]
    fn only_the_last_user_is_told_so() {
        let slots = Slots::new(1);
        slots.enter();
        slots.enter();
        assert_eq!([slots.leave(), slots.leave(), slots.leave()], [false, false, true]);
    }
}
