# A small image of parlor: the static program and nothing else. docs/how-to/run-with-docker.md says how to run it.
# `make dist` makes the same without Docker. For the platform of who builds it, or `--platform` by emulation.
FROM rust:1.95-alpine AS build
# The C compiler for SQLite and the cryptography, and whom the program trusts for https.
RUN apk add --no-cache build-base linux-headers ca-certificates
WORKDIR /parlor
COPY . .
# On Alpine a program is static unless it is asked not to be.
RUN cargo build --locked --profile dist --bin parlor && mkdir /data

FROM scratch
COPY --from=build /parlor/target/dist/parlor /usr/bin/parlor
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY deploy/container/parlor.toml /etc/parlor/
# A new volume gets the folder's owner and mode.
COPY --from=build --chown=65532:65532 --chmod=700 /data /var/lib/parlor
# Nobody on the host.
USER 65532:65532
VOLUME /var/lib/parlor
WORKDIR /etc/parlor
# People and administrators; metrics.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s CMD ["/usr/bin/parlor", "health"]
ENTRYPOINT ["/usr/bin/parlor"]
CMD ["serve"]
