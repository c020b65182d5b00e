//! [`Arrivals`]: takes datagrams from a socket, with the time at which they came and not that at which they were looked for.
//!
//! Linux gives several at once, and tells when each came, in the time of the calendar. That is set now and then, so it is only
//! believed to be between the datagram before, or the time at which there was none, and the present.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Datagram, Sender};
use crate::Moment;

/// More than any datagram has: Windows takes one that does not fit for an error.
const MOST_BYTES: usize = 1 << 16;
/// How many datagrams are taken at once.
const BATCH: usize = if cfg!(target_os = "linux") { 8 } else { 1 };

/// Takes datagrams.
pub struct Arrivals {
    buffers: Box<[[u8; MOST_BYTES]]>,
    batch: [Option<Told>; BATCH],
    /// How many of the batch have been given.
    given: usize,
    /// Nothing else was there when the batch was taken.
    is_last: bool,
    /// What comes next came then or later.
    earliest: Moment,
    /// Whether the system tells when datagrams came.
    are_known: bool,
}

/// What the system tells of a datagram.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Its bytes.
    length: usize,
    sender: SocketAddr,
    arrived: Moment,
}

impl Arrivals {
    /// Asks the system to tell when the datagrams of a socket came.
    pub fn of(socket: &UdpSocket) -> Self {
        let buffers = vec![[0; MOST_BYTES]; BATCH].into();
        let are_known = system::ask(socket);
        Self {
            buffers,
            batch: [None; BATCH],
            given: BATCH,
            is_last: false,
            earliest: Moment::default(),
            are_known,
        }
    }

    /// Whether it is known when a datagram came, even if nobody waited for it.
    pub fn are_known(&self) -> bool {
        self.are_known
    }

    /// The next datagram, for which it waits as long as the socket does, or not at all; then there is none unless it is known when
    /// datagrams come.
    ///
    /// # Errors
    /// Those of the socket; [`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut) if there is none.
    pub fn next(&mut self, socket: &UdpSocket, waits: bool) -> io::Result<Datagram<'_>> {
        if self.batch.get(self.given).copied().flatten().is_none() {
            self.given = BATCH;
            if !waits && std::mem::take(&mut self.is_last) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.take(socket, waits)?;
        }
        let told = self.batch.get(self.given).copied().flatten().ok_or(io::ErrorKind::WouldBlock)?;
        let bytes = self.buffers[self.given].get(..told.length).unwrap_or_default();
        self.given += 1;
        Ok(Datagram { sender: Sender::Address(told.sender), arrived: told.arrived, bytes })
    }

    /// Takes a batch.
    fn take(&mut self, socket: &UdpSocket, waits: bool) -> io::Result<()> {
        self.batch = [None; BATCH];
        let now = Moment::now();
        if !self.are_known {
            let (length, sender) = socket.recv_from(&mut self.buffers[0])?;
            self.batch[0] = Some(Told { length, sender, arrived: Moment::now() });
        } else {
            let taken = system::take(socket, &mut self.buffers, waits);
            if taken.is_err() && !waits {
                self.earliest = now;
            }
            let now = Moment::now();
            for (told, taken) in self.batch.iter_mut().zip(taken?) {
                let Some((length, sender, age)) = taken else { break };
                self.earliest = between(self.earliest, now - age, now);
                *told = Some(Told { length, sender, arrived: self.earliest });
            }
        }
        self.given = 0;
        // When one has been waited for, more may have come since.
        self.is_last = !waits && self.batch.iter().any(Option::is_none);
        Ok(())
    }
}

/// The time of a datagram, put where it can be.
fn between(earliest: Moment, told: Moment, now: Moment) -> Moment {
    told.max(earliest).min(now)
}

/// A datagram's length, its sender, and how long ago it came, if that is told; otherwise it has just come.
type Taken = (usize, SocketAddr, Duration);

