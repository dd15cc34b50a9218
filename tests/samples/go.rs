//! The samples in Go.

use serde_json::{Value, json};

use crate::case::{Case, cases};
use crate::site::{Answer, Site, closed_port};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases!["container-inspect": container_inspect, "tcp-port-check": tcp_port_check]
}

async fn tcp_port_check(stage: &Stage) {
    let site = Site::new(|_| Answer::text(200, ""));
    let open = json!({"host": "127.0.0.1", "port": site.port()});
    let result = stage.run("tcp-port-check", open).await.passes(" takes connections (");
    assert_eq!(result["addresses"][0]["open"], true);
    let by_name = json!({"host": "localhost", "port": site.port()});
    stage.run("tcp-port-check", by_name).await.passes("localhost:");
    let closed = json!({"host": "127.0.0.1", "port": closed_port()});
    let result = stage.run("tcp-port-check", closed).await.fails(" takes no connections: ");
    assert_eq!(result["addresses"][0]["open"], false);
    let unknown = json!({"host": "no-such-host.invalid", "port": 80});
    stage.run("tcp-port-check", unknown).await.fails("no-such-host.invalid");
}

/// A Docker Engine with two containers, of which one breaks every rule, and one that ends while the list is read.
fn engine(path: &str) -> Answer {
    let list = json!([
        {"Id": "a1", "Names": ["/web"]}, {"Id": "b1", "Names": ["/bad"]}, {"Id": "c1", "Names": ["/gone"]},
    ]);
    let web = json!({
        "State": {"Running": true, "Health": {"Status": "healthy"}},
        "Config": {"Image": "registry:5000/web:1.2", "User": "1000"},
        "HostConfig": {
            "Memory": 64 << 20, "NetworkMode": "bridge", "RestartPolicy": {"Name": "always"}, "ReadonlyRootfs": true,
        },
        "Mounts": [{"Source": "/srv/data"}],
    });
    let bad = json!({
        "State": {"Running": true, "Health": {"Status": "unhealthy"}},
        "Config": {"Image": "registry:5000/bad", "User": "0:0"},
        "HostConfig": {"Privileged": true, "Memory": 0, "NetworkMode": "host", "RestartPolicy": {"Name": "no"}},
        "Mounts": [{"Source": "/var/run/docker.sock"}],
    });
    match path {
        "/containers/json" => Answer::json(200, &list),
        "/containers/a1/json" => Answer::json(200, &web),
        "/containers/b1/json" => Answer::json(200, &bad),
        _ => Answer::json(404, &json!({"message": "No such container"})),
    }
}

async fn container_inspect(stage: &Stage) {
    let site = Site::new(|asked| engine(&asked.path));
    let all = [
        "healthy",
        "not_privileged",
        "memory_limit",
        "not_root",
        "fixed_tag",
        "restart_policy",
        "no_host_namespaces",
        "no_docker_socket",
        "read_only_root",
    ];
    let with = |containers: &str, rules: &[&str]| -> Value {
        json!({"docker_host": site.at("tcp"), "containers": containers, "rules": rules, "timeout_seconds": 10})
    };
    let result = stage.run("container-inspect", with("w*", &all)).await.passes("all 1 containers keep to the 9 rules");
    assert_eq!(result["containers"][0]["image"], "registry:5000/web:1.2");

    let result = stage.run("container-inspect", with("*", &all)).await.fails("1 of 2 containers break a rule");
    assert_eq!(
        result["containers"][0],
        json!({"name": "bad", "image": "registry:5000/bad", "problems": [
            "its health check fails",
            "is privileged",
            "has no memory limit",
            "runs as root",
            "its image registry:5000/bad has no fixed tag",
            "is not restarted when it ends",
            "shares namespaces with the host",
            "has the engine's socket inside",
            "can write to its root file system",
        ]})
    );
    assert_eq!(result["containers"][1]["problems"], json!([]));
    assert!(site.seen().iter().all(|it| it.method == "GET"));

    let none = with("nobody", &all[..1]);
    stage.run("container-inspect", none.clone()).await.fails("no running container matches nobody");
    let mut allowed = none;
    allowed["allow_none"] = json!(true);
    stage.run("container-inspect", allowed).await.passes("all 0 containers keep to the 1 rules");

    let other = Site::new(|_| Answer::text(404, "not here"));
    let wrong = json!({"docker_host": other.at("tcp")});
    stage.run("container-inspect", wrong).await.fails("it is none: it has no list of containers");
    let refusing = Site::new(|_| Answer::json(403, &json!({"message": "authorization denied"})));
    let refused = json!({"docker_host": refusing.at("http")});
    stage.run("container-inspect", refused).await.fails("status 403 authorization denied");
    let silent = Site::new(|_| Answer::Nothing);
    let late = json!({"docker_host": silent.at("tcp"), "timeout_seconds": 0.5});
    stage.run("container-inspect", late).await.fails("no answer within the time-out");
    let socket = json!({"docker_host": "unix:///missing.sock"});
    stage.run("container-inspect", socket).await.fails("there is no such socket");
}
