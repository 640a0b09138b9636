"""Makes the modules beside the tests importable: the manifests as kustomize builds them, and the checks over them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
