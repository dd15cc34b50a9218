//! The table of samples. The texts are in `samples/`.

use super::destination::Reach::{HostAndPort, List, Url};
use super::{Sample, SamplePackage};

/// Takes the two files of a sample from its folder.
macro_rules! files {
    ($id:literal, $entry_point:literal) => {
        Files {
            id: $id,
            entry_point: $entry_point,
            source: include_str!(concat!("../../samples/", $id, "/", $entry_point)),
            schema: include_str!(concat!("../../samples/", $id, "/parameters.json")),
        }
    };
}

struct Files {
    id: &'static str,
    entry_point: &'static str,
    source: &'static str,
    schema: &'static str,
}

impl Files {
    /// The sample of which these are the files, without what is said of it elsewhere.
    const fn sample(self, language: &'static str, title: &'static str) -> Sample {
        Sample {
            id: self.id,
            title,
            description: "",
            language,
            entry_point: self.entry_point,
            tags: &[],
            packages: &[],
            source: self.source,
            schema: self.schema,
            reaches: &[],
        }
    }
}

const fn package(ecosystem: &'static str, name: &'static str, version: &'static str) -> SamplePackage {
    SamplePackage { ecosystem, name, version }
}

/// A language's name for people.
pub(super) fn language_title(id: &str) -> &str {
    match id {
        "bash" => "Bash",
        "csharp" => "C#",
        "go" => "Go",
        "java" => "Java",
        "python" => "Python",
        "typescript" => "TypeScript",
        other => other,
    }
}

const HTTP_JSON: SamplePackage = package("nuget", "System.Net.Http.Json", "8.0.0");
const GSON: SamplePackage = package("maven", "com.google.code.gson:gson", "2.11.0");
const AXIOS: SamplePackage = package("npm", "axios", "1.6.0");

