//! An audio device with a WaveCyclic port.

use testbed::client::{CyclicStream, Format};
use testbed::device::PowerState;
use testbed::nt::NtStatus;
use testbed::{Device, schedule};

use crate::{rules, run_with};

rules! {
    cyclic_buffer_missing: Argument, "the DMA channel's buffer of 0 bytes is near a null pointer", "thread user";
    cyclic_buffer_resized: Argument, "SetBufferSize: 7681 of 7680 bytes", "IDmaChannel_SetBufferSize";
    cyclic_buffer_too_large: Argument, "AllocateBuffer: 7681 bytes, at most 7680", "IDmaChannel_AllocateBuffer";
    cyclic_buffer_twice: Argument, "there is a buffer already", "IDmaChannel_AllocateBuffer";
    cyclic_channel_aggregated: Argument, "aggregation is not simulated", "NewMasterDmaChannel";
    cyclic_channel_short: Com, "the DMA channel: the table of IDmaChannel is", "thread user";
    cyclic_frequency_not_given: Argument, "SetNotificationFreq: an interval of 0 ms", "thread user";
    cyclic_group_aggregated: Argument, "PcNewServiceGroup: aggregation", "PcNewServiceGroup";
    cyclic_group_delay: Argument, "before SupportDelayedService", "IServiceGroup_RequestDelayedService";
    cyclic_group_no_member: Argument, "the sink is no member", "IServiceGroup_RemoveMember";
    cyclic_notify_nobody: Com, "the service group is near a null pointer", "IPortWaveCyclic_Notify";
    cyclic_position_beyond_buffer: Argument, "GetPosition gives 7680 in a buffer of 7680 bytes", "service group";
    cyclic_slave_channel: Argument, "the resource list has no DMA channel", "IPortWaveCyclic_NewSlaveDmaChannel";
    cyclic_stays_asleep: Argument, "did not come back after sleep", "PcDispatchIrp";
    cyclic_stays_awake: Argument, "refused to pause before the device sleeps", "PcDispatchIrp";
    cyclic_stays_open: Argument, "a stream refused to stop", "thread user";
    cyclic_stream_outputs_not_cleared: Com, "did not clear its outputs", "NewStream failed with";
}

/// Plays fifteen milliseconds, which the client hands over at once; the device sleeps in between.
pub(crate) fn play(device: &Device, format: &Format) {
    play_bytes(device, format, 2880);
}

/// Plays so many bytes of silence; what came of it.
fn play_bytes(device: &Device, format: &Format, mut left: usize) -> Option<Result<u64, NtStatus>> {
    let mut stream = CyclicStream::open(device, format).ok()?;
    let source = move |target: &mut [u8]| {
        let count = target.len().min(left);
        left -= count;
        count
    };
    let played = stream.start(source).and_then(|_| {
        let _ = device.set_power(PowerState::D3);
        let _ = device.set_power(PowerState::D0);
        stream.finish()
    });
    stream.close();
    Some(played)
}

#[test]
fn a_client_of_a_pin_that_stays_paused_waits_for_a_while_and_not_forever() {
    let outcome = run_with("cyclic_stays_asleep".to_owned(), |driver| {
        let device = Device::add(driver).expect("a device");
        device.start().expect("it starts");
        let begun = schedule::now();
        let played = play_bytes(&device, &Format::pcm(48_000, 16, 2), 1_000_000);
        let waited = schedule::now() - begun;
        device.remove().expect("it goes");
        (played, waited / 1_000_000_000)
    });
    assert_eq!(outcome.violations.len(), 1, "it did not come back after sleep");
    assert_eq!(outcome.value.flatten(), Some((Some(Err(NtStatus::IO_TIMEOUT)), 5)));
}
