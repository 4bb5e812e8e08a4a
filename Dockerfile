# The demo in a container: docker build -t pocketgan . && docker run --rm -v "$PWD/runs:/pocketgan/runs" pocketgan
# The report is then runs/demo/report.html. Any other command: docker run --rm -v "$PWD:/data" pocketgan compress doctor
#
# The base is pinned by its tag, which may move with patches of Debian and Python; every package below by uv.lock, with
# its hash. The image takes some 3 GB, most of it TensorFlow.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /pocketgan
COPY . .
RUN UV_NO_CACHE=1 make sync-demo

ENV PATH="/pocketgan/.venv/bin:$PATH"
VOLUME /pocketgan/runs
CMD ["compress", "demo", "--out", "runs/demo"]