/// Every sample, by id.
pub(super) static LIBRARY: [Sample; 18] = [
    Sample {
        description: "Calls the endpoints of an API one after the other and checks what each answers: the status, the \
                      time it took, and the body against a schema of kinds, lists and fields. Fails if one of them does \
                      not answer as it should; all are called, so that one execution tells everything.",
        tags: &["testing", "api", "integration"],
        packages: &[AXIOS, package("npm", "zod", "3.22.0")],
        reaches: &[Url("base_url")],
        ..files!("api-integration-test", "api-test.ts")
            .sample("typescript", "API Integration Test with schema validation")
    },
    Sample {
        description: "Verifies that a folder holds enough backups, that the newest one is recent and not suspiciously \
                      small, and that it can be read to its end if it is a tar or gzip archive.",
        tags: &["backup", "validation"],
        ..files!("backup-verify", "backup_verify.sh").sample("bash", "Backup Verification: exist and are recent")
    },
    Sample {
        description: "Looks at the configuration of the running containers of a Docker Engine, by its API, and names \
                      each one that breaks a rule: privileged, without a memory limit, unhealthy, as root, without a \
                      fixed tag, in the host's namespaces, with the engine's socket inside. It only reads.",
        tags: &["docker", "validation"],
        reaches: &[Url("docker_host")],
        ..files!("container-inspect", "inspect.go")
            .sample("go", "Container Inspector: validates running containers' configuration")
    },
    Sample {
        description: "Validates the migrations of a PostgreSQL database: that the table of applied migrations is there, \
                      that the newest one is the expected one, that none failed half-way, and that the tables which the \
                      application needs exist. Made for the tables of Flyway, golang-migrate, Rails and Entity Framework.",
        tags: &["database", "migration", "validation"],
        packages: &[package("nuget", "Npgsql", "8.0.0"), package("nuget", "Dapper", "2.1.0")],
        reaches: &[HostAndPort("host", "port")],
        ..files!("database-migration-check", "db-check.csx").sample("csharp", "Database Migration Validator")
    },
    Sample {
        description: "Compares the disk space in use at a mount point with a threshold, and the inodes too. In a sandbox \
                      it sees the sandbox's own file systems and those of the host that are shown there.",
        tags: &["health-check", "system"],
        packages: &[package("apt", "jq", "")],
        ..files!("disk-space-check", "diskcheck.sh").sample("bash", "Disk Space Check")
    },
    Sample {
        description: "Asks an HTTP endpoint how it is and compares the status of the answer with the expected one. \
                      Redirects are not followed. What a JSON answer says in its field `status` is reported.",
        tags: &["health-check", "http"],
        packages: &[HTTP_JSON],
        reaches: &[Url("endpoint")],
        ..files!("health-check-http", "health-check.csx")
            .sample("csharp", "HTTP Health Check: configurable endpoint and expected status")
    },
    Sample {
        description: "Greets a target, and shows the three ways in which a script answers: a line for people, a \
                      structured record, and a JSON result. Fails if there is nobody to greet.",
        tags: &["demo", "hello"],
        ..files!("hello-world", "hello.py").sample("python", "Greets a target; structured record and JSON result")
    },
    Sample {
        description: "Connects to a database by JDBC, runs a validation query, and says how long both took. Comes with \
                      the driver of PostgreSQL; another database needs its driver's line in the script.",
        tags: &["health-check", "database", "jdbc"],
        packages: &[package("maven", "org.postgresql:postgresql", "42.7.4"), GSON],
        reaches: &[Url("jdbc_url")],
        ..files!("jdbc-health-check", "JdbcHealthCheck.java").sample("java", "JDBC Health Check")
    },
    Sample {
        description: "Validates JSON documents against a JSON Schema (2020-12 or draft-07), and says of each problem \
                      where it is, what is there, and what should be.",
        tags: &["validation", "schema", "json"],
        packages: &[package("npm", "ajv", "8.12.0")],
        ..files!("json-schema-validator", "schema-validator.ts")
            .sample("typescript", "JSON Schema Validator with detailed errors")
    },
    Sample {
        description: "Compares how far a consumer group has read with how much there is to read, for each partition. \
                      Fails if the group lags too far behind, if it committed nothing, or, where that is asked for, if \
                      nobody is in it. Needs to reach every broker that the first ones name.",
        tags: &["kafka", "monitoring"],
        packages: &[
            package("maven", "org.apache.kafka:kafka-clients", "4.1.1"),
            GSON,
            package("maven", "org.slf4j:slf4j-nop", "1.7.36"),
        ],
        reaches: &[List("bootstrap_servers")],
        ..files!("kafka-consumer-check", "KafkaLagCheck.java").sample("java", "Kafka Consumer Lag Check")
    },
    Sample {
        description: "Reads an application's log, from an HTTP server, a file or standard input, and looks for too many \
                      errors and for moments with unusually many of them. Tells the commonest errors, with numbers and \
                      ids left out so that equal ones count as equal.",
        tags: &["monitoring", "logs", "analysis"],
        packages: &[
            package("pypi", "requests", "2.31.0"),
            package("pypi", "pandas", "2.1.0"),
            package("pypi", "numpy", "<2"),
        ],
        reaches: &[Url("source")],
        ..files!("log-analyzer", "log_analyzer.py")
            .sample("python", "Log Analyzer: errors and anomalies in application logs")
    },
    Sample {
        description: "Asks a Prometheus server for the value of a query and compares it with a threshold. Passes if \
                      every series that the query gives satisfies the comparison; no data at all is a failure.",
        tags: &["monitoring", "metrics", "prometheus"],
        packages: &[package("pypi", "prometheus-api-client", "0.5.4")],
        reaches: &[Url("prometheus_url")],
        ..files!("prometheus-query", "prom_query.py").sample("python", "Prometheus Query: value against a threshold")
    },
    Sample {
        description: "Restarts a service and makes sure that it came up and stayed up: the service manager calls it \
                      active, its port takes connections if one is named, and after a while both are still so and it \
                      was not started again in between. The manager is a command, `systemctl` or what reaches one.",
        tags: &["operations", "systemd"],
        reaches: &[HostAndPort("health_host", "health_port")],
        ..files!("service-restart", "restart.sh").sample("bash", "Service Restart with health verification")
    },
    Sample {
        description: "Tells a Slack channel of a deployment, with a bot token or an incoming webhook. Neither is ever \
                      printed. Fails if Slack does not take the message.",
        tags: &["notification", "slack"],
        packages: &[package("pypi", "slack-sdk", "3.23.0")],
        reaches: &[Url("slack_api_url"), Url("webhook_url")],
        ..files!("slack-notification", "slack_notify.py").sample("python", "Slack Notification of deployments")
    },
    Sample {
        description: "Sends a list of requests to an API and validates each answer: its status, its type, how long it \
                      took, and fields of its JSON body with the values they must have. Fails if one of them is not \
                      answered as it should; all are sent.",
        tags: &["smoke-test", "api"],
        packages: &[HTTP_JSON],
        reaches: &[Url("base_url")],
        ..files!("smoke-test-api", "smoke-test.csx").sample("csharp", "API Smoke Test: request and response validation")
    },
    Sample {
        description: "Measures load, memory, swap and disk space of the machine it runs on, and compares them with \
                      limits. In a sandbox the figures are those that the kernel shows there.",
        tags: &["health-check", "system"],
        ..files!("system-health-check", "system_health.py").sample("python", "System health metrics")
    },
    Sample {
        description: "Checks that a TCP port takes connections, and says how long that took and which addresses of the \
                      host were tried.",
        tags: &["health-check", "network"],
        reaches: &[HostAndPort("host", "port")],
        ..files!("tcp-port-check", "portcheck.go").sample("go", "TCP Port Check")
    },
    Sample {
        description: "Sends a webhook and makes sure that it arrived: tries again after network errors and after answers \
                      that may pass, waits longer each time, signs the body if there is a secret, and looks for a \
                      confirmation in the answer if one is asked for.",
        tags: &["notifications", "webhook", "integration"],
        packages: &[AXIOS],
        reaches: &[Url("webhook_url")],
        ..files!("webhook-sender", "webhook.ts")
            .sample("typescript", "Webhook Sender with retry and delivery confirmation")
    },
];
