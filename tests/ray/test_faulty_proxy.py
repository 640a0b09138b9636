"""The faulty proxy really does what it says: else the tests that train through it would prove nothing."""

import os
import threading
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from faulty_proxy import Faults, FaultyProxy
from pyarrow import fs
from ray_nodes import wait_for

CONTENT = os.urandom(300_000)


@pytest.fixture
def proxy(s3_endpoint):
    with FaultyProxy(urlsplit(s3_endpoint).port, seed=1) as faulty:
        yield faulty


def store(proxy, *, attempts: int = 1) -> fs.S3FileSystem:
    retry = fs.AwsStandardS3RetryStrategy(max_attempts=attempts)
    return fs.S3FileSystem(endpoint_override=proxy.url, allow_bucket_creation=True, retry_strategy=retry)


def client(proxy):
    """One that does not try again."""
    return boto3.client("s3", endpoint_url=proxy.url, config=Config(retries={"total_max_attempts": 1}))


def written(filesystem, path) -> bytes:
    with filesystem.open_output_stream(path) as stream:
        stream.write(CONTENT)
    with filesystem.open_input_stream(path) as stream:
        return stream.read()


def test_without_faults_it_is_not_noticed(proxy):
    filesystem = store(proxy)
    filesystem.create_dir("faulty")
    assert written(filesystem, "faulty/plain") == CONTENT
    assert set(proxy.counts) == {"connections"}
    assert proxy.counts["connections"] >= 3, "a connection carries one request"


def test_some_requests_are_told_to_slow_down_and_a_patient_client_copes(proxy):
    filesystem = store(proxy, attempts=8)
    filesystem.create_dir("faulty")
    proxy.faults = Faults(slow_down_share=1.0)
    with pytest.raises(ClientError, match="SlowDown"):
        client(proxy).list_buckets()
    proxy.faults = Faults(slow_down_share=0.4, delay_s=0.01)
    assert written(filesystem, "faulty/slow") == CONTENT
    assert proxy.counts["slowed_down"] > 1
    assert proxy.counts["delayed"] > proxy.counts["slowed_down"]


@pytest.mark.parametrize("cuts_answers", [True, False])
def test_connections_are_cut_in_the_middle_and_a_patient_client_copes(proxy, cuts_answers):
    filesystem = store(proxy, attempts=8)
    filesystem.create_dir("faulty")
    written(filesystem, "faulty/cut")
    proxy.faults = Faults(cut_share=1.0, cut_after_bytes=100_000, cuts_answers=cuts_answers)
    with pytest.raises(OSError, match=r"(?i)network|connection|curl|end of stream"):
        written(store(proxy), "faulty/cut")
    assert proxy.counts["cut"] == 1
    proxy.faults = Faults(cut_share=0.5, cut_after_bytes=100_000, cuts_answers=cuts_answers)
    for number in range(6):
        assert written(filesystem, f"faulty/cut{number}") == CONTENT
    assert proxy.counts["cut"] > 1


def test_an_outage_ends_what_is_open_and_lets_nothing_in(proxy):
    assert client(proxy).list_buckets()["Buckets"]
    proxy.faults = Faults(delay_s=30.0)
    outcome = []

    def ask() -> None:
        try:
            outcome.append(client(proxy).list_buckets())
        except ConnectionClosedError as error:
            outcome.append(error)

    waiting = threading.Thread(target=ask)
    waiting.start()
    wait_for(lambda: proxy.counts["delayed"] == 1, what=lambda: "the request to arrive")
    with proxy.outage():
        waiting.join(timeout=20)
        assert isinstance(outcome[0], ConnectionClosedError), outcome
        with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
            client(proxy).list_buckets()
    assert proxy.counts["refused"] == 1
    proxy.faults = Faults()
    assert client(proxy).list_buckets()["Buckets"]
    proxy.fail_for(0.3)
    assert written(store(proxy, attempts=20), "faulty/after") == CONTENT
    assert proxy.counts["refused"] > 1
