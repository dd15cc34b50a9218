//! Tests of what is generated, to the letter, and of the folder that it speaks of.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;

use proptest::prelude::{any, proptest};
use serde_json::json;

use super::*;
use crate::ErrorKind;

fn file(path: &str, content: &[u8], executable: bool) -> JobFile {
    JobFile { path: RelPath::parse(path).unwrap(), content: Bytes::copy_from_slice(content), executable }
}

fn parts(files: Vec<JobFile>) -> Parts {
    Parts {
        image: "python:3".into(),
        command: vec!["python3".into(), "/scripts/main.py".into()],
        env: vec![("PARAM_A".into(), "cost: $5".into()), ("PARAM_ON".into(), "yes".into())],
        secret_variables: vec!["PARAM_TOKEN".into()],
        files,
        args_json: br#"{"a":"cost: $5","on":"yes"}"#.to_vec(),
        layer: None,
    }
}

fn mounts(files: Vec<JobFile>) -> Mounts {
    Mounts::new("clean_up.old", "1.0.0", parts(files)).unwrap()
}

fn script() -> Mounts {
    mounts(vec![file("main.py", b"import os\n\nprint(os.environ['PARAM_A'])\n", false)])
}

fn with_packages(path: &Path) -> Mounts {
    let layer = DependencyLayer {
        lock: Digest::of(b"lock"),
        digest: Digest::of(b"tree"),
        path: path.to_owned(),
        hold: Arc::new(()),
    };
    let layer = Some((layer, "/packages".to_owned()));
    Mounts::new("clean_up.old", "1.0.0", Parts { layer, ..parts(Vec::new()) }).unwrap()
}

#[test]
fn names_are_labels_that_tell_contents_apart() {
    let name = |script: &str, content: &[u8]| {
        Mounts::new(script, "1.0.0", parts(vec![file("a", content, false)])).unwrap().name().to_owned()
    };
    let is_label = |it: &str| {
        let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        it.len() <= 63 && it.chars().all(sound) && !it.starts_with('-') && !it.ends_with('-')
    };
    for script in ["a", "clean_up.old", "9", &"long-".repeat(30), "a.-_b", &"x".repeat(54)] {
        assert!(is_label(&name(script, b"")), "{script}: {}", name(script, b""));
    }
    assert!(name("clean_up.old", b"").starts_with("clean-up-old-1-0-0-"));
    assert_eq!(name("a", b"x"), name("a", b"x"));
    assert_ne!(name("a", b"x"), name("a", b"y"));
}

#[test]
fn dockers_form_is_told_to_the_letter() {
    let mounts = script();
    let docker = mounts.docker(Path::new("/srv/jobs")).unwrap();
    let bind = format!("/srv/jobs/{}/scripts:/scripts:ro", mounts.name());
    assert_eq!(docker.binds, std::slice::from_ref(&bind));
    let expected = [
        "-v",
        &bind,
        "-e",
        "SCRIPT_ARGS_FILE=/scripts/args.json",
        "-e",
        "PARAM_A=cost: $5",
        "-e",
        "PARAM_ON=yes",
        "-e",
        "PARAM_TOKEN",
        "--entrypoint",
        "python3",
        "python:3",
        "/scripts/main.py",
    ];
    assert_eq!(docker.run_arguments(), expected);
    let packages = with_packages(Path::new("/store/tree"));
    let second = format!("/srv/jobs/{}/packages:/packages:ro", packages.name());
    assert_eq!(packages.docker(Path::new("/srv/jobs")).unwrap().binds[1], second);
    for bad in ["relative", "/with:colon"] {
        assert_eq!(mounts.docker(Path::new(bad)).unwrap_err().problems()[0].field, "into", "{bad}");
    }
    assert!(mounts.compose(Path::new("/with:colon")).is_ok());
}

