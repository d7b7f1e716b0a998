#!/bin/sh
# An MLflow server with passwords: runs and users in PostgreSQL, artifacts in a bucket.
# Runs in the container as anywhere else; all that it needs is in the environment:
#   PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE       the database, in libpq's words
#   MLFLOW_ARTIFACTS_DESTINATION                     s3://BUCKET, made if it is not there
#   MLFLOW_S3_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY     where it is
#   MLFLOW_AUTH_ADMIN_USERNAME MLFLOW_AUTH_ADMIN_PASSWORD     made at the first start
#   MLFLOW_FLASK_SERVER_SECRET_KEY                   any long random text, kept
#   MLFLOW_HOST MLFLOW_PORT MLFLOW_WORKERS           by default 127.0.0.1, 5000 and 4
#   MLFLOW_SERVER_ALLOWED_HOSTS MLFLOW_SERVER_CORS_ALLOWED_ORIGINS
#                                                    needed under a name of its own
set -eu
: "${MLFLOW_ARTIFACTS_DESTINATION:?name the bucket: s3://BUCKET}"
: "${MLFLOW_AUTH_ADMIN_PASSWORD:?set it, with 12 characters or more}"
: "${MLFLOW_FLASK_SERVER_SECRET_KEY:?set it to a long random text}"
here=$(cd "$(dirname "$0")" && pwd)

export MLFLOW_AUTH_CONFIG_PATH="${MLFLOW_AUTH_CONFIG_PATH:-$here/basic_auth.ini}"
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # jobs are for language models
export MLFLOW_DISABLE_TELEMETRY=true

python "$here/wait_for_stores.py"
# No address: libpq takes all of it from the environment, so that no password is in a
# command line, where everybody on the machine could read it.
exec mlflow server --app-name basic-auth --serve-artifacts \
    --backend-store-uri postgresql+psycopg://
