"""Wait for the database and the object store, and make the bucket if there is none.

The database is found by libpq's variables, the bucket by boto3's, by
``MLFLOW_S3_ENDPOINT_URL`` and by its name in ``MLFLOW_ARTIFACTS_DESTINATION``.
"""

import os
import sys
import time
from collections.abc import Callable
from urllib.parse import urlparse

import boto3
import psycopg
from botocore.exceptions import BotoCoreError, ClientError

WAIT_S = 60


def connect() -> None:
    """Open the database and close it again."""
    psycopg.connect("").close()


def find_bucket() -> None:
    """Make the bucket if it is not there."""
    bucket = urlparse(os.environ["MLFLOW_ARTIFACTS_DESTINATION"]).netloc
    store = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    try:
        store.head_bucket(Bucket=bucket)
    except ClientError as err:
        if err.response["Error"]["Code"] != "404":
            raise
        store.create_bucket(Bucket=bucket)


def wait(what: str, step: Callable[[], None]) -> None:
    """Try a step until it succeeds; say why it does not yet."""
    deadline = time.monotonic() + WAIT_S
    told = ""
    while True:
        try:
            return step()
        except (psycopg.OperationalError, BotoCoreError, ClientError) as err:
            reason = str(err).strip()
        if time.monotonic() > deadline:
            sys.exit(f"error: {what} could not be used for {WAIT_S} s: {reason}")
        if reason != told:
            sys.stderr.write(f"waiting for {what}: {reason}\n")
            told = reason
        time.sleep(1)


if __name__ == "__main__":
    wait("the database (PGHOST, PGUSER, PGPASSWORD ...)", connect)
    wait("the bucket (MLFLOW_S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID ...)", find_bucket)
