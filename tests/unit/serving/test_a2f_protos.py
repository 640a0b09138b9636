import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from diffusiontalker.serving.a2f import generated
from diffusiontalker.serving.a2f.generated import (
    a2f_controller_service_pb2,
    a2f_pb2,
    a2x_export_config_service_pb2,
    animation_data_pb2,
    audio_pb2,
    controller_pb2,
    emotion_with_timecode_pb2,
    status_pb2,
)

GENERATED = Path(generated.__file__).parent
MODULES = (
    a2f_controller_service_pb2, a2f_pb2, a2x_export_config_service_pb2, animation_data_pb2, audio_pb2, controller_pb2,
    emotion_with_timecode_pb2, status_pb2,
)  # fmt: skip

# What travels: full name of the message -> field name -> (number, type as protobuf counts them, repeated).
# double 1, float 2, int32 5, bool 8, string 9, message or map 11, bytes 12, uint32 13, enum 14.
WIRE = {
    "nvidia_ace.audio.v1.AudioHeader": {
        "audio_format": (1, 14, False), "channel_count": (2, 13, False), "samples_per_second": (3, 13, False),
        "bits_per_sample": (4, 13, False),
    },
    "nvidia_ace.status.v1.Status": {"code": (1, 14, False), "message": (2, 9, False)},
    "nvidia_ace.emotion_with_timecode.v1.EmotionWithTimeCode": {"time_code": (1, 1, False), "emotion": (2, 11, True)},
    "nvidia_ace.a2f.v1.FloatArray": {"values": (1, 2, True)},
    "nvidia_ace.a2f.v1.FaceParameters": {
        "float_params": (1, 11, True), "integer_params": (2, 11, True), "float_array_params": (3, 11, True),
    },
    "nvidia_ace.a2f.v1.BlendShapeParameters": {
        "bs_weight_multipliers": (1, 11, True), "bs_weight_offsets": (2, 11, True),
        "enable_clamping_bs_weight": (3, 8, False),
    },
    "nvidia_ace.a2f.v1.EmotionParameters": {"live_transition_time": (1, 2, False), "beginning_emotion": (2, 11, True)},
    "nvidia_ace.a2f.v1.EmotionPostProcessingParameters": {
        "emotion_contrast": (1, 2, False), "live_blend_coef": (2, 2, False), "enable_preferred_emotion": (3, 8, False),
        "preferred_emotion_strength": (4, 2, False), "emotion_strength": (5, 2, False), "max_emotions": (6, 5, False),
    },
    "nvidia_ace.a2f.v1.AudioWithEmotion": {"audio_buffer": (1, 12, False), "emotions": (2, 11, True)},
    "nvidia_ace.animation_data.v1.SkelAnimationHeader": {"blend_shapes": (1, 9, True), "joints": (2, 9, True)},
    "nvidia_ace.animation_data.v1.FloatArrayWithTimeCode": {"time_code": (1, 1, False), "values": (2, 2, True)},
    "nvidia_ace.animation_data.v1.AudioWithTimeCode": {"time_code": (1, 1, False), "audio_buffer": (2, 12, False)},
    "nvidia_ace.animation_data.v1.SkelAnimation": {"blend_shape_weights": (1, 11, True)},
    "nvidia_ace.animation_data.v1.AnimationData": {
        "skel_animation": (1, 11, False), "audio": (2, 11, False), "metadata": (4, 11, True),
    },
    "nvidia_ace.controller.v1.AudioStreamHeader": {
        "audio_header": (1, 11, False), "face_params": (2, 11, False), "emotion_post_processing_params": (3, 11, False),
        "blendshape_params": (4, 11, False), "emotion_params": (5, 11, False),
    },
    "nvidia_ace.controller.v1.AudioStream": {
        "audio_stream_header": (1, 11, False), "audio_with_emotion": (2, 11, False), "end_of_audio": (3, 11, False),
    },
    "nvidia_ace.controller.v1.AnimationDataStreamHeader": {
        "audio_header": (1, 11, False), "skel_animation_header": (2, 11, False),
        "start_time_code_since_epoch": (3, 1, False),
    },
    "nvidia_ace.controller.v1.Event": {"event_type": (1, 14, False), "metadata": (2, 11, False)},
    "nvidia_ace.controller.v1.AnimationDataStream": {
        "animation_data_stream_header": (1, 11, False), "animation_data": (2, 11, False), "event": (3, 11, False),
        "status": (4, 11, False),
    },
    "nvidia_ace.services.a2x_export_config.v1.ConfigsTypeRequest": {"config_type": (1, 14, False)},
    "nvidia_ace.services.a2x_export_config.v1.A2XConfig": {"name": (1, 9, False), "content": (2, 9, False)},
}  # fmt: skip


