"""Real Apache Kafka as one KRaft process, from the artifacts that Maven resolves; no Docker, no download script.

Java runs `kafka.Kafka` on a class path that `mvn` built once from a generated pom and that is cached per Kafka version.
Which registry Maven asks is Maven's own configuration.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from string import Template

from needstream.streams.brokers import interface, local

KAFKA_VERSION = "4.1.1"
OLDEST_JAVA = 17
HEAP_MB = 512
RESOLVE_TIMEOUT_S = 600.0
CACHE = Path.home() / ".cache" / "needstream"
CLUSTER_ID = "bmVlZHN0cmVhbS1sb2NhbA"  # sixteen bytes in base64, as KRaft wants them

POM = Template("""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>needstream</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version></plugin>
    </plugins>
  </build>
</project>
""")

# One node: every internal topic has one replica, groups form at once, topics exist because somebody created them, and a
# broker that was killed may register again after three seconds.
PROPERTIES = Template("""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$controller_port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$host:$port,CONTROLLER://$host:$controller_port
advertised.listeners=PLAINTEXT://$host:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$store
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
""")


class ApacheBroker(local.LocalBroker):
    """Apache Kafka as a child process."""

    name = "apache"
    start_timeout_s = 60.0

    def __init__(self, directory: Path | None = None, *, cache: Path = CACHE) -> None:
        """Keep data in `directory` (None: temporary) and the resolved class path below `cache`."""
        super().__init__(directory)
        self._cache = cache
        self._controller_port: int | None = None

    def prepare(self) -> Sequence[str]:
        """Resolve Kafka, write its configuration, format the storage once, and return the command."""
        java = java_program()
        path = class_path(self._cache)
        if self._controller_port is None:
            self._controller_port = local.free_port()
        store = self.directory / "kafka"
        properties = self.directory / "server.properties"
        properties.write_text(
            PROPERTIES.substitute(
                host=local.HOST, port=self.port, controller_port=self._controller_port, store=store.absolute()
            )
        )
        if not (store / "meta.properties").exists():
            arguments = ["format", "--cluster-id", CLUSTER_ID, "--config", str(properties)]
            run(
                [java, "-cp", path, "kafka.tools.StorageTool", *arguments],
                "format the storage of Kafka",
                timeout_s=60.0,
            )
        return [
            java,
            "-Xms128m",
            f"-Xmx{HEAP_MB}m",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            *("-cp", path),
            "kafka.Kafka",
            str(properties),
        ]


def java_program() -> str:
    """Return the path of a Java that can run Kafka.

    Raises:
        BrokerUnavailable: there is none, or it is too old.
    """
    java = shutil.which("java")
    remedy = f"install a Java runtime {OLDEST_JAVA} or newer and put it on PATH, or use the embedded broker"
    if java is None:
        msg = f"Apache Kafka needs java, which is not on PATH: {remedy}"
        raise interface.BrokerUnavailable(msg)
    banner = run([java, "-version"], "ask java for its version", timeout_s=30.0)
    found = re.search(r'version "(\d+)', banner)
    if found is None or int(found[1]) < OLDEST_JAVA:
        msg = f"Apache Kafka {KAFKA_VERSION} needs Java {OLDEST_JAVA}, but {java} says {banner.strip()!r}: {remedy}"
        raise interface.BrokerUnavailable(msg)
    return java


def class_path(cache: Path) -> str:
    """Return the class path of Kafka, resolved with Maven when the cache does not hold it yet.

    Raises:
        BrokerUnavailable: Maven is missing or cannot resolve the artifacts.
    """
    folder = cache / f"kafka-{KAFKA_VERSION}"
    listing = folder / "classpath.txt"
    if listing.exists():
        path = listing.read_text().strip()
        # The jars live in Maven's own repository, which may have been emptied since.
        if all(Path(jar).exists() for jar in path.split(":")):
            return path
    maven = shutil.which("mvn")
    if maven is None:
        msg = "Apache Kafka is fetched with Maven, and mvn is not on PATH: install Maven, or use the embedded broker"
        raise interface.BrokerUnavailable(msg)
    folder.mkdir(parents=True, exist_ok=True)
    pom = folder / "pom.xml"
    pom.write_text(POM.substitute(version=KAFKA_VERSION))
    # Written beside and moved: two processes that resolve at once never read half a list.
    unfinished = folder / f"classpath.{local.free_port()}.txt"
    goals = ["dependency:build-classpath", f"-Dmdep.outputFile={unfinished}"]
    run([maven, "-B", "-q", "-f", str(pom), *goals], "resolve Apache Kafka with Maven", timeout_s=RESOLVE_TIMEOUT_S)
    unfinished.replace(listing)
    return listing.read_text().strip()


def run(command: Sequence[str], purpose: str, *, timeout_s: float) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        BrokerUnavailable: it failed or took too long; the message carries the end of its output.
    """
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        msg = f"could not {purpose}: {command[0]} did not end within {timeout_s:.0f} s"
        raise interface.BrokerUnavailable(msg) from None
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-local.LOG_TAIL_LINES :])
        msg = f"could not {purpose}: {command[0]} exited with code {done.returncode} and said:\n{tail}"
        raise interface.BrokerUnavailable(msg)
    return done.stdout
