"""Brokers start, keep their records, and never stay behind."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from needstream.streams import brokers
from needstream.streams.brokers import apache, interface, local

BROKERS = os.environ.get("NEEDSTREAM_TEST_BROKERS", "embedded").split(",")


def listens(bootstrap):
    host, _, port = bootstrap.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_started_broker_answers_a_metadata_request(broker):
    assert interface.answers(broker.bootstrap)


def test_starting_a_running_broker_changes_nothing(broker):
    assert broker.start() == broker.bootstrap
    assert interface.answers(broker.bootstrap)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BROKERS)
async def test_records_and_commits_survive_a_restart(name, cluster_of):
    with brokers.choose(name) as broker:
        cluster = cluster_of(broker)
        cluster.create("kept", 2)
        await cluster.produce("kept", [b"1", b"2", b"3"], partition=1)
        await cluster.commit("kept", 2, partition=1)
        broker.stop()
        assert not listens(broker.bootstrap)
        broker.start()

        assert [b"1", b"2", b"3"] == [record.value for record in await cluster.read("kept", 3, partition=1)]
        assert await cluster.committed("kept", partition=1) == 2


@pytest.mark.asyncio
@pytest.mark.skipif("apache" not in BROKERS, reason="the embedded broker saves shortly after it acknowledges")
async def test_acknowledged_records_survive_a_kill_of_apache_kafka(cluster_of):
    with brokers.choose("apache") as broker:
        cluster = cluster_of(broker)
        cluster.create("kept")
        await cluster.produce("kept", [b"1", b"2", b"3"])
        broker.kill()
        broker.start()

        assert [b"1", b"2", b"3"] == [record.value for record in await cluster.read("kept", 3)]


def test_a_closed_broker_is_gone_with_its_temporary_directory():
    with brokers.choose("embedded") as broker:
        assert broker.directory.exists()

    assert not listens(broker.bootstrap)
    assert not broker.directory.exists()


def test_a_given_directory_is_kept(tmp_path):
    with brokers.choose("embedded", tmp_path / "data") as broker:
        pass

    assert broker.directory == tmp_path / "data"
    assert broker.log.exists()


def test_two_embedded_brokers_run_side_by_side():
    with brokers.choose("embedded") as first, brokers.choose("embedded") as second:
        assert first.bootstrap != second.bootstrap
        assert interface.answers(first.bootstrap)
        assert interface.answers(second.bootstrap)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_broker_ends_when_its_parent_is_killed():
    program = (
        "from needstream.streams import brokers; import time\n"
        "print(brokers.choose('embedded').start(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        bootstrap = parent.stdout.readline().strip()
        assert listens(bootstrap)
        parent.send_signal(signal.SIGKILL)
        parent.wait()

    deadline = time.monotonic() + 10
    while listens(bootstrap) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(bootstrap)


class BrokenBroker(local.LocalBroker):
    name = "broken"

    def prepare(self):
        return [sys.executable, "-c", "import sys; print('the disk is missing'); sys.exit(3)"]


def test_a_broker_that_ends_at_once_says_why_with_the_end_of_its_log(tmp_path):
    with pytest.raises(brokers.BrokerUnavailable, match=r"(?s)exited with code 3.*the disk is missing"):
        BrokenBroker(tmp_path).start()


def test_an_external_broker_is_used_as_it_is(broker):
    with brokers.choose(f"external:{broker.bootstrap}") as external:
        assert broker.bootstrap == external.bootstrap

    assert interface.answers(broker.bootstrap)


def test_an_external_broker_that_does_not_answer_is_named_with_a_remedy(monkeypatch):
    monkeypatch.setattr("needstream.streams.brokers.external.REACH_TIMEOUT_S", 0.2)
    address = f"127.0.0.1:{local.free_port()}"

    with pytest.raises(brokers.BrokerUnavailable, match=rf"no broker answers at {address}.*NEEDSTREAM_BROKER"):
        brokers.choose(f"external:{address}").start()


@pytest.mark.parametrize("name", ["", "kafka", "external:", "embedded:9092", "apache:"])
def test_an_unknown_name_is_refused_with_the_choices(name):
    with pytest.raises(ValueError, match=r"embedded \| apache \| external:host:port"):
        brokers.choose(name)


@pytest.mark.parametrize("address", ["localhost", "localhost:", "localhost:kafka", ":9092", "a:1,b"])
def test_an_external_address_without_host_and_port_is_refused(address):
    with pytest.raises(ValueError, match="is not host:port"):
        brokers.choose(f"external:{address}")


def test_apache_without_java_names_java_and_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(brokers.BrokerUnavailable, match=r"needs java.*install a Java runtime 17"):
        brokers.choose("apache", tmp_path / "broker").start()


def test_apache_with_an_old_java_names_its_version(monkeypatch, tmp_path):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(brokers.BrokerUnavailable, match=r"needs Java 17.*11\.0\.2"):
        apache.java_program()


def test_apache_without_maven_names_maven_and_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(brokers.BrokerUnavailable, match="mvn is not on PATH: install Maven"):
        apache.class_path(tmp_path / "cache")


def test_a_failing_maven_is_quoted(monkeypatch, tmp_path):
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho 'no route to the registry'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    with pytest.raises(
        brokers.BrokerUnavailable, match=r"(?s)could not resolve Apache Kafka.*no route to the registry"
    ):
        apache.class_path(tmp_path / "cache")


def test_a_cached_class_path_is_resolved_again_once_its_jars_are_gone(monkeypatch, tmp_path):
    jar = tmp_path / "kafka.jar"
    maven = tmp_path / "mvn"
    maven.write_text(
        "#!/bin/sh\n"
        'for argument; do case "$argument" in -Dmdep.outputFile=*) output="${argument#*=}";; esac; done\n'
        f'echo run >> {tmp_path}/runs; : > {jar}; echo {jar} > "$output"\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    runs = tmp_path / "runs"

    found = [apache.class_path(tmp_path), apache.class_path(tmp_path)]
    assert [str(jar), str(jar)] == found
    assert runs.read_text().count("run") == 1
    jar.unlink()
    apache.class_path(tmp_path)
    assert runs.read_text().count("run") == 2
