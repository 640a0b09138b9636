"""`animate`, `enroll` and `voices list`."""

import dataclasses
import time
from pathlib import Path

from tyro.conf import Positional

from diffusiontalker.cli.motion_output import MotionOutput, check_rate
from diffusiontalker.cli.verb import (
    EngineName,
    OptionalInteger,
    OptionalNumber,
    OptionalText,
    Verb,
    progress,
    say,
    working,
)

DEFAULT_VOICES = "voices"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Animate(Verb):
    """Animates speech: a sound file in, a face animation out.

    The end of --out chooses the format:
        .csv .json .ndjson .npz .parquet .arrow    ARKit coefficients by name, one row per frame
        .livelink.csv                              a recording of Live Link Face, as Unreal Engine takes it
        .beat.json .a2f.json                       JSON of the BEAT corpus, of NVIDIA Audio2Face
        .glb .usda .usdc                           an animated head (USD needs the extra diffusiontalker[usd])

    Examples:
        diffusiontalker animate speech.wav --bundle runs/demo/bundle --out speech.csv
        diffusiontalker animate speech.wav --bundle runs/demo/bundle --out happy.glb --emotion happy
        diffusiontalker animate speech.wav --bundle runs/demo/bundle --out anna.csv --voice Anna --fps 60
    """

    audio: Positional[Path]
    """Speech: wav, flac, ogg or mp3 of any rate, 0.1 s to 1 hour."""
    bundle: str
    """Trained talker: a folder or URL."""
    out: Path
    """The file to write; its end is the format."""
    format: OptionalText = None
    """Format of --out, if its name does not say it."""
    with_audio: bool = False
    """Write the sound, too: beside --out as 16-bit .wav, and named inside formats that can name it."""
    voice: OptionalText = None
    """Whose way of moving: the name or id of an enrolled voice, a voice file, or a speaker the talker was trained on.
    By default it is heard from the audio itself."""
    voices: str = DEFAULT_VOICES
    """Enrolled voices: a folder or URL."""
    emotion: OptionalText = None
    """One of the talker's emotions; by default it is heard from the audio."""
    emotion_intensity: float = 1.0
    """How much of --emotion: 0 is neutral, 1 as trained, up to 2 exaggerated."""
    num_steps: OptionalInteger = None
    """Sampling steps; the bundle's own by default. Fewer are faster."""
    temperature: OptionalNumber = None
    """Variety: 0 gives the same, most likely motion for every seed; the bundle's own by default."""
    seed: int = 0
    """Another seed gives another take."""
    fps: OptionalNumber = None
    """Frame rate of the file; the talker's own by default."""
    rig: OptionalText = None
    """Head for .glb, .usda and .usdc: path or URL of an .npz, a folder of OBJ files or a GLB with ARKit shapes; by
    default built in."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1 ..."""
    engine: EngineName = "auto"
    """What computes: onnx (float32 on CPUs), onnx-int8 (the fastest on CPUs, and not quite the same), torch (the
    reference), torch-bfloat16 (for hardware that has it); auto: onnx on CPUs, torch elsewhere."""
    overwrite: bool = False
    """Replace --out if it exists."""

    def run(self) -> None:
        """Reads, animates, writes."""
        output = MotionOutput(
            path=self.out,
            argument="--out",
            motion_format=self.format,
            audio=self.audio,
            with_audio=self.with_audio,
            overwrite=self.overwrite,
        )
        output.check()
        check_rate(self.fps, "--fps")
        from diffusiontalker.audio.timebase import SAMPLE_RATE_HZ
        from diffusiontalker.audio.waveform import read_waveform
        from diffusiontalker.face import load_rig
        from diffusiontalker.inference import animate, find_voice, load_bundle

        waveform = read_waveform(self.audio)
        bundle = load_bundle(self.bundle, device=self.device, engine=self.engine)
        rig = load_rig(self.rig) if self.rig else None
        begin = time.perf_counter()
        with progress(f"animating {self.audio.name}") as report_progress:
            clip = animate(
                bundle,
                waveform,
                voice=find_voice(self.voice, bundle=bundle, voices=self.voices) if self.voice else None,
                emotion=self.emotion,
                emotion_intensity=self.emotion_intensity,
                num_steps=self.num_steps,
                temperature=self.temperature,
                seed=self.seed,
                on_progress=lambda fraction: report_progress(round(100 * fraction), 100),
            )
        seconds, audio_s = time.perf_counter() - begin, len(waveform) / SAMPLE_RATE_HZ
        clip = clip if self.fps is None else clip.resampled(self.fps)
        output.write(clip, rig=rig)
        say(
            f"wrote {output.described(clip, rig=rig)}; animated {audio_s:.2f} s of speech in {seconds:.2f} s "
            f"(RTF {seconds / audio_s:.3f})"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enroll(Verb):
    """Stores a voice: how a speaker's face moves, derived from recordings of that speaker's speech.

    Several recordings are better than one; 10 s or more in all are good. A voice works with the bundle it was made
    with.

    Examples:
        diffusiontalker enroll anna_1.wav anna_2.wav --name Anna --bundle runs/demo/bundle
        diffusiontalker animate speech.wav --bundle runs/demo/bundle --voice Anna --out speech.csv
    """

    references: Positional[tuple[Path, ...]]
    """Recordings of one speaker: wav, flac, ogg or mp3."""
    name: str
    """What to call the voice; any text."""
    bundle: str
    """Trained talker: a folder or URL."""
    voices: str = DEFAULT_VOICES
    """Where to store the voice: a folder or URL."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1 ..."""

    def run(self) -> None:
        """Reads the references, embeds them, stores their mean."""
        from diffusiontalker.audio.waveform import read_waveform
        from diffusiontalker.inference import VoiceStore, enroll, load_bundle

        waveforms = [read_waveform(path) for path in self.references]
        bundle = load_bundle(self.bundle, device=self.device)
        with working(f"listening to {len(waveforms)} recordings"):
            voice = enroll(bundle, waveforms, name=self.name)
        path = VoiceStore(self.voices).save(voice)
        say(
            f"wrote {path}: voice '{voice.name}', id {voice.voice_id}, from {len(waveforms)} recordings of "
            f"{voice.provenance['seconds']:.1f} s in all; use it with --voice '{voice.name}'"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListVoices(Verb):
    """Lists the stored voices: id, name and the bundle each belongs to.

    Examples:
        diffusiontalker voices list
        diffusiontalker voices list --voices runs/demo/voices
    """

    voices: str = DEFAULT_VOICES
    """Enrolled voices: a folder or URL."""

    def run(self) -> None:
        """Prints one line per voice."""
        from diffusiontalker.inference import VoiceStore

        voices = VoiceStore(self.voices).list()
        for voice in voices:
            say(f"{voice.voice_id}\t{voice.name}\tbundle {voice.bundle_digest[:12]}")
        if not voices:
            say(f"no voices in {self.voices}; make one with 'diffusiontalker enroll'")
