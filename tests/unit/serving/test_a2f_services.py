"""What stands beside the stream: keys, exported configurations, health, and Ray Serve's ingress."""

import contextlib
import json

import grpc
import pytest
from a2f_calls import END, FRAME_SAMPLES, LoudnessService, connected, edge, header, parts, sound, talk, want_key
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from in_loop import in_loop

from diffusiontalker.serving.a2f import SERVICE_NAMES, A2FEdge, A2FLimits
from diffusiontalker.serving.a2f.generated.a2f_controller_service_pb2_grpc import (
    add_A2FControllerServiceServicer_to_server,
)
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2 import ConfigsTypeRequest
from diffusiontalker.serving.a2f.generated.a2x_export_config_service_pb2_grpc import A2XExportConfigServiceStub
from diffusiontalker.serving.a2f.generated.status_pb2 import Status
from diffusiontalker.serving.errors import ServingError


@in_loop
async def test_without_a_key_nothing_but_health_answers():
    service = LoudnessService()
    async with connected(edge(service, authenticate=want_key, configs={"a.yaml": "a: 1\n"})) as channel:
        answers, call = await talk(channel)
        assert (await call.code(), parts(answers)) == (grpc.StatusCode.UNAUTHENTICATED, ["status"])
        assert answers[-1].status.code == Status.ERROR
        configs = A2XExportConfigServiceStub(channel).GetConfigs(ConfigsTypeRequest())
        with pytest.raises(grpc.aio.AioRpcError, match="no known key"):
            await configs.read()
        assert (await HealthStub(channel).Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING
        key = (("authorization", "Bearer sesame"),)
        answers, _ = await talk(channel, header(), sound(bytes(640)), END, metadata=key)
        assert answers[-1].status.code == Status.SUCCESS
        configs = A2XExportConfigServiceStub(channel).GetConfigs(ConfigsTypeRequest(), metadata=key)
        assert [config.name async for config in configs] == ["a.yaml"]
    assert len(service.streams) == 1


@in_loop
async def test_configurations_come_as_yaml_or_as_json():
    configs = {"server.yaml": "fps: 25\n# why\nnames: [a]\n", "limits.yml": "max_clip_s: 300\n"}
    async with connected(edge(LoudnessService(), configs=configs)) as channel:
        stub = A2XExportConfigServiceStub(channel)
        as_yaml = [(config.name, config.content) async for config in stub.GetConfigs(ConfigsTypeRequest())]
        wanted = ConfigsTypeRequest(config_type=ConfigsTypeRequest.JSON)
        as_json = {config.name: json.loads(config.content) async for config in stub.GetConfigs(wanted)}
    assert as_yaml == list(configs.items())
    assert as_json == {"server.json": {"fps": 25, "names": ["a"]}, "limits.json": {"max_clip_s": 300}}


@in_loop
async def test_health_follows_readiness():
    ready = [False]
    async with connected(edge(LoudnessService(), is_ready=lambda: ready[0], health_poll_s=0.01)) as channel:
        stub = HealthStub(channel)
        watch = stub.Watch(HealthCheckRequest(service=SERVICE_NAMES[0]))
        assert (await watch.read()).status == HealthCheckResponse.NOT_SERVING
        assert (await stub.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING
        ready[0] = True
        assert (await watch.read()).status == HealthCheckResponse.SERVING
        watch.cancel()
        for service in ("", *SERVICE_NAMES):
            assert (await stub.Check(HealthCheckRequest(service=service))).status == HealthCheckResponse.SERVING
        listed = await stub.List(HealthListRequest())
        assert {name: item.status for name, item in listed.statuses.items()} == dict.fromkeys(("", *SERVICE_NAMES), 1)
        with pytest.raises(grpc.aio.AioRpcError, match="no service 'a2f'") as caught:
            await stub.Check(HealthCheckRequest(service="a2f"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        unknown = stub.Watch(HealthCheckRequest(service="a2f"))
        assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        unknown.cancel()


class RayLike:
    """A servicer that hands over what Ray Serve gives to an ingress, and takes back what its proxy takes."""

    def __init__(self, inner: A2FEdge) -> None:
        self._inner = inner

    async def ProcessAudioStream(self, request_iterator, context):  # noqa: N802
        from ray.serve.grpc_util import RayServegRPCContext, gRPCInputStream

        ray_context = RayServegRPCContext(context)
        ray_context.set_trailing_metadata([("request_id", "1")])
        stream = gRPCInputStream(aiter(request_iterator))
        async with contextlib.aclosing(self._inner.ProcessAudioStream(stream, ray_context)) as answers:
            async for answer in answers:
                ray_context._set_on_grpc_context(context)  # with every message; never after the last
                yield answer

    def add_to_server(self, server: grpc.aio.Server) -> None:
        add_A2FControllerServiceServicer_to_server(self, server)


@in_loop
async def test_an_ingress_of_ray_serve_can_delegate_to_it():
    busy = LoudnessService(refusal=ServingError("busy", "full", retry_after_s=1))
    for service, code, endings in ((LoudnessService(), "OK", [END]), (busy, "RESOURCE_EXHAUSTED", [])):
        async with connected(RayLike(edge(service))) as channel:
            answers, call = await talk(channel, header(), sound(bytes(2 * FRAME_SAMPLES)), *endings)
            assert (await call.code()).name == code
            trailers = dict(await call.trailing_metadata())
        assert answers[-1].status.code == (Status.SUCCESS if code == "OK" else Status.ERROR)
        assert trailers == ({"request_id": "1"} if code == "OK" else {"request_id": "1", "retry-after": "1"})


@pytest.mark.parametrize(
    "wrong",
    [{"min_rate_hz": 0}, {"min_rate_hz": 48_000, "max_rate_hz": 16_000}, {"max_idle_s": 0.0}, {"max_clip_s": -1.0}],
)
def test_limits_that_leave_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        A2FLimits(**wrong)
