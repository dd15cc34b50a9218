//! Settings of the backend from a file: what they open, what they refuse, and logins to registries.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::private::{PASSWORD, Registry, USER};
use crate::stage::Stage;

pub(crate) fn the_hosts_network_is_closed_unless_settings_and_request_open_it(endpoint: &str) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            stream.unwrap().write_all(b"from the host\n").unwrap();
        }
    });
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && cat <&3\n");
    let stage = Stage::new(endpoint, &[("a.sh", &script), ("open.json", r#"{"allow_host_network": true}"#)]);
    let run = |more: &[&str]| stage.engine(&[&["run", "a.sh"], more].concat());

    assert_eq!(run(&[]).code, Some(1));
    let closed = run(&["--host-network"]);
    assert_eq!((closed.code, closed.stdout.as_str()), (Some(125), ""), "{closed:?}");
    assert!(closed.stderr.contains("docker: does not open the host's network"), "{closed:?}");

    let open = ["--docker-settings", "open.json"];
    assert_eq!(run(&open).code, Some(1), "nobody asked for it");
    assert_eq!(run(&[&open[..], &["--host-network"]].concat()).printed(), "from the host\n");
    let record = run(&[&open[..], &["--host-network", "--json"]].concat()).printed();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["network"], json!(["host"]));
    assert_eq!(record["enforcement"]["waived"]["network"], "the request asked for the host's network");
    assert_eq!(record["enforcement"]["enforced"]["file_system"], "kernel", "{record}");
}

pub(crate) fn what_is_wrong_in_a_file_is_named_at_once(endpoint: &str) {
    let wrong = r#"{"image_cache": {"registry": "https://r.example", "local_cache_size_gb": 0}, "id_range": [0, 1]}"#;
    let unknown = r#"{"allow_host_networks": true}"#;
    let stage = Stage::new(endpoint, &[("a.sh", "echo ran\n"), ("wrong.json", wrong), ("unknown.json", unknown)]);
    for (file, expected) in [
        (
            "wrong.json",
            &["docker.image_cache.registry", "docker.image_cache.local_cache_size_gb", "docker.id_range"][..],
        ),
        ("unknown.json", &["unknown.json", "unknown field `allow_host_networks`"]),
        ("missing.json", &["--docker-settings", "missing.json"]),
    ] {
        let ended = stage.engine(&["run", "a.sh", "--docker-settings", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
        assert!(expected.iter().all(|it| ended.stderr.contains(it)), "{ended:?}");
    }
}

pub(crate) fn a_closed_registry_is_opened_by_the_logins_that_the_machine_keeps(endpoint: &str) {
    let registry = Registry::start_closed();
    let image = format!("{}/private/bash:1", registry.name);
    let settings = json!({"images": {"bash": image}}).to_string();
    let stage = Stage::new(endpoint, &[("a.sh", "echo pulled\n"), ("images.json", &settings)]);
    let write = |name: &str, text: &str| std::fs::write(stage.folder.join(name), text).unwrap();
    let login = |password: &str| {
        use base64::Engine as _;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"));
        json!({"auths": {&registry.name: {"auth": auth}}}).to_string()
    };
    write("config.json", &login(PASSWORD));
    stage.run("docker", &["tag", "stella-runtime/bash:base", &image]).printed();
    stage.run("docker", &["push", "--quiet", &image]).printed();
    let run = || {
        stage.run("docker", &["rmi", &image]);
        stage.engine(&["run", "a.sh", "--docker-settings", "images.json"])
    };
    // The file holds it.
    assert_eq!(run().printed(), "pulled\n");
    // A program keeps it, and is told which registry is meant.
    let helper = format!(
        "#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {}' ] && echo '{}'\n",
        registry.name,
        json!({"ServerURL": registry.name, "Username": USER, "Secret": PASSWORD})
    );
    write("docker-credential-tests", &helper);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(stage.folder.join("docker-credential-tests"), executable).unwrap();
    for by in [json!({"credsStore": "tests"}), json!({"credHelpers": {&registry.name: "tests"}})] {
        write("config.json", &by.to_string());
        assert_eq!(run().printed(), "pulled\n", "{by}");
    }
    // Settings go before both.
    write("config.json", &json!({"credsStore": "not-there"}).to_string());
    let own =
        json!({"images": {"bash": image}, "registry_logins": {&registry.name: {"user": USER, "password": PASSWORD}}});
    write("images.json", &own.to_string());
    assert_eq!(run().printed(), "pulled\n");
    write("images.json", &settings);
    let missing = run();
    assert!(missing.stderr.contains("there is no program docker-credential-not-there"), "{missing:?}");
    for wrong in ["{}".to_owned(), login("wrong-word")] {
        write("config.json", &wrong);
        let refused = run();
        assert_eq!(refused.code, Some(125), "{refused:?}");
        assert!(refused.stderr.contains(&image) && !refused.stderr.contains("wrong-word"), "{refused:?}");
    }
    stage.run("docker", &["rmi", &image]);
}
