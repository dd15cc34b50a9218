//! A Kafka broker of the test's own: one process that is broker and controller, in a folder that goes away with it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::site::closed_port;

/// Names the jars and their versions.
const POM: &str = include_str!("kafka/pom.xml");
/// Fills a topic.
const FILL: &str = include_str!("kafka/Fill.java");

/// The broker. It ends with this.
pub(crate) struct Kafka {
    folder: PathBuf,
    broker: Child,
    port: u16,
}

impl Kafka {
    pub(crate) fn start() -> Self {
        let folder = PathBuf::from(format!("/var/tmp/script-engine-kafka-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pom.xml"), POM).unwrap();
        fs::write(folder.join("Fill.java"), FILL).unwrap();
        // Resolves and fetches what the broker is made of, as everybody does who uses it.
        let fetch = ["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"];
        succeed(Command::new("mvn").args(fetch).current_dir(&folder));

        let (port, controller) = (closed_port(), closed_port());
        let settings = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             controller.listener.names=CONTROLLER\n\
             log.dirs={}\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=1\n",
            folder.join("data").display()
        );
        fs::write(folder.join("settings"), settings).unwrap();
        // A cluster's id is a UUID in base64, of no meaning.
        succeed(java(&folder).args([
            "kafka.tools.StorageTool",
            "format",
            "-t",
            "MkU3OEVBNTcwNTJENDM2Qk",
            "-c",
            "settings",
        ]));
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = java(&folder);
        command.args(["kafka.Kafka", "settings"]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { broker: command.spawn().unwrap(), folder, port }
    }

    /// Where clients find it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes a topic with a partition for each of `offsets`, puts messages into it, and commits the offsets for a group.
    pub(crate) fn fill(&self, topic: &str, messages: u32, group: &str, offsets: &[u32]) {
        let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
        let mut fill = java(&self.folder);
        // Its client waits for the broker to be up.
        succeed(fill.args(["Fill.java", &self.address(), topic, &messages.to_string(), group, &offsets.join(",")]));
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        drop(self.broker.kill());
        drop(self.broker.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Java with the jars, small and quick to start.
fn java(folder: &std::path::Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "jars/*"]).current_dir(folder);
    command
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", told(&output.stdout), told(&output.stderr));
}
