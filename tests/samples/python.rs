//! The samples in Python.

use serde_json::json;

use crate::case::{Case, cases};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases!["hello-world": hello_world, "system-health-check": system_health_check]
}

async fn hello_world(stage: &Stage) {
    let result = stage.run("hello-world", json!({})).await.passes("Hello, world!");
    assert_eq!(result["target"], "world");
    stage.run("hello-world", json!({"target": "Zoë", "greeting": "Moin"})).await.passes("Moin, Zoë!");
    stage.run("hello-world", json!({"target": " "})).await.fails("nobody to greet");
}

async fn system_health_check(stage: &Stage) {
    let generous = json!({"max_load_per_cpu": 1000, "max_memory_percent": 100, "max_disk_percent": 100});
    let result = stage.run("system-health-check", generous).await.passes("system is healthy: load per cpu");
    for metric in ["load_per_cpu", "memory_percent", "swap_percent", "disk_percent", "uptime_seconds"] {
        assert!(result["metrics"].get(metric).is_some(), "{result:?}");
    }
    let strict = json!({"max_load_per_cpu": 1000, "max_memory_percent": 0, "mount_points": ["/missing"]});
    let result = stage.run("system-health-check", strict).await.fails("memory in use (percent) is");
    assert_eq!(result["problems"][1], "/missing can't be looked at: No such file or directory");
}