#[test]
fn composes_form_is_told_to_the_letter() {
    let mounts = with_packages(Path::new("/store/tree"));
    let name = mounts.name();
    let expected = format!(
        r#"services:
  "{name}":
    image: "python:3"
    entrypoint:
      - "python3"
    command:
      - "/scripts/main.py"
    environment:
      SCRIPT_ARGS_FILE: "/scripts/args.json"
      PARAM_A: "cost: $$5"
      PARAM_ON: "yes"
      PARAM_TOKEN: null
    volumes:
      - type: "bind"
        source: "/srv/$$a/{name}/scripts"
        target: "/scripts"
        read_only: true
      - type: "bind"
        source: "/srv/$$a/{name}/packages"
        target: "/packages"
        read_only: true
"#
    );
    assert_eq!(mounts.compose(Path::new("/srv/$a")).unwrap().to_yaml(), expected);
}

#[test]
fn kubernetes_form_is_told_to_the_letter() {
    let source = b"import os\n\nprint(os.environ['PARAM_A'])\n";
    let mounts = mounts(vec![file("main.py", source, false), file("lib/tool", b"\x7fELF\xff", true)]);
    let name = mounts.name();
    let expected = format!(
        r#"apiVersion: "v1"
kind: "ConfigMap"
metadata:
  name: "{name}"
immutable: true
data:
  "main.py": |
    import os

    print(os.environ['PARAM_A'])
  "args.json": "{{\"a\":\"cost: $5\",\"on\":\"yes\"}}"
binaryData:
  "file-1": "f0VMRv8="
---
apiVersion: "v1"
kind: "Pod"
metadata:
  name: "{name}"
spec:
  restartPolicy: "Never"
  containers:
    - name: "script"
      image: "python:3"
      command:
        - "python3"
        - "/scripts/main.py"
      env:
        - name: "SCRIPT_ARGS_FILE"
          value: "/scripts/args.json"
        - name: "PARAM_A"
          value: "cost: $$5"
        - name: "PARAM_ON"
          value: "yes"
        - name: "PARAM_TOKEN"
          valueFrom:
            secretKeyRef:
              name: "{name}"
              key: "PARAM_TOKEN"
      volumeMounts:
        - name: "scripts"
          mountPath: "/scripts"
          readOnly: true
  volumes:
    - name: "scripts"
      configMap:
        name: "{name}"
        items:
          - key: "main.py"
            path: "main.py"
            mode: 292
          - key: "file-1"
            path: "lib/tool"
            mode: 365
          - key: "args.json"
            path: "args.json"
            mode: 292
"#
    );
    assert_eq!(mounts.kubernetes().unwrap().to_yaml(), expected);
}

#[test]
fn packages_are_a_claim_in_kubernetes() {
    let pod = with_packages(Path::new("/store/tree")).kubernetes().unwrap().pod;
    let claim = &pod["spec"]["volumes"][1]["persistentVolumeClaim"];
    assert_eq!(claim["claimName"], label("packages", Digest::of(b"tree")));
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][1]["mountPath"], "/packages");
}

#[test]
fn what_no_config_map_holds_is_refused() {
    let of = |bytes: usize| mounts(vec![file("main.py", &vec![b'a'; bytes], false)]).kubernetes();
    let args = br#"{"a":"cost: $5","on":"yes"}"#.len();
    assert!(of(MAX_CONFIG_MAP - args).is_ok());
    let error = of(MAX_CONFIG_MAP - args + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("1048577 bytes") && error.to_string().contains("at most 1048576"), "{error}");
}

