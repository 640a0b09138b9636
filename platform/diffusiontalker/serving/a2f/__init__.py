"""The gRPC interface of NVIDIA Audio2Face-3D, so that its clients can talk to this server unmodified.

`protos` describes the messages, `generated` holds their code; `edge` the services, `stream` one call of them, built of
`requests` (sound in), `emotions` and `blendshapes` (what the client asked for). Knows no Ray and no network.
"""

from diffusiontalker.serving.a2f.edge import SERVICE_NAMES, STUDENT_KEY, VOICE_KEY, A2FEdge
from diffusiontalker.serving.a2f.limits import A2FLimits

__all__ = ["SERVICE_NAMES", "STUDENT_KEY", "VOICE_KEY", "A2FEdge", "A2FLimits"]
