//! Settings as an operator writes them.

use serde_json::json;

use super::*;

#[test]
fn settings_are_read_by_the_names_that_operators_know() {
    let config: Config = serde_json::from_value(json!({
        "image_cache": {"enabled": true, "registry": "r.example:5000", "local_cache_size_gb": 7, "push_to_registry": false},
        "allow_host_network": true,
        "build": {"network": "named", "ca_certificates": "/etc/ca.pem", "proxy": "http://proxy.example:3128",
            "mirrors": {"pypi": "https://pypi.example/simple", "go": "https://go.example,direct"}},
        "registry_logins": {"r.example:5000": {"user": "me", "password": "s:cret"}},
        "delivery": "mounted", "call_timeout": "1m30s", "docker_config": "/etc/docker/config.json",
    }))
    .unwrap();
    config.validate().unwrap();
    assert_eq!((config.image_cache.local_bytes(), config.image_cache.shared_by()), (7 << 30, Some("r.example:5000")));
    assert_eq!((config.call_timeout, config.delivery), (Duration::from_secs(90), Delivery::Mounted));
    assert!(config.allow_host_network && !config.image_cache.push_to_registry);
    assert_eq!(config.build.network, PackageNetwork::Named);
    assert!(!format!("{config:?}").contains("s:cret"));

    let nothing: Config = serde_json::from_value(json!({})).unwrap();
    assert_eq!(nothing, Config::default());
    assert!(!nothing.allow_host_network);
    nothing.validate().unwrap();
}

#[test]
fn a_cache_that_is_off_keeps_and_shares_nothing() {
    let cache: ImageCache = serde_json::from_value(json!({"enabled": false, "registry": "r.example"})).unwrap();
    assert_eq!((cache.local_bytes(), cache.shared_by()), (0, None));
}

#[test]
fn names_that_nobody_knows_are_refused() {
    for (settings, expected) in [
        (json!({"image_cashe": {}}), "unknown field `image_cashe`"),
        (json!({"image_cache": {"size": 1}}), "unknown field `size`"),
        (json!({"build": {"networks": "off"}}), "unknown field `networks`"),
        (json!({"build": {"network": "all"}}), "unknown variant `all`"),
        (json!({"registry_logins": {"r": {"user": "a", "password": "b", "token": "c"}}}), "unknown field `token`"),
        (json!({"call_timeout": "soon"}), "`soon` is not a duration"),
    ] {
        let error = serde_json::from_value::<Config>(settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn everything_out_of_range_is_named_at_once() {
    let login = Login { user: String::new(), password: "p".into() };
    let config = Config {
        name: String::new(),
        endpoint: "ssh://host".into(),
        state_dir: "state".into(),
        images: BTreeMap::from([("go".into(), String::new())]),
        image_prefix: "Not a name".into(),
        image_cache: ImageCache { registry: Some("https://r".into()), local_cache_size_gb: 0, ..ImageCache::default() },
        build: Build {
            proxy: Some("proxy".into()),
            mirrors: BTreeMap::from([("cargo".into(), "https://a".into()), ("npm".into(), "https://me:pw@b/".into())]),
            hosts: vec!["files.example:443".into(), "files.example".into()],
            ..Build::default()
        },
        registry_logins: BTreeMap::from([("r/x".into(), login)]),
        oci_runtime: Some("a b".into()),
        call_timeout: Duration::ZERO,
        id_range: (0, 10),
        ..Config::default()
    };
    let error = config.validate().unwrap_err();
    let fields: Vec<&str> = error.problems().iter().map(|it| it.field.trim_start_matches("docker.")).collect();
    assert_eq!(
        fields,
        [
            "name",
            "endpoint",
            "state_dir",
            "images.go",
            "image_prefix",
            "image_cache.registry",
            "image_cache.local_cache_size_gb",
            "build.mirrors.cargo",
            "build.mirrors.npm",
            "build.proxy",
            "registry_logins.r/x",
            "registry_logins.r/x",
            "oci_runtime",
            "call_timeout",
            "id_range",
            "build.hosts",
        ]
    );
}

#[test]
fn registries_are_hosts_with_or_without_a_port() {
    for (text, sound) in [
        ("r.example", true),
        ("localhost:5000", true),
        ("[::1]:5000", true),
        ("r.example/", false),
        ("", false),
        (":5000", false),
        ("r:0", false),
        ("r:port", false),
    ] {
        assert_eq!(is_registry(text), sound, "{text}");
    }
}
