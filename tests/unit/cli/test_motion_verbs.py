"""`convert` and `play`, and what `animate` writes beside its motion."""

import dataclasses
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from diffusiontalker.audio.waveform import read_waveform, write_wav
from diffusiontalker.cli.convert import Convert
from diffusiontalker.client.live_link import LiveLinkError, play_live_link
from diffusiontalker.face import CHANNELS, MotionClip, read_motion, write_motion
from diffusiontalker.face.live_link import NUM_VALUES
from diffusiontalker.face.readers import MAX_GAP_S


def make_clip(num_frames: int = 30, fps: float = 30.0) -> MotionClip:
    values = np.random.default_rng(2).random((num_frames, 51)).astype(np.float32)
    return MotionClip(coefficients=values, fps=fps, channel_names=CHANNELS[:51])


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    path = tmp_path / "take.csv"
    write_motion(make_clip(), path)
    return path


def test_a_file_is_converted_by_the_end_of_its_new_name(tmp_path: Path, motion: Path, command: Callable) -> None:
    outcome = command("convert", motion, tmp_path / "take.beat.json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"wrote {tmp_path / 'take.beat.json'}: 1.00 s, 30 frames at 30 fps, 51 channels\n"
    outcome = command("convert", motion, tmp_path / "take.livelink.csv")
    assert outcome.out.endswith("30 fps, 52 channels (tongueOut at 0: the source lacks it)\n")
    np.testing.assert_array_equal(read_motion(tmp_path / "take.beat.json").coefficients, make_clip().coefficients)


def test_gaps_are_filled_as_far_as_readers_do_by_default() -> None:
    (default,) = [field.default for field in dataclasses.fields(Convert) if field.name == "max_gap_s"]
    assert default == MAX_GAP_S


def test_a_flag_says_the_format_where_names_do_not(tmp_path: Path, motion: Path, command: Callable) -> None:
    assert command("convert", motion, tmp_path / "take.txt", "--format", "a2f").code == 0
    assert json.loads((tmp_path / "take.txt").read_text())["numPoses"] == 51
    assert command("convert", tmp_path / "take.txt", tmp_path / "back.npz", "--from-format", "a2f").code == 0
    np.testing.assert_array_equal(read_motion(tmp_path / "back.npz").coefficients, make_clip().coefficients)


def test_rates_are_changed_and_told(tmp_path: Path, command: Callable) -> None:
    np.save(tmp_path / "take.npy", np.zeros((60, 52), np.float32))
    out = tmp_path / "take.npz"
    outcome = command("convert", tmp_path / "take.npy", out)
    assert outcome.code == 2
    assert "tells no frame rate (no time_s column, no fps); give --input-fps" in outcome.err
    assert command("convert", tmp_path / "take.npy", out, "--input-fps", 60, "--fps", 25).code == 0
    assert (read_motion(out).fps, read_motion(out).num_frames) == (25, 25)


def test_the_sound_goes_beside_the_motion_and_is_named_in_it(
    tmp_path: Path, motion: Path, speech_path: Path, command: Callable
) -> None:
    out = tmp_path / "out" / "take.a2f.json"
    outcome = command("convert", motion, out, "--audio", speech_path)
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"wrote {tmp_path / 'out' / 'take.wav'}: 1.50 s, 16000 Hz, mono, 16 bits\n")
    assert json.loads(out.read_text())["trackPath"] == "take.wav"
    np.testing.assert_array_equal(read_waveform(out.with_name("take.wav")), read_waveform(speech_path))
    again = command("convert", motion, out.with_name("take.npz"), "--audio", speech_path)
    assert again.code == 0, again.err
    assert f"kept {tmp_path / 'out' / 'take.wav'}: it is this sound already\n" in again.out
    write_wav(np.zeros(16_000, np.float32), out.with_name("take.wav"), overwrite=True)
    refused = command("convert", motion, out.with_name("take.json"), "--audio", speech_path)
    assert refused.code == 2
    assert "take.wav already exists and nothing is overwritten; the sound would go there" in refused.err
    assert not out.with_name("take.json").exists()
    assert command("convert", motion, out.with_name("take.json"), "--audio", speech_path, "--overwrite").code == 0


