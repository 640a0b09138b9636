"""Strict validation: Kubernetes' own kinds by its published schemas, Ray's by KubeRay's CRDs, Prometheus' by a list of
the keys that are used here. Keys that a schema does not know are findings, which the API server would drop silently.
"""

import functools
import os
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from kustomized import LOADER, ROOT, Resource, title

KUBERNETES = ("1.33", "1.37")
"""Oldest and newest version whose API the manifests are held against."""

_ANY: dict[str, Any] = {}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}


def _keys(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


_METADATA = _keys(("name",), name={"type": "string"}, namespace={"type": "string"}, labels=_TEXTS, annotations=_TEXTS)
_RULE = _keys(
    ("alert", "expr"), alert=_ANY, expr={"type": "string"}, labels=_TEXTS, annotations=_TEXTS, **{"for": _ANY}
)
_PROMETHEUS = {
    "PodMonitor": _keys(
        ("selector", "podMetricsEndpoints"),
        selector=_keys(matchLabels=_TEXTS),
        podTargetLabels={"type": "array", "items": {"type": "string"}},
        podMetricsEndpoints={"type": "array", "items": _keys(("port",), port={"type": "string"}, interval=_ANY)},
    ),
    "PrometheusRule": _keys(
        ("groups",),
        groups={"type": "array", "items": _keys(("name", "rules"), name=_ANY, rules={"type": "array", "items": _RULE})},
    ),
}


def crd_folder() -> Path:
    """Where KubeRay's CRDs are looked for."""
    return Path(os.environ.get("KUBERAY_CRDS", ROOT.parent / "shared" / "kuberay-crds"))


def findings(resource: Resource) -> list[str]:
    """What is wrong with a resource; empty when nothing is."""
    group = resource["apiVersion"].partition("/")[0]
    if group == "ray.io":
        return _errors(resource, _ray_schema(resource["kind"].lower() + "s"))
    if group == "monitoring.coreos.com":
        return _errors(resource, _whole(_PROMETHEUS[resource["kind"]]))
    found = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            found.append(f"{title(resource)} on Kubernetes {version}: {error}")
    return found


def _errors(resource: Resource, schema: dict[str, Any]) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(resource)
    return [f"{title(resource)} {error.json_path}: {error.message}" for error in errors]


def _whole(spec: dict[str, Any]) -> dict[str, Any]:
    return _keys(("apiVersion", "kind", "metadata", "spec"), apiVersion=_ANY, kind=_ANY, metadata=_METADATA, spec=spec)


@functools.cache
def _ray_schema(plural: str) -> dict[str, Any]:
    crd = yaml.load((crd_folder() / f"ray.io_{plural}.yaml").read_text(), LOADER)
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1"]
    return _whole(closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A CRD's schema as JSON Schema in which an object has the keys that are listed, and no other."""
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema:
        made["properties"] = {key: closed(value) for key, value in schema["properties"].items()}
    if "items" in schema:
        made["items"] = closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(schema["additionalProperties"])
    elif schema.get("type") == "object" and "properties" in schema and not is_open:
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made
