# Covey in a container: `covey serve`, or any other command of it. compose.yaml shows several beside one PostgreSQL.
#
#   docker build --tag covey .
#   docker run --rm --init --publish 127.0.0.1:8000:8000 --volume covey:/data --stop-timeout 720 covey
#
# Two stages: the first has uv, pinned and checked by its hash as on any other machine, and makes an environment of
# wheels from uv.lock; the second has that environment and nothing that built it.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
ENV UV_PROJECT_ENVIRONMENT=/opt/covey \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
COPY tools/uv.txt tools/
RUN python -m pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes --requirement tools/uv.txt
COPY pyproject.toml uv.lock README.md LICENSE ./
# What Covey needs, before Covey: this layer stays as long as uv.lock does.
RUN uv sync --frozen --no-build --no-dev --extra analysis --extra calls --extra postgres --no-install-project
COPY src src
RUN uv sync --frozen --no-build --no-dev --extra analysis --extra calls --extra postgres --no-editable

FROM python:3.13-slim-bookworm
COPY --from=build /opt/covey /opt/covey
# The folders below /data are there so that a volume of its own on one of them belongs to this user, too.
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin covey \
    && install --directory --owner covey --group covey --mode 0700 /data /data/assets /data/recordings /data/skipped
# A container's own loopback can be reached by nobody: it listens on all its addresses. Publish the port on yours.
ENV PATH=/opt/covey/bin:$PATH \
    HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    COVEY_DATA=/data \
    COVEY_HOST=0.0.0.0 \
    COVEY_PORT=8000
USER covey
WORKDIR /data
VOLUME /data
EXPOSE 8000
# The first signal drains: give it longer than the longest call (docker stop --time, stop_grace_period).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('COVEY_PORT', '8000')), timeout=4); server.request('GET', '/readyz'); sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["covey"]
CMD ["serve"]
