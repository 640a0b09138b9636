"""Endpoints in processes of their own: they end whatever happens, and are compared round by round."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from diffusiontalker.load import Against, AgainstConfig, LoadConfig, LoadError, Percentiles, against_table, run_against
from diffusiontalker.load.against import OWN, PLAIN, Turn
from diffusiontalker.load.measures import Level
from diffusiontalker.load.pictures import against_png
from diffusiontalker.load.processes import ServerProcess, free_port, running

STUBBORN = """
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def level(number: float, *, throughput: float, p99: float) -> Level:
    latency = Percentiles(count=10, p50=p99 / 2, p95=p99, p99=p99, max=p99)
    return Level(
        level=number, seconds=1.0, throughput=throughput, audio_s_per_s=3 * throughput, latency=latency, errors={},
        client_cpu_share=0.1, server_cpu_ms=100.0 / throughput,
    )  # fmt: skip


def against(turns: Sequence[Turn], *, rounds: int = 3) -> Against:
    config = AgainstConfig(load=LoadConfig(levels=(4,)), bundle=Path("bundle"), rounds=rounds)
    return Against(config=config, date="", turns=turns, is_partial=False)


def test_a_server_that_will_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    server = ServerProcess([sys.executable, "-c", STUBBORN, str(port)], url=f"http://127.0.0.1:{port}", log=log)
    server.wait_ready(seconds=20.0)
    child = int(log.read_text().split()[0])
    assert is_alive(child)
    assert server.cpu_s() > 0
    server.end(patience_s=0.3)
    deadline = time.monotonic() + 10.0
    while is_alive(server.pid) or is_alive(child):
        assert time.monotonic() < deadline


def test_a_server_ends_when_its_user_fails(tmp_path: Path) -> None:
    port = free_port()
    program = STUBBORN.replace("signal.SIG_IGN", "signal.SIG_DFL")
    with (
        pytest.raises(RuntimeError, match="mine"),
        running(
            [sys.executable, "-c", program, str(port)], url=f"http://127.0.0.1:{port}", log=tmp_path / "log"
        ) as server,
    ):
        raise RuntimeError("mine")
    assert not is_alive(server.pid)


def test_a_server_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    program = "import sys; print('the cat ate it'); sys.exit(3)"
    with (
        pytest.raises(LoadError, match=r"ended with code 3:\nthe cat ate it"),
        running([sys.executable, "-c", program], url=f"http://127.0.0.1:{free_port()}", log=tmp_path / "log"),
    ):
        pass


def test_ratios_are_taken_round_by_round() -> None:
    turns = [
        Turn(round=number, system=system, levels=[level(4, throughput=speed * factor, p99=100.0 / (speed * factor))])
        for number, speed in ((1, 1.0), (2, 10.0), (3, 4.0))
        for system, factor in ((OWN, 2.0 + number), (PLAIN, 1.0))
    ]
    result = against(turns)
    ratios = result.ratios(OWN, 4)
    assert ratios["throughput"] == pytest.approx([3.0, 4.0, 5.0])
    assert ratios["p99"] == pytest.approx([1 / 3, 1 / 4, 1 / 5], abs=1e-3)
    assert ratios["server_cpu_ms"] == pytest.approx([1 / 3, 1 / 4, 1 / 5], abs=1e-3)
    median = result.level(PLAIN, 4)
    assert median is not None
    assert median.throughput == 4.0
    assert "throughput 4.00 (3.00 to 5.00)" in against_table(result)
    assert result.plain()["ratios"][OWN]["4"]["throughput"] == ratios["throughput"]
    picture = against_png(result)
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


def test_a_round_that_one_did_not_finish_makes_no_ratio() -> None:
    turns = [Turn(round=1, system=OWN, levels=[level(4, throughput=1.0, p99=1.0)])]
    assert against(turns).ratios(OWN, 4)["throughput"] == []
    assert "workers" in against_table(against(turns))


def test_only_closed_loops_are_compared() -> None:
    with pytest.raises(LoadError, match="closed loop"):
        AgainstConfig(load=LoadConfig(mode="streams"), bundle=Path("bundle"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--against-plain",), "give the --bundle"),
        (("--against-plain", "--bundle", "b", "--rounds", 2), "expected at least 3"),
        (("--against-plain", "--bundle", "nowhere"), "nowhere: does not exist"),
        (("--bundle", "b"), "are for --against-plain"),
    ],
)
def test_flags_that_do_not_go_together_are_named(flags: tuple, message: str, command: Callable) -> None:
    code, _, problem = command("bench", "serve", *flags)
    assert code == 2
    assert message in problem


def test_the_plain_endpoint_answers_as_ours_does(bundle_path: Path, url: str) -> None:
    from fastapi.testclient import TestClient

    from diffusiontalker.client import Client
    from diffusiontalker.client.calls import animation_of
    from diffusiontalker.load.programs.plain_fastapi import build_app
    from diffusiontalker.load.sound import load_sound

    clips = load_sound(None, seconds=0.6).clips
    with TestClient(build_app(bundle_path)) as plain, Client(url) as ours:
        assert plain.get("/ready").status_code == 200
        for options, reference in (({}, None), ({"voice": "ben"}, None), ({}, clips[1])):
            files = {"audio": clips[0]} | ({} if reference is None else {"reference": reference})
            answer = plain.post("/v1/animations", params={"format": "npz", **options}, files=files)
            assert answer.status_code == 200, answer.text
            there, here = animation_of(answer.content), ours.animate(clips[0], reference=reference, **options)
            assert (there.fps, there.channel_names) == (here.fps, here.channel_names)
            assert there.coefficients == pytest.approx(here.coefficients, abs=1e-4)
        assert plain.post("/v1/animations", files={"audio": b"no sound"}).status_code == 422


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.serve
def test_both_endpoints_take_their_turns_and_end(bundle_path: Path) -> None:
    load = LoadConfig(levels=(2,), seconds=0.4, warm_up_s=0.1, duration_s=1.5)
    told: list[str] = []
    result = run_against(AgainstConfig(load=load, bundle=bundle_path, rounds=1, threads=1), on_line=told.append)
    assert [(turn.round, turn.system) for turn in result.turns] == [(1, OWN), (1, PLAIN)]
    for turn in result.turns:
        assert turn.levels[0].errors == {}
        assert turn.levels[0].throughput > 0
        assert turn.levels[0].server_cpu_ms is not None
    assert len(result.ratios(OWN, 2)["throughput"]) == 1
    assert "plain FastAPI" in against_table(result)
    command_lines = [path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [words for words in command_lines if str(bundle_path) in words]
