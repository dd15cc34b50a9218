//! What priming is for: the time from the job to its end, by turns.

use std::time::Duration;

use crate::bench::Bench;

/// Rounds of each way.
const ROUNDS: usize = 15;

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

async fn check(language: &str, source: &str) {
    let bench = Bench::new(language);
    let job = bench.job(source, &[]);
    let (mut first, mut end) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..=ROUNDS {
        for primed in [false, true] {
            let outcome = bench.run(&job, primed).await;
            assert_eq!(outcome.seen.stdout, "hello\n", "{outcome:?}");
            // The first round finds no page in the cache.
            if round > 0 {
                first[usize::from(primed)].push(outcome.first);
                end[usize::from(primed)].push(outcome.end);
            }
        }
    }
    let [cold_first, primed_first] = first.map(|mut it| median(&mut it));
    let [cold, primed] = end.map(|mut it| median(&mut it));
    println!(
        "{language}: job to first output {cold_first:.2} ms afresh, {primed_first:.2} ms primed; \
         to its end {cold:.2} ms afresh, {primed:.2} ms primed ({:.2})",
        primed / cold
    );
    assert!(primed < cold, "{language}: {primed} ms primed, {cold} ms afresh");
    bench.finish().await;
}

#[tokio::test]
async fn a_primed_interpreter_ends_sooner() {
    check("python", "print('hello')\n").await;
    check("typescript", "export {};\nconsole.log('hello');\n").await;
}