#[test]
fn each_file_has_a_key_of_its_own() {
    let names = ["file-1", "a b", "..hidden", "file-3", "ä/b"];
    let map = mounts(names.map(|it| file(it, b"x", false)).to_vec()).kubernetes().unwrap();
    let data = map.config_map["data"].as_object().unwrap();
    assert_eq!(data.len(), names.len() + 1, "{data:?}");
    let items = map.pod["spec"]["volumes"][0]["configMap"]["items"].as_array().unwrap();
    for (item, name) in items.iter().zip(names) {
        assert_eq!(item["path"], name);
        assert!(data.contains_key(item["key"].as_str().unwrap()));
    }
}

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-mounts-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_folder_is_closed_outside_and_open_inside() {
    let folder = Folder::new("modes");
    let tree = folder.0.join("tree");
    fs::create_dir_all(tree.join("deep")).unwrap();
    fs::write(tree.join("deep/file"), "packaged").unwrap();
    fs::set_permissions(tree.join("deep/file"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("deep/file", tree.join("link")).unwrap();
    let mut mounts = with_packages(&tree);
    mounts.files.push(file("bin/tool", b"#!/bin/sh\n", true));
    let into = folder.0.join("new/below");
    let place = mounts.write(&into).await.unwrap();
    assert_eq!(place, into.join(mounts.name()));
    let modes = ["", "scripts", "scripts/bin", "scripts/bin/tool", "scripts/args.json", "packages/deep/file"];
    assert_eq!(modes.map(|it| mode(&place.join(it))), [0o700, 0o755, 0o755, 0o555, 0o444, 0o444]);
    assert_eq!(fs::read(place.join("packages/link")).unwrap(), b"packaged");
    assert!(fs::symlink_metadata(place.join("packages/link")).unwrap().is_symlink());
    // Once more is the same, and leaves nothing aside.
    assert_eq!(mounts.write(&into).await.unwrap(), place);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    // Something else under that name is not mounted: neither what others may write, nor what holds something else.
    fs::set_permissions(place.join("scripts/args.json"), fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(mounts.write(&into).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    fs::write(place.join("scripts/args.json"), "{}").unwrap();
    fs::set_permissions(place.join("scripts/args.json"), fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(mounts.write(&into).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
}

#[tokio::test]
async fn nothing_is_left_of_a_folder_that_could_not_be_written() {
    let folder = Folder::new("failure");
    let missing = with_packages(Path::new("/nowhere/tree"));
    let error = missing.write(folder.0.join("a/b")).await.unwrap_err();
    assert_eq!((error.kind(), folder.names()), (ErrorKind::Unavailable, Vec::<String>::new()));
    assert!(error.to_string().contains("can't write the mounts into"), "{error}");
    fs::write(folder.0.join("file"), "").unwrap();
    assert_eq!(script().write(folder.0.join("file/x")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // What has the name and is a link is not followed.
    fs::create_dir(folder.0.join("elsewhere")).unwrap();
    symlink("elsewhere", folder.0.join(script().name())).unwrap();
    assert_eq!(script().write(&folder.0).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_dir(folder.0.join("elsewhere")).unwrap().count(), 0);
}

/// Reads back what is written.
fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

#[test]
fn texts_are_read_back_as_they_were() {
    for text in [
        "",
        "yes",
        "no",
        "on",
        "~",
        "null",
        "1",
        "0x1f",
        "1_000",
        "22:22",
        "1e3",
        ".inf",
        "2024-01-01",
        "- a",
        "? a",
        "a: b",
        "a #b",
        "%x",
        "@a",
        "`a",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "---",
        "a\n---\nb",
        "a\n...\nb\n",
        "a\nb",
        "a\nb\n",
        "a\n\nb\n\n",
        " a\nb",
        "\ta\nb",
        "\na\nb",
        "a\n\tb\n",
        "a\n  b\n",
        "a\n   \nb\n",
        "a\n  ",
        "a\r\nb",
        "a\u{85}b",
        "a\u{2028}b\nc",
        "\u{feff}a\nb",
        "a\u{0}b",
        "\u{7f}",
        "😀\nü\n",
        "'\"\\\n$x",
        "#!/bin/sh\n# a: b\n",
    ] {
        for value in [json!({"a": text, "b": [text, {"c": text}]}), json!([[text], {}, [], {"": text}])] {
            assert_eq!(read(&yaml::document(&value)), value, "{}", yaml::document(&value));
        }
        let key = json!({text: {text: 1}});
        assert_eq!(read(&yaml::document(&key)), key, "{}", yaml::document(&key));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_back_as_it_was(lines in proptest::collection::vec(any::<String>(), 0..4), end in 0..3usize) {
        let text = format!("{}{}", lines.join("\n"), "\n".repeat(end));
        let value = json!({"data": {"a": text}, "b": [{"c": text, "d": [text]}]});
        assert_eq!(read(&yaml::document(&value)), value);
    }
}
