//! The samples in Java.

use serde_json::{Value, json};

use crate::case::{Case, cases};
use crate::kafka::Kafka;
use crate::postgres::{PASSWORD, Postgres, USER};
use crate::site::{Mute, closed_port};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases!["jdbc-health-check": jdbc_health_check, "kafka-consumer-check": kafka_consumer_check]
}

async fn jdbc_health_check(stage: &Stage) {
    let database = Postgres::start();
    let with = |more: Value| {
        let url = format!("jdbc:postgresql://127.0.0.1:{}/postgres?ApplicationName=check", database.port());
        let mut all = json!({"jdbc_url": url, "username": USER, "password": PASSWORD});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let ended = stage.run("jdbc-health-check", with(json!({}))).await;
    let result = ended.passes("/postgres is healthy: connected in ");
    ended.hides(PASSWORD);
    assert_eq!((&result["product"], &result["value"]), (&json!("PostgreSQL"), &json!("1")));

    let ended = stage.run("jdbc-health-check", with(json!({"password": "something-else"}))).await;
    let result = ended.fails("password authentication failed for user \"ops\"");
    ended.hides("something-else");
    assert_eq!(result["sql_state"], "28P01");
    let query = |text: &str| with(json!({"validation_query": text, "timeout_seconds": 2}));
    stage.run("jdbc-health-check", query("SELECT 1 FROM missing")).await.fails("relation \"missing\" does not exist");
    stage.run("jdbc-health-check", query("SELECT 1 WHERE false")).await.fails("the validation query gives no rows");
    stage.run("jdbc-health-check", query("SELECT pg_sleep(60)")).await.fails("did not answer within 2 s");

    let gone =
        json!({"jdbc_url": format!("jdbc:postgresql://127.0.0.1:{}/postgres", closed_port()), "timeout_seconds": 5});
    stage.run("jdbc-health-check", gone).await.fails("/postgres is not healthy: ");
    let mute = Mute::new();
    let silent =
        json!({"jdbc_url": format!("jdbc:postgresql://127.0.0.1:{}/postgres", mute.port()), "timeout_seconds": 1});
    stage.run("jdbc-health-check", silent).await.fails("/postgres ");
    stage.run("jdbc-health-check", json!({"jdbc_url": "jdbc:other:x"})).await.fails("No suitable driver found");
}

async fn kafka_consumer_check(stage: &Stage) {
    let kafka = Kafka::start();
    // Five messages in each of two partitions, of which the group has read four and five.
    kafka.fill("orders", 10, "billing", &[4, 5]);
    let with = |group: &str, more: Value| {
        let mut all = json!({"bootstrap_servers": kafka.address(), "group_id": group, "timeout_seconds": 20});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let result = stage.run("kafka-consumer-check", with("billing", json!({}))).await;
    let result =
        result.passes("consumer group billing lags 1 messages behind in 2 partitions, at most 1000 are allowed");
    assert_eq!(result["partitions"][0], json!({"topic": "orders", "partition": 0, "committed": 4, "end": 5, "lag": 1}));

    let strict = with("billing", json!({"max_lag": 0, "topics": ["orders"]}));
    let result = stage.run("kafka-consumer-check", strict).await;
    let result = result.fails("consumer group billing lags 1 messages behind, more than 0; the most in orders-0, 1");
    assert_eq!(result["total_lag"], 1);
    stage
        .run("kafka-consumer-check", with("nobody", json!({})))
        .await
        .fails("consumer group nobody has committed nothing");
    let unread = with("billing", json!({"topics": ["orders", "refunds"]}));
    stage.run("kafka-consumer-check", unread).await.fails("consumer group billing has committed nothing of refunds");
    let alone = with("billing", json!({"require_members": true}));
    stage.run("kafka-consumer-check", alone).await.fails("consumer group billing has no members");
    let gone = json!({"bootstrap_servers": format!("127.0.0.1:{}", closed_port()), "timeout_seconds": 2});
    stage.run("kafka-consumer-check", gone).await.fails("did not answer within 2 s");
}
