# syntax=docker/dockerfile:1
# The service in a small image. The stage "build" is also where ./dev works if Docker answers.
#   docker build -t penstock .
#   docker run --rm -v "$PWD/penstock.yaml:/etc/penstock/penstock.yaml:ro" penstock

FROM debian:trixie-slim AS packages
WORKDIR /packages
COPY tools/common.sh tools/packages.sh tools/packages.txt tools/
RUN for group in build servers runtime; do tools/packages.sh "$group" >"$group.txt"; done

FROM debian:trixie AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=from=packages,source=/packages,target=/packages \
    apt-get update && \
    sort -u /packages/build.txt /packages/servers.txt | \
      DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --no-install-recommends && \
    rm -rf /var/lib/apt/lists/*

FROM build AS program
WORKDIR /penstock
COPY . .
RUN --mount=type=cache,target=/root/.cache/ccache \
    cmake --preset release && \
    cmake --build --preset release --target penstock && \
    cp build/release/penstock /usr/bin/penstock && \
    strip --strip-debug /usr/bin/penstock

FROM debian:trixie-slim AS runtime
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=from=packages,source=/packages,target=/packages \
    apt-get update && \
    DEBIAN_FRONTEND=noninteractive xargs apt-get install --yes --no-install-recommends </packages/runtime.txt && \
    rm -rf /var/lib/apt/lists/*
COPY --from=program /usr/bin/penstock /usr/bin/penstock
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/penstock"]
CMD ["serve", "--config", "/etc/penstock/penstock.yaml"]
