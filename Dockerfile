FROM debian:bookworm-slim AS build
COPY deploy/packages/build /tmp/packages
RUN apt-get update && apt-get install -y --no-install-recommends $(cat /tmp/packages) && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY CMakeLists.txt LICENSE README.md ./
COPY cmake cmake
COPY config config
COPY engine engine
COPY server server
COPY docs/man docs/man
COPY deploy/completion deploy/completion
COPY deploy/models deploy/models
# What else is installed: rules and dashboard, units.
COPY deploy/prometheus deploy/prometheus
COPY deploy/compose/grafana deploy/compose/grafana
COPY deploy/systemd deploy/systemd
RUN cmake -S . -B /build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DPRENORM_TESTS=OFF \
 && cmake --build /build --parallel "$(nproc)" \
 && DESTDIR=/installed cmake --install /build --strip

FROM debian:bookworm-slim
COPY deploy/packages/run /tmp/packages
RUN apt-get update && apt-get install -y --no-install-recommends $(cat /tmp/packages) \
 && rm -rf /var/lib/apt/lists/* /tmp/packages \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin prenorm
COPY --from=build /installed/ /
USER 10001:10001
# The container's own network is what is published, or not, from outside. The other options are variables PRENORM_* too.
ENV PRENORM_HOST=0.0.0.0
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive, over plain HTTP on the port of PRENORM_PORT; bash is in the image, a client is not.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["bash", "-c", \
 "exec 3<>/dev/tcp/127.0.0.1/${PRENORM_PORT:-8080} && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ code _ <&3 && [[ $code == 200 ]]"]
ENTRYPOINT ["prenormd"]
CMD ["serve"]
