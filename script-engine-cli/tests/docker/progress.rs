//! What a terminal shows of long preparations, and that nothing else is shown of them.

use serde_json::json;

use crate::private::Registry;
use crate::stage::Stage;

pub(crate) fn a_terminal_shows_how_far_a_pull_and_a_build_are(endpoint: &str) {
    let registry = Registry::start();
    let image = format!("{}/base/bash:1", registry.name);
    let settings = json!({"images": {"bash": image}, "image_cache": {"enabled": false}}).to_string();
    let stage = Stage::new(endpoint, &[("a.sh", "echo ran; echo told >&2\n"), ("images.json", &settings)]);
    stage.run("docker", &["tag", "stella-runtime/bash:base", &image]).printed();
    stage.run("docker", &["push", "--quiet", &image]).printed();
    let run = ["run", "a.sh", "--docker-settings", "images.json"];

    // All names of the image have to go, or there is nothing to pull.
    let pulled_anew = |stage: &Stage| stage.run("docker", &["rmi", "--force", &image]);
    pulled_anew(&stage);
    let ended = stage.engine(&run);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("ran\n", "told\n"), "{ended:?}");

    pulled_anew(&stage);
    let program = env!("CARGO_BIN_EXE_script-engine");
    let line = format!("{program} {} --backend docker --state state", run.join(" "));
    let shown = stage.run("script", &["--quiet", "--return", "--command", &line, "/dev/null"]).printed();
    assert!(shown.contains(&format!("pull {image}")), "{shown:?}");
    assert!(shown.ends_with("ran\r\ntold\r\n"), "{shown:?}");
    stage.run("docker", &["rmi", &image]).printed();
}
