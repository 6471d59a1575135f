# syntax=docker/dockerfile:1
# The newest Node with long-term support. Both stages must have the same: native code is built for one.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
# A compiler for our own addon; the libraries in case there is no ready build of the Kafka client for this platform.
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates g++ make python3 \
      libcurl4-openssl-dev liblz4-dev libsasl2-dev libssl-dev libzstd-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /millrace
# Dependencies first, so that a change of our code does not fetch or compile them again.
COPY package.json package-lock.json ./
COPY scripts scripts
RUN node scripts/setup.mjs --dependencies
COPY tsconfig.json ./
COPY src src
# The image is for speed: without our addon it must not be made, though the daemon could do without.
RUN node scripts/setup.mjs && test -f src/kafka/native/build/Release/kafka_addon.node
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE}
# tini: Node as process 1 would neither have default signal handlers nor reap. The rest is what a compiled Kafka client
# links to.
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates tini libcurl4 liblz4-1 libsasl2-2 libsasl2-modules libssl3 libzstd1 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 1000 -g 1000 /var/lib/millrace
WORKDIR /millrace
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/dist/src dist/src
COPY --from=build /millrace/src/kafka/native/build/Release/kafka_addon.node src/kafka/native/build/Release/
COPY LICENSE package.json ./
COPY config config
COPY proto proto
# A consumer, a producer, DNS and files share libuv's threads; each of the first two holds one nearly always.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=8
# The user `node` of the image, by number, so that Kubernetes can tell that it is not root.
USER 1000:1000
VOLUME /var/lib/millrace
EXPOSE 9464
# The admin port as it is by default, on the container's own loopback. In Kubernetes use probes on /live and /ready.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.MILLRACE_ADMIN_PORT||9464)+'/live').then((answer)=>process.exit(answer.ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--", "node", "dist/src/cli.js"]
CMD ["run", "--config", "/etc/millrace/millrace.yaml"]
