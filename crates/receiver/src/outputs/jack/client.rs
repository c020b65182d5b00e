//! [`Playing`]: a client of the server that plays what is lent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jack::{
    AsyncClient, AudioOut, Client, ClientStatus, Control, Frames, LatencyType, NotificationHandler, Port,
    ProcessHandler, ProcessScope,
};

use super::super::OutputError;
use super::super::lent::Lent;
use super::super::pace::time;
use super::ports;
use crate::player::supply::Device;

/// A client that plays. To drop it waits for the server.
pub struct Playing {
    _client: AsyncClient<Notices, Process>,
    seen: Arc<Seen>,
}

/// What the server has done.
#[derive(Default)]
struct Seen {
    shut_down: AtomicBool,
    other_rate: AtomicBool,
}

/// What the server tells.
struct Notices {
    seen: Arc<Seen>,
    rate: Frames,
}

/// What belongs to the server's thread.
struct Process {
    lent: Arc<Lent>,
    device: Device,
    ports: Vec<Port<AudioOut>>,
    interleaved: Vec<u8>,
    /// Until then what is played goes nowhere.
    is_connected: Arc<AtomicBool>,
}

impl Playing {
    /// Makes the ports, begins to play, and connects them.
    ///
    /// # Errors
    /// The server has gone, or does not let it.
    pub fn start(
        client: Client,
        device: Device,
        lent: Arc<Lent>,
        connect: bool,
    ) -> Result<Self, OutputError> {
        let seen = Arc::<Seen>::default();
        let notices = Notices { seen: Arc::clone(&seen), rate: device.rate };
        let ports = ports::register(&client, &device)?;
        let own: Vec<_> = ports.iter().map(Port::clone_unowned).collect();
        let interleaved = vec![0; device.most_frames * device.frame_bytes()];
        let is_connected = Arc::new(AtomicBool::new(!connect));
        let process = Process { lent, device, ports, interleaved, is_connected: Arc::clone(&is_connected) };
        let refused = |why| OutputError::Gone(format!("JACK does not let the client play ({why})"));
        let client = client.activate_async(notices, process).map_err(refused)?;
        if connect {
            ports::connect(client.as_client(), &own);
            is_connected.store(true, Ordering::Relaxed);
        }
        Ok(Self { _client: client, seen })
    }

    /// Whether the server is still as it was.
    ///
    /// # Errors
    /// It has ended, or has another rate: then the client has to be opened again.
    pub fn check(&self) -> Result<(), OutputError> {
        if self.seen.shut_down.load(Ordering::Relaxed) {
            return Err(OutputError::Gone("the JACK server has ended".into()));
        }
        match self.seen.other_rate.load(Ordering::Relaxed) {
            true => Err(OutputError::Gone("JACK has changed its rate".into())),
            false => Ok(()),
        }
    }
}

impl NotificationHandler for Notices {
    #[expect(unsafe_code, reason = "the crate declares it so: it is called like a handler of a signal")]
    unsafe fn shutdown(&mut self, _: ClientStatus, _: &str) {
        // To set a flag is all that such a handler may do.
        self.seen.shut_down.store(true, Ordering::Relaxed);
    }

    fn sample_rate(&mut self, _: &Client, rate: Frames) -> Control {
        if rate != self.rate {
            self.seen.other_rate.store(true, Ordering::Relaxed);
        }
        Control::Continue
    }
}

impl Process {
    /// The time until the first frame of this period is heard: the latency of the loudspeakers counts from the beginning
    /// of the period.
    fn delay(&self, scope: &ProcessScope) -> Duration {
        let latency = |port: &Port<AudioOut>| port.get_latency_range(LatencyType::Playback).1;
        // A port that is connected to nothing has none; it may be connected any time, to something with about this.
        let latency = self.ports.iter().map(latency).max().filter(|latency| *latency != 0);
        let latency = latency.unwrap_or(scope.n_frames() * 2);
        time(i64::from(latency) - i64::from(scope.frames_since_cycle_start()), self.device.rate)
    }
}

impl ProcessHandler for Process {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        if !self.is_connected.load(Ordering::Relaxed) {
            self.ports.iter_mut().for_each(|port| port.as_mut_slice(scope).fill(0.0));
            return Control::Continue;
        }
        let delay = self.delay(scope);
        let (frame, rate) = (self.device.frame_bytes(), self.device.rate);
        let total = scope.n_frames() as usize;
        let mut done = 0;
        while done < total {
            let frames = (total - done).min(self.device.most_frames);
            let interleaved = &mut self.interleaved[..frames * frame];
            self.lent.render(interleaved, frame, frames, rate, delay + time(done as i64, rate));
            for (channel, port) in self.ports.iter_mut().enumerate() {
                let samples = &mut port.as_mut_slice(scope)[done..done + frames];
                for (sample, frame) in samples.iter_mut().zip(interleaved.chunks_exact(frame)) {
                    let bytes = frame.get(channel * 4..).and_then(|rest| rest.first_chunk());
                    *sample = f32::from_le_bytes(*bytes.unwrap_or(&[0; 4]));
                }
            }
            done += frames;
        }
        Control::Continue
    }
}
