"""Keys of an object store stay in the environment: not in tables, commits, logs, errors or pages."""

from __future__ import annotations

import json
import logging

import pytest

from lake.lake_frames import PLATE, profiles
from phenolake.errors import ConfigurationError, LakeError, LakeLocationError
from phenolake.lake import Lake
from phenolake.lake.maintenance import maintain
from phenolake.settings import Settings
from phenolake.tables import WELL_PROFILES

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

SECRET = "s3cr3t-of-this-test"
KEY = "AKIAOFTHISTEST"


@pytest.fixture
def bucket(monkeypatch):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket="screens")
    yield client
    server.stop()


def test_no_object_log_line_or_error_holds_a_key(bucket, caplog, capfd, tmp_path):
    caplog.set_level(logging.DEBUG)
    lake = Lake("s3://screens/lake")
    lake.write(WELL_PROFILES, profiles(), PLATE, run_id="r", parameters={"a": 1})
    list(maintain(lake))
    lake.sql("select * from lineage.commits")
    told = [repr(lake), repr(lake.location), str(lake.history("well_profiles"))]
    with pytest.raises(LakeError) as wrong:
        Lake("s3://no-such-bucket/lake").validate()
    told.append(str(wrong.value))
    for listed in bucket.list_objects_v2(Bucket="screens")["Contents"]:
        body = bucket.get_object(Bucket="screens", Key=listed["Key"])["Body"].read()
        assert SECRET.encode() not in body, listed["Key"]
        assert KEY.encode() not in body, listed["Key"]
    output = capfd.readouterr()
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("phenolake")]
    assert SECRET not in "\n".join([*told, output.out, output.err, caplog.text])
    assert KEY not in "\n".join([*told, *ours, output.out])


def test_keys_given_as_options_are_not_shown():
    lake = Lake("s3://screens/lake", {"aws_secret_access_key": SECRET})
    assert SECRET not in f"{lake!r} {lake.location!r} {lake.location}"


def test_an_address_with_a_password_is_refused_without_showing_it():
    for name in ("mlflow_uri", "lake_uri", "inbox"):
        with pytest.raises(ConfigurationError) as refusal:
            Settings(**{name: f"https://me:{SECRET}@host/x"})
        assert SECRET not in str(refusal.value)
        assert "password does not belong" in str(refusal.value)
    with pytest.raises(LakeLocationError) as refused:
        Lake(f"s3://{KEY}:{SECRET}@screens/lake")
    assert SECRET not in str(refused.value)


def test_dagster_shows_no_key_of_the_environment(monkeypatch, tmp_path):
    from phenolake_resources import LakeResource

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    resource = LakeResource(uri=Settings(home=tmp_path, lake_uri="s3://screens/lake").tables_uri)
    assert SECRET not in json.dumps(resource.model_dump(), default=str)
