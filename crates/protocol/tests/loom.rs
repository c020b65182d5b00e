//! Every order in which two processors can use the slots. Run by `cargo xtask check --thorough`.
#![cfg(loom)]
#![expect(unsafe_code, reason = "loom hands out raw pointers, and checks their use")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use protocol::Slots;

/// The slots and what is in them: loom reports two that touch it at the same time.
struct Packets {
    slots: Slots,
    memory: [UnsafeCell<u32>; 2],
}

impl Packets {
    fn new() -> Self {
        Self { slots: Slots::new(2), memory: [UnsafeCell::new(0), UnsafeCell::new(0)] }
    }

    /// Like the sender: takes a slot and fills it.
    fn fill(&self) -> Option<u32> {
        let index = self.slots.claim()?;
        self.memory[index as usize].with_mut(|packet| {
            // SAFETY: loom checks that nobody else has the slot.
            unsafe { *packet += 1 }
        });
        self.slots.enter();
        Some(index)
    }

    /// Like the network: reads a packet and gives it back. Returns whether it was the last user.
    fn complete(&self, index: u32) -> bool {
        self.memory[index as usize].with(|packet| {
            // SAFETY: as above.
            assert!(unsafe { *packet } > 0);
        });
        self.slots.give_back(index);
        self.slots.leave()
    }
}

#[test]
fn a_slot_that_comes_back_while_another_is_taken_is_never_in_two_hands() {
    loom::model(|| {
        let packets = Arc::new(Packets::new());
        let first = packets.fill().expect("both are free");
        let network = Arc::clone(&packets);
        let completion = thread::spawn(move || network.complete(first));
        let second = packets.fill();
        let third = packets.fill();
        assert!(second.is_some(), "one was free all the time");
        let ended = [second, third].into_iter().flatten().map(|index| packets.complete(index));
        let ended = ended.filter(|last| *last).count();
        let ended = ended + usize::from(completion.join().expect("the completion"));
        assert_eq!(ended, 0, "the owner has not left");
        assert!(packets.slots.leave(), "the owner is the last");
    });
}

#[test]
fn exactly_one_is_the_last_to_leave_and_sees_everything() {
    loom::model(|| {
        let packets = Arc::new(Packets::new());
        let taken = [packets.fill().expect("free"), packets.fill().expect("free")];
        let completions = taken.map(|index| {
            let network = Arc::clone(&packets);
            thread::spawn(move || network.complete(index))
        });
        let owner = packets.slots.leave();
        if owner {
            for memory in &packets.memory {
                // SAFETY: everybody else has left; loom checks it.
                memory.with_mut(|packet| unsafe { *packet = 0 });
            }
        }
        let last = completions.map(|completion| completion.join().expect("a completion"));
        assert_eq!(last.into_iter().filter(|last| *last).count() + usize::from(owner), 1);
    });
}
