//! `doctor`: what works on this machine, for people and as JSON.

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn it_says_what_works() {
    let ended = Stage::new(&[]).run(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    for word in
        ["namespaces", "memory", "hosts by name and by address", "bash 5", "python 3", "node ", "go 1.", "java "]
    {
        assert!(text.to_lowercase().contains(word), "{word} is not in\n{text}");
    }
}

#[test]
fn it_says_so_as_one_object_too() {
    let ended = Stage::new(&[]).run(&["doctor", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(serde_json::from_slice::<Value>(&ended.stdout).unwrap().is_object());
}
