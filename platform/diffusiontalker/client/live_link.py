"""Plays a clip over UDP as Epic's Live Link Face app would, so that Unreal Engine animates a face by it.

Knows the network and the clock; what a packet holds is `face.live_link`'s business.
"""

import dataclasses
import socket
import time
import uuid
from collections.abc import Callable

from diffusiontalker.face.live_link import packet
from diffusiontalker.face.motion import MotionClip

DEFAULT_PORT = 11111
"""Where Unreal Engine listens."""

_DAY_S = 24 * 3600
_NEUTRAL_PACKETS = 3
"""How often the neutral face is sent at the end: packets get lost."""


class LiveLinkError(ValueError):
    """A player that cannot send; the message says where to and why."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What was sent."""

    frames: int
    """Frames of the clip, over all rounds."""
    skipped: int
    """Frames that were left out, as their time had passed."""
    seconds: float
    """How long it took."""


def play_live_link(
    clip: MotionClip,
    *,
    host: str,
    port: int = DEFAULT_PORT,
    subject: str = "diffusiontalker",
    loop: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> Played:
    """Sends every frame at its time, then the neutral face. An interruption ends it just so.

    Frame `i` is due `i / fps` after the start, whatever happened to those before; one that is late by more than a frame
    is skipped.

    Args:
        clip: at least one frame; channels by name.
        host: name or address of the receiver.
        port: its UDP port.
        subject: what Unreal Engine lists.
        loop: begin again at the end, until interrupted.
        on_frame: told the number of each frame after it is sent.

    Raises:
        LiveLinkError: when the receiver's name is unknown, the network refuses to send, or the subject is not usable.
    """
    check_subject(subject)
    address = resolved(host, port)
    device_id = str(uuid.uuid4()).upper()
    midnight = time.localtime()
    first = round((midnight.tm_hour * 3600 + midnight.tm_min * 60 + midnight.tm_sec) * clip.fps)
    num_frames, day = clip.num_frames, round(_DAY_S * clip.fps)

    def content(number: int | None, sent: int) -> bytes:
        row = clip.coefficients[number].tolist() if number is not None else [0.0] * len(clip.channel_names)
        weights = dict(zip(clip.channel_names, row, strict=True))
        return packet(weights, frame=(first + sent) % day, fps=clip.fps, subject=subject, device_id=device_id)

    sent = skipped = number = 0
    begin = time.monotonic()
    with socket.socket(address[0], socket.SOCK_DGRAM) as udp:
        try:
            while loop or number < num_frames:
                due = begin + number / clip.fps
                now = time.monotonic()
                if now < due:
                    time.sleep(due - now)
                elif (late := int((now - due) * clip.fps)) > 0:
                    last = number + late if loop else min(number + late, num_frames - 1)
                    skipped, number = skipped + last - number, last
                _send(udp, content(number % num_frames, number), address[1], host)
                sent, number = sent + 1, number + 1
                if on_frame:
                    on_frame(number)
            _wait_until(begin + number / clip.fps)
        except KeyboardInterrupt:
            pass
        finally:
            for _ in range(_NEUTRAL_PACKETS):
                _send(udp, content(None, number), address[1], host)
    return Played(frames=sent, skipped=skipped, seconds=time.monotonic() - begin)


def check_subject(subject: str) -> None:
    """Refuses what packets cannot name.

    Raises:
        LiveLinkError: says what is allowed.
    """
    if not subject.isascii() or not subject.isprintable() or not 0 < len(subject) < 256:
        raise LiveLinkError(f"subject {subject!r}: expected 1 to 255 printable ASCII characters")


def resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple]:
    """The kind and the address of a receiver.

    Raises:
        LiveLinkError: when nobody is known by that name.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError, OverflowError) as error:
        raise LiveLinkError(
            f"{host}:{port}: no such host ({error}); give a name or address, such as 127.0.0.1"
        ) from None
    return family, address


def _send(udp: socket.socket, content: bytes, address: tuple, host: str) -> None:
    try:
        udp.sendto(content, address)
    except OSError as error:
        raise LiveLinkError(f"{host}: cannot be sent to: {error.strerror}; check address and network") from None


def _wait_until(due: float) -> None:
    """The last frame stays for its own time."""
    time.sleep(max(0.0, due - time.monotonic()))
