# An image that serves a model of `export --to mlflow`, without torch or this project:
#   docker build --file docker/serve.Dockerfile --tag clothing-lightning-model .
#   docker run --rm --init --publish 127.0.0.1:5001:5001 --volume "$PWD/clothes:/model:ro" \
#     clothing-lightning-model
# Or a model of a store: --env MODEL_URI=models:/clothes@champion --env MLFLOW_TRACKING_URI=...
# Packages from a mirror: --build-arg UV_DEFAULT_INDEX=ADDRESS.

FROM python:3.11.14-slim-bookworm AS python
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    ORT_DISABLE_TELEMETRY=1

FROM python AS packages
ARG UV_DEFAULT_INDEX
ENV VIRTUAL_ENV=/opt/venv \
    UV_LINK_MODE=copy
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv venv /opt/venv
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraint constraints.txt --group serving
# Bytecode of what a server imports, since its user cannot write any. Of everything it
# would be 100 MB.
RUN python -c "import mlflow.cli, mlflow.pyfunc.loaders.code_model, mlflow.pyfunc.scoring_server, \
    onnxruntime, PIL.ImageOps, uvicorn.main"

FROM python AS model
RUN useradd --create-home --uid 1000 clothing
COPY --from=packages /opt/venv /opt/venv
ENV MODEL_URI=/model \
    MLFLOW_HOST=0.0.0.0 \
    MLFLOW_PORT=5001
USER 1000
WORKDIR /home/clothing
EXPOSE 5001
HEALTHCHECK --interval=10s --timeout=5s --start-period=1m CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5001/ping', timeout=4)"]
ENTRYPOINT ["sh", "-c", "exec mlflow models serve --model-uri \"$MODEL_URI\" --env-manager local"]
