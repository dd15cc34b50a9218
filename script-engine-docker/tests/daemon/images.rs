//! The official images, pulled of a registry by `cargo xtask images`.

use std::process::Command;

use crate::bench::BASH;
use crate::private::{Private, Registry, docker};

/// Where the program behind `cargo xtask` is.
const XTASK: &str = "SCRIPT_ENGINE_TEST_XTASK";

/// Whether it could make the image of `language` of what `registry` has, and what it said.
fn images(endpoint: &str, language: &str, registry: &str) -> (bool, String) {
    let program = std::env::var_os(XTASK).expect("cargo xtask sets this");
    let mut images = Command::new(program);
    images.args(["images", language, "--from", registry]).env("DOCKER_HOST", endpoint);
    let output = images.output().unwrap();
    let text = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    (output.status.success(), text)
}

pub(crate) async fn the_official_ones_are_pulled_where_a_registry_has_them(endpoint: &str) {
    let (registry, private) = (Registry::start(), Private::start(false));
    let official = format!("{}/library/alpine:3.19", registry.name);
    docker(endpoint, &["tag", BASH, &official]);
    docker(endpoint, &["push", "--quiet", &official]);
    docker(endpoint, &["rmi", &official]);

    let (made, told) = images(&private.endpoint(), "bash", &registry.name);
    assert!(made && told.contains(&format!("image {BASH} of alpine:3.19")), "{told}");
    let label = "{{index .Config.Labels \"script-engine.recipe\"}}";
    let label = private.docker(&["image", "inspect", "--format", label, BASH]);
    assert!(label.starts_with("official alpine:3.19 "), "{label}");
    private.docker(&["run", "--rm", "--network", "none", BASH, "bash", "-c", "jq --version"]);

    // What is there is not made again, not even of a registry that is away.
    drop(registry);
    assert_eq!(images(&private.endpoint(), "bash", "127.0.0.1:1"), (true, String::new()));
    let (made, told) = images(&private.endpoint(), "python", "127.0.0.1:1");
    assert!(!made && told.contains("127.0.0.1:1/library/python:3.12-slim") && told.contains("refused"), "{told}");
    let (made, told) = images(&private.endpoint(), "basic", "127.0.0.1:1");
    assert!(!made && told.contains("no image of basic; there are those of bash, python"), "{told}");
}
