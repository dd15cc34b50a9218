//! Mounts for containers of somebody else's: what is checked first, and what never gets into them.

use script_engine_core::mounts::MountRequest;
use script_engine_core::{
    ErrorKind, Identity, LanguageId, ScriptDraft, ScriptName, Selector, Settings, Shutdown, TenantId,
};
use serde_json::json;

use super::bench_of_work::Bench;

const SECRET: &str = "correct horse battery staple";

async fn bench() -> (Bench, MountRequest) {
    let bench = Bench::new(Settings::default(), Vec::new()).await;
    let name = ScriptName::parse("hook").unwrap();
    let schema = json!({"properties": {
        "n": {"type": "integer", "default": 7},
        "token": {"type": "string", "writeOnly": true},
        "database": {"properties": {"user": {}, "password": {"format": "password"}}},
    }});
    let draft = ScriptDraft::new(name.clone(), "act good;").with_language(LanguageId::parse("acts").unwrap());
    bench.engine.save(&Identity::default(), draft.with_parameter_schema(schema)).await.unwrap();
    (bench, MountRequest::new(name).with_image("mine:1"))
}

#[tokio::test]
async fn arguments_are_bound_as_at_submit_and_nothing_is_run() {
    let (bench, request) = bench().await;
    let mounts = bench.engine.mounts(request.clone().with_parameter("n", "3")).await.unwrap();
    assert!(mounts.env().contains(&("PARAM_N".to_owned(), "3".to_owned())), "{:?}", mounts.env());
    let map = mounts.kubernetes().unwrap().config_map;
    assert_eq!(map["data"]["args.json"], r#"{"n":3}"#);
    assert_eq!(map["data"]["main.act"], "act good;");
    assert_eq!((mounts.image(), mounts.command()), ("mine:1", &["act".to_owned()][..]));
    let defaults = bench.engine.mounts(request.clone()).await.unwrap();
    assert!(defaults.env().contains(&("PARAM_N".to_owned(), "7".to_owned())));
    assert_ne!(defaults.name(), mounts.name());

    let error = bench.engine.mounts(request.clone().with_parameter("n", "x").with_parameter("m", 1)).await.unwrap_err();
    let fields: Vec<&str> = error.problems().iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["parameters/m", "parameters/n"]);
    let missing = request.clone().with_selector(Selector::Number("9.9.9".parse().unwrap()));
    assert_eq!(bench.engine.mounts(missing).await.unwrap_err().kind(), ErrorKind::NotFound);
    let stranger = Identity { tenant: TenantId::parse("other").unwrap(), ..Identity::default() };
    assert!(bench.engine.mounts(request.clone().with_identity(stranger)).await.is_err());
    bench.engine.shutdown(Shutdown::Drain).await;
    assert_eq!(bench.engine.mounts(request).await.unwrap_err().kind(), ErrorKind::Closed);
    bench.assert_clean();
}

#[tokio::test]
async fn what_is_or_holds_a_secret_is_left_to_whoever_starts_the_container() {
    let (bench, request) = bench().await;
    let database = json!({"user": "me", "password": SECRET});
    let request = request.with_parameter("token", SECRET).with_parameter("database", database);
    let mounts = bench.engine.mounts(request).await.unwrap();
    assert_eq!(mounts.secret_variables(), ["PARAM_TOKEN", "PARAM_DATABASE"]);
    let (kubernetes, into) = (mounts.kubernetes().unwrap(), std::path::Path::new("/srv"));
    let docker = mounts.docker(into).unwrap().run_arguments().join(" ");
    for text in [kubernetes.to_yaml(), mounts.compose(into).unwrap().to_yaml(), docker] {
        assert!(text.contains("PARAM_TOKEN") && !text.contains(SECRET), "{text}");
    }
    assert_eq!(kubernetes.config_map["data"]["args.json"], r#"{"n":7}"#);
}
