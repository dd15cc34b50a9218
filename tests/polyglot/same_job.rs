//! One program for each language: words come as a parameter, counted and sorted they go to the result.

use script_engine_core::Outcome;
use serde_json::{Value, json};

use crate::bench::{Bench, language, stdout, story};

/// File, program, the start of its toolchain's name.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("count.sh", include_str!("programs/count.sh"), "bash "),
    ("count.py", include_str!("programs/count.py"), "python "),
    ("count.ts", include_str!("programs/count.ts"), "node "),
    ("count.go", include_str!("programs/count.go"), "go "),
    ("Count.java", include_str!("programs/Count.java"), "java "),
    ("count.cs", include_str!("programs/count.cs"), "dotnet "),
];

#[tokio::test(flavor = "multi_thread")]
async fn programs_in_all_languages_give_one_result() {
    let bench = Bench::new().await;
    let words = json!(["pear", "Äpfel", "fig", "pear", "\u{1F350}", "a \"b\"", "fig", "pear"]);
    let expect = json!({"total": 8, "words": {"a \"b\"": 1, "fig": 2, "pear": 3, "Äpfel": 1, "\u{1F350}": 1}});
    for (file, program, toolchain) in PROGRAMS {
        let begin = std::time::Instant::now();
        let with = |request: script_engine_core::ExecutionRequest| {
            let mut request = request;
            request.parameters.insert("words".into(), words.clone());
            request
        };
        let record = bench.run(file, program, with).await;
        assert_eq!(record.outcome(), Some(&Outcome::Succeeded), "{file}: {}", story(&record));
        assert_eq!(record.result(), Some(&expect), "{file}: {}", story(&record));
        // The order too, which a map of JSON does not compare.
        let keys: Vec<&str> =
            record.result().unwrap()["words"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["a \"b\"", "fig", "pear", "Äpfel", "\u{1F350}"], "{file}");
        assert_eq!(
            stdout(&record).lines().last().and_then(|it| serde_json::from_str::<Value>(it).ok()),
            Some(expect.clone())
        );
        let started = record.started.as_ref().unwrap();
        assert!(started.toolchain.starts_with(toolchain), "{file}: {:?}", started.toolchain);
        println!("{file}: {:?} with {}", begin.elapsed(), started.toolchain);
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_compiles_nothing() {
    let bench = Bench::new().await;
    let name =
        bench.save("Main.java", "public class Main { public static void main(String[] a) { System.out.println(1); } }");
    let name = name.await.unwrap();
    let mut times = Vec::new();
    for _ in 0..2 {
        let id = bench.engine.submit(script_engine_core::ExecutionRequest::new(name.clone())).await.unwrap();
        let record = bench.engine.wait(id).await.unwrap();
        assert_eq!(stdout(&record), "1\n", "{}", story(&record));
        times.push(record.ending.unwrap().timings.of(script_engine_core::Stage::Resolve));
    }
    assert!(times[1] * 20 < times[0], "{times:?}");
    assert!(bench.engine.toolchain(&language("java")).await.unwrap().is_at_least("11"));
    bench.finish().await;
}
