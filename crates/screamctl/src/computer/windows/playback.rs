//! Playing on an endpoint: WASAPI in shared mode, woken by an event for each period of the audio engine.

use windows::Win32::Foundation::{HANDLE, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows::Win32::Media::Audio::{
    AUDCLNT_SHAREMODE_SHARED, AUDCLNT_STREAMFLAGS_AUTOCONVERTPCM, AUDCLNT_STREAMFLAGS_EVENTCALLBACK,
    AUDCLNT_STREAMFLAGS_SRC_DEFAULT_QUALITY, IAudioClient, IAudioRenderClient, IMMDevice, WAVEFORMATEX,
    WAVEFORMATEXTENSIBLE, WAVEFORMATEXTENSIBLE_0,
};
use windows::Win32::Media::KernelStreaming::WAVE_FORMAT_EXTENSIBLE;
use windows::Win32::Media::Multimedia::KSDATAFORMAT_SUBTYPE_IEEE_FLOAT;
use windows::Win32::System::Com::{CLSCTX_ALL, CoTaskMemFree};
use windows::Win32::System::Threading::{CreateEventW, WaitForSingleObject};

use super::call::{call, last_error};
use super::handle::Handle;
use crate::computer::{ApiError, ApiResult, Mix};

/// How long the audio engine may leave a stream alone, in milliseconds, before it is given up.
const PATIENCE: u32 = 2000;
/// The size of a sample.
const SAMPLE: u16 = size_of::<f32>() as u16;

/// Plays until `fill` returns false, and lets what it has filled until then be heard.
pub fn play(device: &IMMDevice, fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool) -> ApiResult<()> {
    let stream = Stream::open(device)?;
    let mut samples = Vec::new();
    // The buffer is filled before it is played, so that the first period is not late.
    let mut goes_on = stream.write(&mut samples, fill)?;
    // SAFETY: the stream has an event.
    call("IAudioClient::Start", unsafe { stream.client.Start() })?;
    while goes_on {
        stream.wait()?;
        goes_on = stream.write(&mut samples, fill)?;
    }
    while stream.padding()? > 0 {
        stream.wait()?;
    }
    // SAFETY: the call takes nothing.
    call("IAudioClient::Stop", unsafe { stream.client.Stop() })
}

/// A stream of an endpoint.
struct Stream {
    client: IAudioClient,
    render: IAudioRenderClient,
    mix: Mix,
    /// The length of the buffer in frames.
    frames: u32,
    /// After the client in order, so that it is closed when nobody signals it any more.
    event: Handle,
}

impl Stream {
    /// Opens a stream in the endpoint's own rate and channels, of 32-bit floating-point samples.
    fn open(device: &IMMDevice) -> ApiResult<Self> {
        // SAFETY: the interface needs no parameters.
        let client = unsafe { device.Activate::<IAudioClient>(CLSCTX_ALL, None) };
        let client = call("IMMDevice::Activate", client)?;
        let mix = mix_of(&client)?;
        let format = format_of(mix);
        let flags = AUDCLNT_STREAMFLAGS_EVENTCALLBACK
            | AUDCLNT_STREAMFLAGS_AUTOCONVERTPCM
            | AUDCLNT_STREAMFLAGS_SRC_DEFAULT_QUALITY;
        // SAFETY: the format is as long as its `cbSize` says. A shared stream with an event has no times of its own.
        call("IAudioClient::Initialize", unsafe {
            client.Initialize(AUDCLNT_SHAREMODE_SHARED, flags, 0, 0, (&raw const format).cast(), None)
        })?;
        let event = event()?;
        // SAFETY: the event is open, and stays so as long as the client.
        call("IAudioClient::SetEventHandle", unsafe { client.SetEventHandle(event.get()) })?;
        // SAFETY: the client is initialised.
        let frames = call("IAudioClient::GetBufferSize", unsafe { client.GetBufferSize() })?;
        // SAFETY: the client is initialised for playback.
        let render = call("IAudioClient::GetService", unsafe { client.GetService::<IAudioRenderClient>() })?;
        Ok(Self { client, render, mix, frames, event })
    }

    /// Frames that wait to be played.
    fn padding(&self) -> ApiResult<u32> {
        // SAFETY: the client is initialised.
        call("IAudioClient::GetCurrentPadding", unsafe { self.client.GetCurrentPadding() })
    }

    /// Waits for the next period.
    fn wait(&self) -> ApiResult<()> {
        // SAFETY: the event is open.
        match unsafe { WaitForSingleObject(self.event.get(), PATIENCE) } {
            WAIT_OBJECT_0 => Ok(()),
            WAIT_TIMEOUT => Err(ApiError { call: "WaitForSingleObject", code: WAIT_TIMEOUT.0 }),
            _ => Err(last_error("WaitForSingleObject")),
        }
    }

    /// Has all the room in the buffer filled. Returns what `fill` says.
    fn write(
        &self,
        samples: &mut Vec<f32>,
        fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool,
    ) -> ApiResult<bool> {
        let room = self.frames.saturating_sub(self.padding()?);
        if room == 0 {
            return Ok(true);
        }
        samples.clear();
        samples.resize(room as usize * usize::from(self.mix.channels), 0.0);
        let goes_on = fill(self.mix, samples);
        // SAFETY: the client is initialised, and there is so much room.
        let buffer = call("IAudioRenderClient::GetBuffer", unsafe { self.render.GetBuffer(room) })?;
        // SAFETY: the buffer has room for so many frames, each with a sample of a float for each channel.
        unsafe {
            std::ptr::copy_nonoverlapping(samples.as_ptr().cast(), buffer, size_of_val(samples.as_slice()))
        };
        // SAFETY: all of the buffer is written.
        let result = unsafe { self.render.ReleaseBuffer(room, 0) };
        call("IAudioRenderClient::ReleaseBuffer", result).map(|()| goes_on)
    }
}

/// An event that the audio engine sets for each period.
fn event() -> ApiResult<Handle> {
    // SAFETY: the event has no name, and goes back by itself.
    let event: HANDLE = call("CreateEventW", unsafe { CreateEventW(None, false, false, None) })?;
    // SAFETY: the event has just been made, for this process alone.
    Ok(unsafe { Handle::owned(event) })
}

/// The rate and the channels that an endpoint is played in.
fn mix_of(client: &IAudioClient) -> ApiResult<Mix> {
    // SAFETY: the caller frees the format, which happens below.
    let format = call("IAudioClient::GetMixFormat", unsafe { client.GetMixFormat() })?;
    // SAFETY: the call has succeeded, so there is a format. It may lie at any address.
    let plain: WAVEFORMATEX = unsafe { format.read_unaligned() };
    let is_extensible = u32::from(plain.wFormatTag) == WAVE_FORMAT_EXTENSIBLE
        && usize::from(plain.cbSize) >= size_of::<WAVEFORMATEXTENSIBLE>() - size_of::<WAVEFORMATEX>();
    let mask = if is_extensible {
        // SAFETY: the format says that it is of this kind and so long. It may lie at any address.
        unsafe { format.cast::<WAVEFORMATEXTENSIBLE>().read_unaligned() }.dwChannelMask
    } else {
        u32::from(protocol::default_mask(plain.nChannels))
    };
    // SAFETY: the format is the caller's, and it is not used after this.
    unsafe { CoTaskMemFree(Some(format.cast_const().cast())) };
    Ok(Mix { rate: plain.nSamplesPerSec, channels: plain.nChannels, mask })
}

/// The format of a stream of 32-bit floating-point samples.
fn format_of(mix: Mix) -> WAVEFORMATEXTENSIBLE {
    let frame = mix.channels.saturating_mul(SAMPLE);
    WAVEFORMATEXTENSIBLE {
        Format: WAVEFORMATEX {
            wFormatTag: WAVE_FORMAT_EXTENSIBLE as u16,
            nChannels: mix.channels,
            nSamplesPerSec: mix.rate,
            nAvgBytesPerSec: mix.rate.saturating_mul(u32::from(frame)),
            nBlockAlign: frame,
            wBitsPerSample: SAMPLE * 8,
            cbSize: (size_of::<WAVEFORMATEXTENSIBLE>() - size_of::<WAVEFORMATEX>()) as u16,
        },
        Samples: WAVEFORMATEXTENSIBLE_0 { wValidBitsPerSample: SAMPLE * 8 },
        dwChannelMask: mix.mask,
        SubFormat: KSDATAFORMAT_SUBTYPE_IEEE_FLOAT,
    }
}
