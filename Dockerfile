# syntax=docker/dockerfile:1
# The service in a small image: its libraries, certificates, time zones and nothing that runs but itself
# (docs/adr/0010-an-image-of-libraries.md).
#   docker build --tag penstock .
#   docker run --rm --read-only -v "$PWD/penstock.yaml:/etc/penstock/penstock.yaml:ro" penstock
# ./dev image does the same where no engine answers. The stage "build" is also where ./dev works if Docker
# answers.

# What the stages begin with: Debian 13. Nothing of it gets into the image.
ARG DEBIAN=debian:trixie

FROM ${DEBIAN} AS packages
WORKDIR /packages
COPY tools/common.sh tools/packages.sh tools/packages.txt tools/
RUN for group in build servers; do tools/packages.sh "$group" >"$group.txt"; done

# What Debian 13 has too old a version of (docs/adr/0015-librdkafka-of-the-next-debian.md).
FROM ${DEBIAN} AS backports
COPY tools/common.sh tools/backports.sh tools/packages.txt /penstock/tools/
COPY tools/patches /penstock/tools/patches
RUN /penstock/tools/backports.sh --here /backports

FROM ${DEBIAN} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY --from=backports /backports /backports
RUN --mount=from=packages,source=/packages,target=/packages \
    echo 'deb [trusted=yes] file:/backports ./' >/etc/apt/sources.list.d/backports.list && \
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
    strip -o /usr/bin/penstock build/release/penstock

FROM ${DEBIAN} AS libraries
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=backports /backports /backports
WORKDIR /penstock
COPY tools/common.sh tools/packages.txt tools/image_root.sh tools/
RUN tools/image_root.sh /image /backports

FROM libraries AS root
COPY tools/image_sbom.py tools/
ARG VERSION=0
ARG CREATED=1970-01-01T00:00:00Z
RUN tools/image_sbom.py --version "$VERSION" --created "$CREATED" /image

FROM scratch AS runtime
# ./dev image knows them: the version, the commit and its time.
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Penstock" \
      org.opencontainers.image.description="Moves records from Apache Kafka into PostgreSQL, exactly once and in order, and computes on the way" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/penstock"]
CMD ["serve", "--config", "/etc/penstock/penstock.yaml"]
COPY --from=root /image/ /
COPY --from=program /usr/bin/penstock /usr/bin/penstock
