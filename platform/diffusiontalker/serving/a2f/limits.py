"""What one Audio2Face-3D client may send; the limits that NVIDIA's own server has by default."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class A2FLimits:
    """Everything outside ends the stream with status ERROR."""

    min_rate_hz: int = 16_000
    """Lowest sample rate accepted, in Hz."""
    max_rate_hz: int = 144_000
    """Highest sample rate accepted, in Hz."""
    max_clip_s: float = 300.0
    """Longest recording, in seconds."""
    max_buffer_s: float = 10.0
    """Longest single message of sound, in seconds. gRPC has a limit of its own, in bytes a message."""
    max_idle_s: float = 30.0
    """Longest wait for the client's next message, in seconds, until the sound has ended."""

    def __post_init__(self) -> None:
        """Checks that the limits leave something to accept."""
        if not 0 < self.min_rate_hz <= self.max_rate_hz:
            raise ValueError(
                f"min_rate_hz is {self.min_rate_hz} and max_rate_hz {self.max_rate_hz}: expected 0 < min <= max"
            )
        for field in ("max_clip_s", "max_buffer_s", "max_idle_s"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} is {getattr(self, field)}, expected a positive number of seconds")