#[cfg(target_os = "linux")]
mod system {
    #![expect(
        unsafe_code,
        reason = "no crate takes several datagrams with their times and can be sent to another thread"
    )]

    use std::mem::{size_of, zeroed};
    use std::os::fd::AsRawFd;
    use std::time::SystemTime;

    use libc::{c_int, c_uint, cmsghdr, iovec, mmsghdr, msghdr, socklen_t, timespec};
    use socket2::{SockAddr, SockAddrStorage};

    use super::*;

    /// What Linux tells of a datagram, laid out as it does: nothing else is asked for.
    #[repr(C)]
    struct Control {
        header: cmsghdr,
        time: timespec,
    }

    pub fn ask(socket: &UdpSocket) -> bool {
        let on: c_int = 1;
        let length = size_of::<c_int>() as socklen_t;
        // SAFETY: the descriptor is open, and the option is an int, which lives until the call returns.
        let asked = unsafe {
            let on: *const c_int = &on;
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, on.cast(), length)
        };
        asked == 0
    }

    /// Takes as many datagrams as there are and fit; waits for the first one, or not.
    pub fn take(
        socket: &UdpSocket,
        buffers: &mut [[u8; MOST_BYTES]],
        waits: bool,
    ) -> io::Result<[Option<Taken>; BATCH]> {
        let mut senders = [(); BATCH].map(|()| SockAddrStorage::zeroed());
        // SAFETY: these structures are made of integers and pointers, for which zero is a value.
        let (mut headers, mut controls) = unsafe { zeroed::<([mmsghdr; BATCH], [Control; BATCH])>() };
        let mut parts = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let rooms = buffers.iter_mut().zip(&mut senders).zip(&mut controls);
        for ((part, header), ((buffer, sender), control)) in parts.iter_mut().zip(&mut headers).zip(rooms) {
            *part = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut header.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (part, 1);
            header.msg_name = (&raw mut *sender).cast();
            header.msg_namelen = sender.size_of();
            header.msg_control = (&raw mut *control).cast();
            header.msg_controllen = size_of::<Control>();
        }
        let count = buffers.len().min(BATCH) as c_uint;
        let flags = if waits { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: the first `count` headers point to buffers, senders and controls of the lengths that they say, which live until
        // the results have been read, and which nothing else refers to meanwhile.
        let taken = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags, std::ptr::null_mut())
        };
        let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut all = [None; BATCH];
        for (index, (told, sender)) in all.iter_mut().zip(senders).take(taken).enumerate() {
            let header = &headers[index];
            // SAFETY: the system has written an address of this length, which is at most that of the storage.
            let sender = unsafe { SockAddr::new(sender, header.msg_hdr.msg_namelen) }.as_socket();
            let stamp = stamp(&header.msg_hdr, &controls[index]);
            let age = stamp.map_or(Duration::ZERO, |stamp| now.saturating_sub(stamp));
            *told = Some((header.msg_len as usize, sender.ok_or(io::ErrorKind::InvalidData)?, age));
        }
        Ok(all)
    }

    /// When a datagram came, since the beginning of 1970.
    fn stamp(header: &msghdr, told: &Control) -> Option<Duration> {
        let is_told = header.msg_controllen >= size_of::<Control>()
            && told.header.cmsg_level == libc::SOL_SOCKET
            && told.header.cmsg_type == libc::SCM_TIMESTAMPNS;
        let seconds = is_told.then(|| u64::try_from(told.time.tv_sec).ok()).flatten()?;
        Some(Duration::new(seconds, u32::try_from(told.time.tv_nsec).ok()?))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::*;

    pub fn ask(_: &UdpSocket) -> bool {
        false
    }

    /// Not called: it is never known when datagrams came.
    pub fn take(_: &UdpSocket, _: &mut [[u8; MOST_BYTES]], _: bool) -> io::Result<[Option<Taken>; BATCH]> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::thread;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        sender.connect(receiver.local_addr().expect("it is bound")).expect("loopback is up");
        (sender, receiver)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_datagram_came_when_it_was_sent_and_not_when_it_is_taken() {
        let (sender, receiver) = pair();
        let mut arrivals = Arrivals::of(&receiver);
        assert!(arrivals.are_known());
        // The system begins to note times a little after it was asked to.
        thread::sleep(Duration::from_millis(100));
        let mut sent = Vec::new();
        for _ in 0..2 {
            let before = Moment::now();
            sender.send(&[1, 2, 3]).expect("it is sent");
            sent.push((before, Moment::now()));
            thread::sleep(Duration::from_millis(20));
        }
        for (before, after) in sent {
            let datagram = arrivals.next(&receiver, false).expect("it is there");
            assert_eq!(datagram.bytes, [1, 2, 3]);
            assert_eq!(datagram.sender, Sender::Address(sender.local_addr().expect("it is bound")));
            // The two clocks are not read at the very same time.
            let slack = Duration::from_millis(5);
            let came = datagram.arrived;
            assert!(came + slack >= before && came <= after + slack, "{before:?} {came:?} {after:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn all_that_there_are_are_given_in_order_and_then_none() {
        let (sender, receiver) = pair();
        receiver.set_read_timeout(Some(Duration::from_millis(10))).expect("a limit");
        let mut arrivals = Arrivals::of(&receiver);
        let lengths: Vec<usize> = (0..BATCH * 2 + 3).map(|n| n * 500).collect();
        for waits in [false, true] {
            for length in &lengths {
                sender.send(&vec![9; *length]).expect("it is sent");
            }
            for length in &lengths {
                let datagram = arrivals.next(&receiver, waits).expect("it is there");
                assert_eq!(datagram.bytes, vec![9; *length]);
            }
            let nothing = arrivals.next(&receiver, waits).map_err(|error| error.kind());
            assert_eq!(nothing.err(), Some(ErrorKind::WouldBlock));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_came_while_nobody_looked_is_found_at_the_first_look() {
        let (sender, receiver) = pair();
        let mut arrivals = Arrivals::of(&receiver);
        for waits in [true, false, true] {
            sender.send(&[1]).expect("it is sent");
            assert_eq!(arrivals.next(&receiver, waits).expect("it is there").bytes, [1]);
            if !waits {
                assert!(arrivals.next(&receiver, false).is_err());
            }
            sender.send(&[2]).expect("it is sent");
            assert_eq!(arrivals.next(&receiver, false).expect("it is there").bytes, [2]);
            assert!(arrivals.next(&receiver, false).is_err());
        }
    }

    #[test]
    fn a_time_that_cannot_be_is_not_believed() {
        // The calendar was set an hour ahead, or back.
        assert_eq!(between(Moment(5000), Moment(0), Moment(7000)), Moment(5000));
        assert_eq!(between(Moment(5000), Moment(9000), Moment(7000)), Moment(7000));
        assert_eq!(between(Moment(5000), Moment(6000), Moment(7000)), Moment(6000));
    }
}
