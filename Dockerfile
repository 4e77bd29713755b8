# The shop as an image: the program, the four libraries that it is linked with, and the certificates that it trusts. No shell, no
# PostgreSQL, nobody but user 65532, nothing that is written to. Built by docker's BuildKit and by buildah; scripts/image does both.
#
#   docker build --build-arg COMMIT="$(git rev-parse HEAD)" --tag eshopz .
#
# It is compiled on the machine's own platform for the one that is asked for, so no emulation is needed.

# The toolchain, of Debian 12: its libc is that of the final image. The digest is that of all platforms together.
ARG TOOLCHAIN=docker.io/library/rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
# BuildKit knows it by itself, buildah is told by scripts/image.
ARG BUILDPLATFORM
FROM --platform=$BUILDPLATFORM $TOOLCHAIN AS toolchain
ARG TARGETARCH
WORKDIR /src
# A C compiler and a libc for the target, under the same name on the machine's own platform and on another; and rustc's own linker
# for both, which leaves out what is there twice: that makes the program smaller, and not slower.
# hadolint ignore=DL3008,DL3009
RUN set -eu; \
    dpkg --add-architecture "$TARGETARCH"; \
    case "$TARGETARCH" in \
        amd64) triple=x86_64-linux-gnu; rust=x86_64-unknown-linux-gnu; compiler=gcc-x86-64-linux-gnu ;; \
        arm64) triple=aarch64-linux-gnu; rust=aarch64-unknown-linux-gnu; compiler=gcc-aarch64-linux-gnu ;; \
        *) echo "no way to compile for $TARGETARCH is known" >&2; exit 1 ;; \
    esac; \
    if [ "$(dpkg --print-architecture)" = "$TARGETARCH" ]; then compiler=gcc; fi; \
    apt-get update -qq; \
    apt-get install -y -qq --no-install-recommends "$compiler" "libc6-dev:$TARGETARCH" ca-certificates; \
    rustup target add "$rust"; \
    ln -s "$(dirname "$(find "$(rustc --print sysroot)" -path '*/gcc-ld/ld.lld')")" /linker; \
    printf '[build]\ntarget = "%s"\n[target.%s]\nlinker = "%s-gcc"\nrustflags = [%s]\n' "$rust" "$rust" "$triple" \
        '"-Clink-arg=-B/linker", "-Clink-arg=-fuse-ld=lld", "-Clink-arg=-Wl,--icf=all", "-Clink-arg=-Wl,-z,pack-relative-relocs"' \
        >/usr/local/target.toml

FROM toolchain AS chef
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --quiet --locked --root /usr/local --version 0.1.78 cargo-chef

# What the dependencies are, and nothing of what is built with them.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

# The dependencies, which are built anew only when Cargo.lock changes, and then the shop.
FROM chef AS build
COPY --from=plan /recipe.json /recipe.json
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    set -eu; \
    cp /usr/local/target.toml "$CARGO_HOME/config.toml"; \
    cargo chef cook --profile image --locked --package eshopz --bin eshopz --recipe-path /recipe.json
COPY . .
ARG COMMIT=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    set -eu; \
    ESHOPZ_COMMIT="$COMMIT" cargo build --profile image --locked --package eshopz --bin eshopz; \
    install -D target/*/image/eshopz /out/usr/local/bin/eshopz

# What it needs to start.
FROM toolchain AS base
ARG TARGETARCH
COPY scripts/lib/image-root /usr/local/bin/image-root
RUN image-root "$TARGETARCH" /out

FROM scratch
ARG VERSION=unknown
ARG COMMIT=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="eshopz" \
    org.opencontainers.image.description="An e-commerce platform of five modules in one binary" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="https://github.com/eshopz/eshopz" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$COMMIT" \
    org.opencontainers.image.created="$CREATED"
COPY --from=base /out /
COPY --from=build /out /
ENV PATH=/usr/local/bin ESHOPZ_ENV=production ESHOPZ_DATA_DIR=/data
# By number, which Kubernetes can tell from root's.
USER 65532:65532
WORKDIR /data
EXPOSE 3000 4000 9000
# SIGTERM drains; the image starts the shop unless it is told another command.
STOPSIGNAL SIGTERM
ENTRYPOINT ["eshopz"]
CMD ["serve", "--listen", "0.0.0.0:3000"]
