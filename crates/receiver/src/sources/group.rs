//! [`Group`]: a group that a socket has joined, and stays in while interfaces come and go.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use socket2::SockRef;

use super::SourceError;
use super::interfaces::{self, Interface, Wanted};
use super::memberships::Memberships;
use crate::Moment;

/// How often the interfaces are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// After so much silence the group is joined anew.
const QUIET: Duration = Duration::from_secs(3);
/// While it stays silent, the group is joined anew this often.
const RENEW: Duration = Duration::from_secs(10);

/// A group that a socket has joined.
pub struct Group {
    socket: UdpSocket,
    memberships: Memberships,
    /// Datagrams that had come when somebody looked last.
    received: u64,
    look_at: Moment,
    renew_at: Moment,
}

impl Group {
    /// Joins a group on every interface that is wanted.
    ///
    /// # Errors
    /// There is no such interface, or the group cannot be joined anywhere.
    pub fn join(socket: UdpSocket, group: IpAddr, wanted: Wanted) -> Result<Self, SourceError> {
        let present = interfaces::present()?;
        if !present.iter().any(|interface| wanted.picks(interface)) {
            return Err(SourceError(wanted.missing(&present)));
        }
        let mut memberships = Memberships::new(group, wanted.clone());
        let (_, refusal) = memberships.update(&SockRef::from(&socket), &present);
        // An interface that is down is waited for: this program may be started before the network.
        if let Some(error) = refusal
            && memberships.names().is_empty()
        {
            return Err(nowhere(group, &wanted, &present, &error));
        }
        let now = Moment::now();
        Ok(Self { socket, memberships, received: 0, look_at: now + LOOK, renew_at: now + RENEW })
    }

    /// Where it is joined, for people: `on eth0, lo`.
    pub fn place(&self) -> String {
        match self.memberships.names()[..] {
            [] => format!(", once {} is up", self.memberships.wanted()),
            ref names => format!(" on {}", names.join(", ")),
        }
    }

    /// Looks from time to time whether interfaces have come or gone, and joins anew while nothing comes; to be called several
    /// times a second, with the number of datagrams that have come until now. Says what has changed.
    pub fn keep(&mut self, now: Moment, received: u64) -> Vec<String> {
        let socket = SockRef::from(&self.socket);
        if received != self.received {
            self.received = received;
            self.renew_at = now + QUIET;
        } else if now >= self.renew_at {
            self.memberships.renew(&socket);
            self.renew_at = now + RENEW;
        }
        if now < self.look_at {
            return Vec::new();
        }
        self.look_at = now + LOOK;
        // What cannot be looked at now is looked at the next time.
        interfaces::list().map(|present| self.memberships.update(&socket, &present).0).unwrap_or_default()
    }
}

/// That a group could not be joined on any interface.
fn nowhere(group: IpAddr, wanted: &Wanted, present: &[Interface], error: &std::io::Error) -> SourceError {
    let all = interfaces::shown(present);
    SourceError(format!("{group} cannot be joined on {wanted}: {error}; there are {all}"))
}
