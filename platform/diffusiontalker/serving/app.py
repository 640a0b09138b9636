"""The application builder that Serve configurations name: `import_path: diffusiontalker.serving.app:build_app`."""

from ray.serve import Application

from diffusiontalker.serving.arguments import ServingArguments
from diffusiontalker.serving.deployments import PERSONALIZER, TALKER

_GENERATED = "diffusiontalker.serving.a2f.generated"
GRPC_SERVICERS = (
    f"{_GENERATED}.a2f_controller_service_pb2_grpc.add_A2FControllerServiceServicer_to_server",
    f"{_GENERATED}.a2x_export_config_service_pb2_grpc.add_A2XExportConfigServiceServicer_to_server",
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
)
"""What `grpc_options.grpc_servicer_functions` must list."""


def build_app(args: ServingArguments) -> Application:
    """One endpoint: a talker, and a personalizer that it asks; both hold all students."""
    plain = args.model_dump(mode="json")
    return TALKER.bind(plain, PERSONALIZER.bind(plain))
