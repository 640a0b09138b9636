"""`play`: motion over the network, live."""

import contextlib
import dataclasses
import signal
from collections.abc import Iterator
from pathlib import Path

from tyro.conf import Positional

from diffusiontalker.cli.motion_output import check_rate
from diffusiontalker.cli.verb import OptionalNumber, OptionalText, UsageError, Verb, progress, say


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play(Verb):
    """Plays motion to Unreal Engine, live: sends it over UDP as the Live Link Face app does.

    In Unreal Engine, enable the plugins Live Link and Apple ARKit Face Support; the subject then appears under Window >
    Virtual Production > Live Link. Ctrl-C (or SIGTERM) ends it; the face returns to neutral.

    Examples:
        diffusiontalker play speech.csv
        diffusiontalker play speech.glb --udp 192.168.1.20:11111 --loop --subject Anna
    """

    source: Positional[Path]
    """Motion in any format that convert reads."""
    udp: str = "127.0.0.1:11111"
    """Where to send: HOST:PORT."""
    fps: OptionalNumber = None
    """Frames sent per second; by default those of the file."""
    loop: bool = False
    """Begin again at the end, until interrupted."""
    subject: str = "diffusiontalker"
    """Name of the Live Link subject."""
    from_format: OptionalText = None
    """Format of the file; by default what its name says."""
    input_fps: OptionalNumber = None
    """Frame rate of the file, where it does not tell it."""

    def run(self) -> None:
        """Reads, then sends in real time."""
        check_rate(self.fps, "--fps")
        check_rate(self.input_fps, "--input-fps")
        host, port = self._address()
        from diffusiontalker.client.live_link import LiveLinkError, check_subject, play_live_link, resolved
        from diffusiontalker.face import read_motion

        try:
            check_subject(self.subject)
        except LiveLinkError as error:
            raise UsageError(f"--{error}") from None
        try:
            resolved(host, port)
        except LiveLinkError as error:
            raise UsageError(f"--udp {error}") from None
        clip = read_motion(self.source, motion_format=self.from_format, fps=self.input_fps, fps_name="--input-fps")
        clip = clip if self.fps is None else clip.resampled(self.fps)
        say(
            f"playing {self.source} to {host}:{port} as '{self.subject}': {clip.duration_s:.2f} s at {clip.fps:g} fps"
            + (", again and again; Ctrl-C ends it" if self.loop else "")
        )
        with progress("playing") as report_progress, _terminated_as_interrupted():
            played = play_live_link(
                clip,
                host=host,
                port=port,
                subject=self.subject,
                loop=self.loop,
                on_frame=lambda number: report_progress((number - 1) % clip.num_frames + 1, clip.num_frames),
            )
        skipped = f"; {played.skipped} more were skipped, as this machine was too busy" if played.skipped else ""
        say(f"sent {played.frames} frames in {played.seconds:.2f} s{skipped}")

    def _address(self) -> tuple[str, int]:
        host, _, port = self.udp.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise UsageError(f"--udp {self.udp}: expected HOST:PORT, such as 127.0.0.1:11111")
        return host.strip("[]"), int(port)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM, which `kill` and service managers send, ends it as Ctrl-C does: the face must not freeze."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
