//! A shared region for tests.

use std::cell::{Cell, RefCell};

use protocol::ring::RING_HEADER_SIZE;
use protocol::{RingError, SharedRegion};

type Action = Box<dyn FnOnce()>;

/// A region that records writes and counts accesses outside of it.
pub struct Region {
    pub bytes: RefCell<Vec<u8>>,
    pub outside: Cell<u32>,
    pub writes: RefCell<Vec<usize>>,
    /// Done once, just after the next plain read at or after this offset: what the other side does meanwhile.
    meanwhile: RefCell<Option<(usize, Action)>>,
}

impl Region {
    pub fn new(size: usize) -> Self {
        Self::holding(vec![0xA5; size])
    }

    pub fn holding(bytes: Vec<u8>) -> Self {
        Self {
            bytes: RefCell::new(bytes),
            outside: Cell::new(0),
            writes: RefCell::default(),
            meanwhile: RefCell::default(),
        }
    }

    fn with<T>(
        &self,
        offset: usize,
        len: usize,
        access: impl FnOnce(&mut [u8]) -> T,
    ) -> Result<T, RingError> {
        let mut bytes = self.bytes.borrow_mut();
        let size = bytes.len();
        let end = offset.saturating_add(len);
        match bytes.get_mut(offset..end) {
            Some(range) => Ok(access(range)),
            None => {
                self.outside.set(self.outside.get() + 1);
                Err(RingError::OutsideRegion { end, size })
            }
        }
    }

    pub fn meanwhile(&self, from: usize, action: impl FnOnce() + 'static) {
        *self.meanwhile.borrow_mut() = Some((from, Box::new(action)));
    }

    pub fn set(&self, offset: usize, from: &[u8]) {
        self.bytes.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
    }

    pub fn header(&self) -> [u8; RING_HEADER_SIZE] {
        self.bytes.borrow()[..RING_HEADER_SIZE].try_into().unwrap()
    }
}

impl SharedRegion for Region {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let done = self.with(offset, into.len(), |range| into.copy_from_slice(range));
        // Taken out first: what is done may read as well.
        let due = self.meanwhile.borrow_mut().take_if(|(from, _)| offset >= *from);
        if let Some((_, meanwhile)) = due {
            meanwhile();
        }
        done
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        self.writes.borrow_mut().push(offset);
        self.with(offset, from.len(), |range| range.copy_from_slice(from))
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        self.with(offset, 2, |range| u16::from_le_bytes(range.try_into().unwrap()))
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        self.with(offset, 4, |range| u32::from_le_bytes(range.try_into().unwrap()))
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }
}
