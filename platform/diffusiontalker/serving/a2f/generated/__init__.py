"""Python code of `../protos`, generated; edit those and run, in the root of the repository, both commands.

```sh
python -m grpc_tools.protoc -I diffusiontalker/serving/a2f/generated=platform/diffusiontalker/serving/a2f/protos --python_out=platform --pyi_out=platform platform/diffusiontalker/serving/a2f/protos/*.proto
python -m grpc_tools.protoc -I diffusiontalker/serving/a2f/generated=platform/diffusiontalker/serving/a2f/protos --grpc_python_out=platform platform/diffusiontalker/serving/a2f/protos/*_service.proto
```

The messages keep NVIDIA's package names, `nvidia_ace...`, as those travel; the modules live here, as the package index
has another `nvidia_ace` package.
"""  # noqa: E501
