# syntax=docker/dockerfile:1
# Two images: `cpu`, without CUDA, and `cuda`, for NVIDIA GPUs. docker build --target cpu .
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY conf conf
COPY sweeps sweeps
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true
RUN python -m venv /opt/venv \
    && useradd --uid 1000 --create-home idealfit \
    && install --directory --owner=idealfit /srv/artifacts /srv/idealfit /srv/idealfit/runs /srv/idealfit/.idealfit-cache
WORKDIR /srv/idealfit

# Wheels of torch without CUDA are a tenth as large. PyTorch's installation page names an index of its own for them: give
# its address as TORCH_INDEX; without it torch comes with CUDA.
FROM base AS cpu-packages
ARG TORCH_INDEX=""
COPY constraints.txt /tmp/
COPY --from=wheel /wheels /wheels
RUN grep -v -E '^(nvidia-|triton==)' /tmp/constraints.txt > /tmp/cpu.txt \
    && PIP_INDEX_URL="$TORCH_INDEX" pip install --constraint /tmp/cpu.txt torch torchvision \
    && pip install --constraint /tmp/cpu.txt "$(echo /wheels/*.whl)[postgres,dashboard,s3]"

FROM base AS cuda-packages
COPY constraints.txt /tmp/
COPY --from=wheel /wheels /wheels
RUN pip install --constraint /tmp/constraints.txt "$(echo /wheels/*.whl)[postgres,dashboard,s3]"

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=cuda-packages /opt/venv /opt/venv
USER 1000
CMD ["idealfit", "--help"]

FROM base AS cpu
COPY --from=cpu-packages /opt/venv /opt/venv
USER 1000
CMD ["idealfit", "--help"]