def test_a_sound_of_another_length_is_warned_of(
    tmp_path: Path, motion: Path, command: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    for seconds, warnings in ((1.05, 0), (2.0, 1)):
        caplog.clear()
        write_wav(np.zeros(round(seconds * 16_000), np.float32), tmp_path / f"{seconds}.wav")
        out = tmp_path / f"to_{seconds}.npz"
        assert command("convert", motion, out, "--audio", tmp_path / f"{seconds}.wav").code == 0
        assert len(caplog.messages) == warnings
    assert "lasts 2.00 s, the motion 1.00 s: is it the sound of this motion?" in caplog.text


def test_usd_names_the_sound_that_lies_beside_it(
    tmp_path: Path, motion: Path, speech_path: Path, command: Callable
) -> None:
    pytest.importorskip("pxr.Usd", reason="usd-core is not installed (pip install 'diffusiontalker[usd]')")
    assert command("convert", motion, tmp_path / "a.usda", "--audio", speech_path).code == 0
    assert "@./a.wav@" in (tmp_path / "a.usda").read_text()
    assert command("convert", motion, tmp_path / "b.usda").code == 0
    assert "SpatialAudio" not in (tmp_path / "b.usda").read_text()


def test_animate_writes_sound_and_format_as_asked(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    out = tmp_path / "speech.json"
    outcome = command(
        "animate", speech_path, "--bundle", bundle_path, "--out", out, "--format", "a2f", "--with-audio", "--fps", 60
    )
    assert outcome.code == 0, outcome.err
    content = json.loads(out.read_text())
    assert (content["trackPath"], content["exportFps"]) == ("speech.wav", 60)
    np.testing.assert_array_equal(read_waveform(tmp_path / "speech.wav"), read_waveform(speech_path))
    beat = command("animate", speech_path, "--bundle", bundle_path, "--out", tmp_path / "speech.beat.json")
    assert "left out of" in beat.out
    assert "tongueOut" in beat.out


def test_the_recording_itself_is_never_written_over(
    tmp_path: Path, speech_path: Path, bundle_path: Path, command: Callable
) -> None:
    audio = tmp_path / "speech.wav"
    audio.write_bytes(speech_path.read_bytes())
    out = tmp_path / "speech.json"
    outcome = command("animate", audio, "--bundle", bundle_path, "--out", out, "--with-audio", "--overwrite")
    assert outcome.code == 0, outcome.err
    assert audio.read_bytes() == speech_path.read_bytes()
    assert json.loads(out.read_text())["audio"] == "speech.wav"


def test_a_folder_is_converted_as_a_whole(tmp_path: Path, command: Callable) -> None:
    source, out = tmp_path / "motions", tmp_path / "converted"
    for name in ("a.csv", "b.a2f.json", "day/c.glb"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        write_motion(make_clip(), source / name)
    (source / "notes.txt").write_text("no motion")
    outcome = command("convert", source, out, "--format", "livelink")
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"wrote 3 of 3 files to {out}\n"
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert names == ["a.livelink.csv", "b.livelink.csv", "day/c.livelink.csv"]


def test_a_broken_file_of_a_folder_does_not_stop_the_others(tmp_path: Path, command: Callable) -> None:
    source, out = tmp_path / "motions", tmp_path / "converted"
    source.mkdir()
    (source / "a.csv").write_text("time_s,jawOpen\n0,0\n0.04,wide\n")
    write_motion(make_clip(), source / "b.csv")
    outcome = command("convert", source, out, "--format", "npz")
    assert outcome.code == 2
    assert outcome.out == f"wrote 1 of 2 files to {out}\n"
    assert "1 file could not be converted" in outcome.err
    assert f"{source / 'a.csv'}: line 3, column 'jawOpen' is 'wide'" in outcome.err
    assert [path.name for path in out.iterdir()] == ["b.npz"]
    again = command("convert", source, out, "--format", "npz")
    assert again.code == 2
    assert f"1 of 2 files to write are there already, such as {out / 'b.npz'}; add --skip-existing" in again.err
    (source / "a.csv").unlink()
    write_motion(make_clip(), source / "a.csv")
    before = (out / "b.npz").stat().st_mtime_ns
    outcome = command("convert", source, out, "--format", "npz", "--skip-existing")
    assert (outcome.code, outcome.out) == (0, f"wrote 1 of 1 file to {out}; kept 1 that was there already\n")
    assert (out / "b.npz").stat().st_mtime_ns == before


def test_files_without_motion_are_listed_not_failed(tmp_path: Path, command: Callable) -> None:
    source = tmp_path / "motions"
    source.mkdir()
    (source / "notes.csv").write_text("take,remark\n1,good, but short\n")
    (source / "settings.json").write_text('{"theme": "dark"}')
    outcome = command("convert", source, tmp_path / "nothing", "--format", "npz")
    assert (outcome.code, "none of its 2 files holds motion" in outcome.err) == (2, True)
    write_motion(make_clip(), source / "b.csv")
    outcome = command("convert", source, tmp_path / "converted", "--format", "npz")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"wrote 1 of 1 file to {tmp_path / 'converted'}\nleft out 2 files without motion:\n" in outcome.out
    assert f"{source / 'notes.csv'}: no column is named after an ARKit channel" in outcome.out


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (("gone.csv", "x.json"), ("gone.csv: there is no such file",)),
        (("take.csv", "x.fbx"), ("x.fbx: unknown format '.fbx'", ".livelink.csv", "or give --format")),
        (("take.csv", "x.npy"), ("x.npy: files of format 'npy' are only read; choose one of .csv",)),
        (("take.csv", "x.json", "--format", "fbx"), ("--format fbx: unknown; expected one of csv, json",)),
        (("take.csv", "x.csv", "--format", "livelink.csv"), ("unknown (perhaps livelink?)",)),
        (("take.csv", "x.csv", "--format", "glb"), ("--format says glb, the name says csv", "end the name with .glb")),
        (("take.csv", "x.livelink.csv", "--format", "csv"), ("--format says csv, the name says livelink",)),
        (("take.csv", "x.json", "--overwrite", "--skip-existing"), ("give one of them",)),
        (("take.csv", "x.json", "--from-format", "maya"), ("unknown motion format 'maya'; choose one of csv",)),
        (("take.csv", "x.json", "--from-format", "bea"), ("unknown motion format 'bea' (perhaps beat?)",)),
        (("take.csv", "x.json", "--fps", "0"), ("--fps 0: expected 1 to 240",)),
        (("take.csv", "x.json", "--input-fps", "1000"), ("--input-fps 1000: expected 1 to 240",)),
        (("take.csv", "x.json", "--input-fps", "25"), ("--input-fps says 25 fps but time_s says 30 fps",)),
        (("take.csv", "x.glb", "--rig", "gone.npz"), ("gone.npz",)),
        (("take.csv", "x.json", "--audio", "gone.wav"), ("gone.wav: no such file",)),
        (("take.csv", "take.csv"), ("already exists and nothing is overwritten", "--overwrite")),
        ((".", "out"), ("--format is missing: . is a folder", "livelink")),
        ((".", "out", "--format", "a2f.json"), ("--format a2f.json: unknown (perhaps a2f?)",)),
        ((".", "out", "--format", "json", "--audio", "a.wav"), ("a sound belongs to a single file",)),
        (("empty", "out", "--format", "json"), ("empty: holds no motion file",)),
        (("twins", "out", "--format", "json"), ("would both become out/a.json",)),
    ],
)
def test_what_cannot_be_converted_is_named(
    tmp_path: Path, motion: Path, command: Callable, monkeypatch: pytest.MonkeyPatch, args: tuple, parts: tuple
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("twins").mkdir()
    for name in ("a.csv", "a.npz"):
        write_motion(make_clip(), Path("twins") / name)
    before = sorted(Path().rglob("*"))
    outcome = command("convert", *args)
    assert outcome.code == 2, outcome
    for part in parts:
        assert part in outcome.err
    assert sorted(Path().rglob("*")) == before


class Receiver:
    """A UDP port of this machine that keeps what arrives, and when."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.arrived: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while content := self.socket.recv(4096):
            self.arrived.append((time.monotonic(), content))

    def frames(self) -> list[tuple[int, np.ndarray]]:
        """Ends it; frame number and values of every packet."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self.socket.close()
        values = [np.frombuffer(content[-4 * NUM_VALUES :], ">f4") for _, content in self.arrived]
        tail = 4 * NUM_VALUES + 1 + 16
        return [
            (struct.unpack("!i", content[-tail : 4 - tail])[0], value)
            for (_, content), value in zip(self.arrived, values, strict=True)
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.socket.close()


def test_play_sends_every_frame_at_its_time_and_ends_neutral(
    motion: Path, receiver: Receiver, command: Callable
) -> None:
    outcome = command("play", motion, "--udp", f"127.0.0.1:{receiver.port}", "--subject", "Anna", "--fps", 60)
    assert outcome.code == 0, outcome.err
    assert f"to 127.0.0.1:{receiver.port} as 'Anna': 1.00 s at 60 fps" in outcome.out
    numbers, values = zip(*receiver.frames(), strict=True)
    assert all(b"\0\0\0\x04Anna" in content for _, content in receiver.arrived)
    steps = np.diff(numbers[:-2])
    # A busy machine may skip frames, never slip: the number of each tells its time.
    assert (steps >= 1).all()
    assert numbers[-1] - numbers[0] == 60
    times_s = np.array([moment for moment, _ in receiver.arrived])
    assert times_s[-1] - times_s[0] == pytest.approx(1.0, abs=0.15)
    assert not np.any(values[-3:])
    clip = make_clip().resampled(60).with_channels(("eyeBlinkLeft", "eyeLookDownLeft"))
    for number, sent in zip(numbers[:-3], values[:-3], strict=True):
        np.testing.assert_allclose(sent[:2], clip.coefficients[number - numbers[0]], atol=1e-7)


def test_play_again_and_again_until_it_is_interrupted(receiver: Receiver) -> None:
    clip = make_clip(num_frames=10, fps=100)

    def interrupt(number: int) -> None:
        if number >= 25:
            raise KeyboardInterrupt

    played = play_live_link(clip, host="127.0.0.1", port=receiver.port, loop=True, on_frame=interrupt)
    numbers, values = zip(*receiver.frames(), strict=True)
    assert played.frames + played.skipped >= 25
    assert len(numbers) == played.frames + 3
    assert not np.any(values[-3:])
    np.testing.assert_allclose(values[0][0], clip.column("eyeBlinkLeft")[0])
    for number, sent in zip(numbers[:-3], values[:-3], strict=True):
        assert sent[0] == pytest.approx(clip.column("eyeBlinkLeft")[(number - numbers[0]) % 10])


def test_a_terminated_player_leaves_a_neutral_face(motion: Path, receiver: Receiver) -> None:
    program = "from diffusiontalker.cli import main; raise SystemExit(main())"
    flags = ("--loop", "--udp", f"127.0.0.1:{receiver.port}")
    command = (sys.executable, "-c", program, "play", motion, *flags)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as player:
        deadline = time.monotonic() + 60
        while len(receiver.arrived) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        player.terminate()
        out, _ = player.communicate(timeout=30)
    assert player.returncode == 0
    assert "sent " in out
    _, values = zip(*receiver.frames(), strict=True)
    assert np.any(values[0])
    assert not np.any(values[-3:])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--udp", "127.0.0.1"), "--udp 127.0.0.1: expected HOST:PORT"),
        (("--udp", "127.0.0.1:99999"), "expected HOST:PORT"),
        (("--udp", ":11111"), "expected HOST:PORT"),
        (("--udp", "no host:11111"), "--udp no host:11111: no such host"),
        (("--subject", "Änna"), "--subject 'Änna': expected 1 to 255 printable ASCII"),
        (("--fps", "0"), "--fps 0: expected 1 to 240"),
    ],
)
def test_what_cannot_be_played_is_named(motion: Path, command: Callable, flags: tuple, message: str) -> None:
    outcome = command("play", motion, *flags)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_an_address_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(LiveLinkError, match="cannot be sent to"):
        play_live_link(make_clip(), host="255.255.255.255", port=9)