def run_protoc(command: str, out: Path, root: Path) -> None:
    words = []
    for word in shlex.split(command):
        words += [str(path.relative_to(root)) for path in sorted(root.glob(word))] if "*" in word else [word]
    assert words[:3] == ["python", "-m", "grpc_tools.protoc"]
    words = [re.sub(r"^(--\w+_out=).*", rf"\g<1>{out}", word) for word in words[1:]]
    completed = subprocess.run(
        [sys.executable, *words], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.returncode == 0, completed.stderr


def test_the_generated_code_is_what_the_protos_give(tmp_path, repository_root):
    docstring = ast.get_docstring(ast.parse((GENERATED / "__init__.py").read_text(encoding="utf-8"))) or ""
    commands = re.findall(r"^python .*$", docstring, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        run_protoc(command, tmp_path, repository_root)
    fresh = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*_pb2*")}
    committed = {path.name: path.read_text(encoding="utf-8") for path in GENERATED.glob("*_pb2*") if path.is_file()}
    assert len(fresh) == 2 * len(MODULES) + 2
    assert committed == fresh


def test_messages_keep_the_names_and_numbers_that_clients_send():
    described = {
        message.full_name: {
            field.name: (field.number, field.type, field.is_repeated) for field in message.fields_by_name.values()
        }
        for module in MODULES
        for message in module.DESCRIPTOR.message_types_by_name.values()
    }
    assert described == WIRE


@pytest.mark.parametrize(
    ("enum", "values"),
    [
        (audio_pb2.AudioHeader.AudioFormat, {"AUDIO_FORMAT_PCM": 0}),
        (status_pb2.Status.Code, {"SUCCESS": 0, "INFO": 1, "WARNING": 2, "ERROR": 3}),
        (controller_pb2.EventType, {"END_OF_A2F_AUDIO_PROCESSING": 0}),
        (a2x_export_config_service_pb2.ConfigsTypeRequest.ConfigType, {"YAML": 0, "JSON": 1}),
    ],
)
def test_enums_keep_their_values(enum, values):
    assert dict(enum.items()) == values


def test_what_is_left_unset_can_be_told_from_zero():
    parameters = a2f_pb2.EmotionPostProcessingParameters.FromString(b"")
    assert not parameters.HasField("emotion_strength")
    parameters.emotion_strength = 0.0
    assert a2f_pb2.EmotionPostProcessingParameters.FromString(parameters.SerializeToString()).HasField(
        "emotion_strength"
    )


def test_services_are_called_as_clients_call_them():
    controller = a2f_controller_service_pb2.DESCRIPTOR.services_by_name["A2FControllerService"]
    configs = a2x_export_config_service_pb2.DESCRIPTOR.services_by_name["A2XExportConfigService"]
    assert controller.full_name == "nvidia_ace.services.a2f_controller.v1.A2FControllerService"
    assert configs.full_name == "nvidia_ace.services.a2x_export_config.v1.A2XExportConfigService"
    process, get = controller.methods_by_name["ProcessAudioStream"], configs.methods_by_name["GetConfigs"]
    assert (process.client_streaming, process.server_streaming) == (True, True)
    assert process.input_type.full_name == "nvidia_ace.controller.v1.AudioStream"
    assert process.output_type.full_name == "nvidia_ace.controller.v1.AnimationDataStream"
    assert (get.client_streaming, get.server_streaming) == (False, True)


def test_no_module_of_ours_is_called_nvidia_ace_and_health_has_one_definition():
    code = "\n".join(
        [
            "import sys, diffusiontalker.serving.a2f",
            "from google.protobuf import descriptor_pool",
            "health = descriptor_pool.Default().FindMessageTypeByName('grpc.health.v1.HealthCheckRequest')",
            "print(sorted(name for name in sys.modules if name.startswith('nvidia_ace')), health.file.name)",
            "print('ray' in sys.modules)",
        ]
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert completed.stdout.splitlines() == [f"[] {health_pb2.DESCRIPTOR.name}", "False"]
