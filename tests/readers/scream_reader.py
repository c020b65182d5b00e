#!/usr/bin/env python3
"""Reads what Scream sends, from UDP packets or from a ring in shared memory, and writes the PCM to a file.

This is a second opinion: it shares no code with the driver, and was written from the documented layouts alone. It needs
nothing but Python's standard library.

    scream_reader.py udp 127.0.0.1 4010 --output heard.pcm --bytes 192000
    scream_reader.py udp 239.255.77.77 4010 --output heard.pcm
    scream_reader.py ring /dev/shm/scream --output heard.pcm

It tells on standard output, a line each: "ready" and where it listens; "stream" and the format of each stream that it
finds; "missed" and a number of chunks that were overwritten before they were read; "end" and the number of bytes that it
wrote. It ends after --bytes bytes, or when nothing has come for --patience seconds.
"""

import argparse
import mmap
import socket
import struct
import sys
import time

# The ring's header: magic, index, offset of chunk 0, number of chunks, bytes of a chunk, and the format.
HEADER = struct.Struct("<IHBxHxxI" + "BBBxHxx")
INDEX = struct.Struct("<H")
INDEX_OFFSET = 4
MAGIC = 0x11112014
# Before the audio of a packet.
PACKET_HEADER = struct.Struct("<BBBH")

# How often the ring is looked at.
POLL_SECONDS = 0.001


class Format:
    """Rate, bits, channels and channel mask, as both transports describe them."""

    def __init__(self, rate, bits, channels, mask):
        base = 44100 if rate & 0x80 else 48000
        self.rate = base * (rate & 0x7F)
        self.bits, self.channels, self.mask = bits, channels, mask
        if self.rate == 0 or bits not in (16, 24, 32) or channels == 0:
            raise ValueError(f"no format: {rate:#x}, {bits} bits, {channels} channels")

    def frame_bytes(self):
        return self.bits // 8 * self.channels

    def __str__(self):
        return f"{self.rate} Hz {self.bits} bits {self.channels} channels mask {self.mask:#x}"


class Output:
    """Where the PCM goes, and how much of it is wanted."""

    def __init__(self, path, wanted, patience):
        self.file = open(path, "wb", buffering=0)
        self.wanted, self.patience = wanted, patience
        self.written = 0
        self.latest = time.monotonic()

    def write(self, pcm):
        self.file.write(pcm)
        self.written += len(pcm)
        self.latest = time.monotonic()

    def is_done(self):
        enough = self.wanted is not None and self.written >= self.wanted
        return enough or time.monotonic() - self.latest > self.patience

    def close(self):
        self.file.close()
        tell("end", self.written)


def tell(*words):
    print(*words, flush=True)


class Ring:
    """One stream in shared memory, as its header was when it was found."""

    def __init__(self, memory, header):
        self.memory, self.header = memory, header
        _, self.last, self.offset, self.chunks, self.size, *described = header
        self.format = Format(*described)
        if self.offset < HEADER.size or self.chunks < 3:
            raise ValueError(f"no ring: {self.chunks} chunks from byte {self.offset} on")
        if self.size == 0 or self.size % self.format.frame_bytes() != 0:
            raise ValueError(f"no ring: chunks of {self.size} bytes")
        if self.offset + self.chunks * self.size > len(memory):
            raise ValueError("no ring: it does not end inside the memory")

    @classmethod
    def find(cls, memory):
        """The stream that is there now; None without one, or while it changes."""
        header = HEADER.unpack_from(memory, 0)
        if header[0] != MAGIC:
            return None
        ring = cls(memory, header)
        return ring if ring.is_there() else None

    def is_there(self):
        """Whether the header is still that of this stream; the index may be another one."""
        now = HEADER.unpack_from(self.memory, 0)
        return (now[0], now[2:]) == (self.header[0], self.header[2:])

    def index(self):
        (index,) = INDEX.unpack_from(self.memory, INDEX_OFFSET)
        if index >= self.chunks:
            raise ValueError(f"no ring: chunk {index} of {self.chunks} was published last")
        return index

    def read(self):
        """The next chunk; empty if there is none yet; None if the stream is not there any more."""
        index = self.index()
        pending = (index - self.last) % self.chunks
        if not self.is_there():
            return None
        if pending == 0:
            return b""
        following = (self.last + 1) % self.chunks
        begin = self.offset + following * self.size
        chunk = bytes(self.memory[begin : begin + self.size])
        # The chunk after the index is being written; if that is the one that was copied, it may be torn.
        newest = self.index()
        if not self.is_there():
            return None
        passed = pending + (newest - index) % self.chunks
        if passed >= self.chunks:
            tell("missed", passed)
            self.last = newest
            return b""
        self.last = following
        return chunk


def read_ring(path, output):
    with open(path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(memory) < HEADER.size:
        raise ValueError(f"no ring: {len(memory)} bytes have no room for its header")
    tell("ready", len(memory))
    ring = None
    while not output.is_done():
        if ring is None:
            ring = Ring.find(memory)
            if ring is not None:
                tell("stream", ring.format)
        chunk = ring.read() if ring is not None else b""
        if chunk is None:
            ring = None
        elif chunk:
            output.write(chunk)
        else:
            time.sleep(POLL_SECONDS)


def open_socket(address, port):
    """A socket that receives what is sent to an address: a group, or one of this machine."""
    family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
    receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    receiver.bind(place)
    packed = socket.inet_pton(family, place[0].partition("%")[0])
    if family == socket.AF_INET6 and packed[0] == 0xFF:
        group = packed + struct.pack("@I", place[3])
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    elif family == socket.AF_INET and packed[0] & 0xF0 == 0xE0:
        group = packed + socket.inet_aton("0.0.0.0")
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    return receiver


def read_udp(address, port, output):
    receiver = open_socket(address, port)
    receiver.settimeout(0.1)
    tell("ready", receiver.getsockname()[1])
    described = None
    while not output.is_done():
        try:
            packet = receiver.recv(65536)
        except TimeoutError:
            continue
        if len(packet) < PACKET_HEADER.size:
            raise ValueError(f"no packet: {len(packet)} bytes")
        header, pcm = packet[: PACKET_HEADER.size], packet[PACKET_HEADER.size :]
        stream = Format(*PACKET_HEADER.unpack(header))
        if header != described:
            described = header
            tell("stream", stream)
        if len(pcm) % stream.frame_bytes() != 0:
            raise ValueError(f"no packet: {len(pcm)} bytes of audio are no whole frames")
        output.write(pcm)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    transports = parser.add_subparsers(dest="transport", required=True)
    udp = transports.add_parser("udp", help="packets that are sent to an address and port")
    udp.add_argument("address")
    udp.add_argument("port", type=int)
    ring = transports.add_parser("ring", help="a file that is the shared memory")
    ring.add_argument("path")
    for transport in (udp, ring):
        transport.add_argument("--output", required=True, help="the file that the PCM goes to")
        transport.add_argument("--bytes", type=int, help="end after so many bytes of PCM")
        transport.add_argument("--patience", type=float, default=30, help="end after so many silent seconds")
    arguments = parser.parse_args()
    output = Output(arguments.output, arguments.bytes, arguments.patience)
    try:
        if arguments.transport == "udp":
            read_udp(arguments.address, arguments.port, output)
        else:
            read_ring(arguments.path, output)
    except (OSError, ValueError) as error:
        sys.exit(f"scream_reader.py: {error}")
    finally:
        output.close()


if __name__ == "__main__":
    main()
