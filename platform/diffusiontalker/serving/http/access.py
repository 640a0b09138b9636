"""Who may ask: bearer keys as a dependency of routes, so that the OpenAPI page knows of them."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from diffusiontalker.serving.core import Core

_BEARER = HTTPBearer(auto_error=False, description="Needed where the operator has configured keys.")


def access(core: Core) -> Any:
    """A dependency that lets in whom the core does, before anything else is looked at."""

    async def let_in(request: Request, documented: Annotated[Any, Security(_BEARER)]) -> None:
        core.authenticate(request.headers.get("authorization"))

    return Depends(let_in)
