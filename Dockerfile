# One image for the servers and the worker of compose.yaml: Python with the packages of requirements.lock.
FROM python:3.12-slim-bookworm

# git and make are what the README asks of a machine; libseccomp2 is behind the sandbox of the searches
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libseccomp2 make \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 arrange \
    && mkdir --parents /opt/arrange /srv/mlflow /work \
    && chown arrange /opt/arrange /srv/mlflow /work
USER arrange

# torch without CUDA, 6 GB less; for GPUs: docker compose build --build-arg PIP_EXTRA_INDEX_URL=
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
WORKDIR /opt/arrange
COPY --chown=arrange Makefile requirements.lock ./
RUN make .venv/ready

# as the Makefile sets them: neither Prefect nor MLflow calls home
ENV PATH=/opt/arrange/.venv/bin:$PATH \
    DO_NOT_TRACK=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
WORKDIR /work
