"""Load the demo data into a local cloud."""

import json
import os
import subprocess
import sys

from infra.local.cloud import REGION, REPOSITORY, Cloud, LocalCloudError


def load(cloud: Cloud) -> list[dict[str, str]]:
    """Institutions, people and courses; what is there already stays as it is.

    Returns the accounts to sign in with. Runs in a process of its own: the product's code takes its stage
    and its endpoint from the environment, and nothing of the shell's may take part in that.
    """
    done = subprocess.run(
        [sys.executable, "-m", "infra.demo.seed"],
        cwd=REPOSITORY,
        env=environment(cloud),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalCloudError(f"The demo data could not be loaded:\n{done.stderr[-3000:]}")
    accounts: list[dict[str, str]] = json.loads(done.stdout)
    return accounts


def environment(cloud: Cloud) -> dict[str, str]:
    """All that a process of the product's code needs to work on this cloud's data as its root."""
    keys = cloud.session().get_credentials()
    if keys is None or keys.access_key is None or keys.secret_key is None:
        raise LocalCloudError("The local cloud has no credentials.")
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "STAGE": "local",
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
