//! What the engine promises, refuses and waives: the demand for the kernel's word, and the report of each execution.

use script_engine_core::{Enforced, ErrorKind, ExecutionRequest, Mechanism, Need, Needs, Outcome, Restriction};

use crate::bench::{Bench, Who, ends, story};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![kernel_demanded_for_all, best_effort_is_reported, reports_are_what_was_promised]
}

/// What of the machine's limits this user can have from the kernel only in part or not at all.
fn lacking(bench: &Bench) -> Vec<Restriction> {
    Needs::kernel_for_all().unmet(&bench.capability).into_iter().map(|it| it.restriction).collect()
}

/// Refused before anything starts, with each reason; or carried out with the kernel's word for everything.
async fn kernel_demanded_for_all(bench: &Bench) {
    let name = bench.save("bash", "echo ran >/work/x").await;
    let request = ExecutionRequest::new(name).with_needs(Needs::kernel_for_all());
    let submitted = bench.engine.submit(request).await;
    match bench.who {
        Who::Root | Who::Containers => {
            assert_eq!(lacking(bench), [], "root has control groups wherever these tests run");
            let record = bench.end(submitted.unwrap()).await;
            ends(&record, &Outcome::Succeeded);
            let report = record.started.unwrap().enforcement;
            assert!(report.waived.is_empty(), "{report:?}");
            assert!(report.enforced.iter().all(|it| it.1 == Mechanism::Kernel), "{report:?}");
        }
        Who::User => {
            let error = submitted.expect_err("an ordinary user has no control group here");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            for restriction in [Restriction::Memory, Restriction::Cpu] {
                assert!(lacking(bench).contains(&restriction), "{:?}", bench.capability);
                assert!(text.contains(restriction.as_str()), "{text}");
            }
        }
    }
}

/// By default the cpu share is best effort: where it can't be had, the record says so and why.
async fn best_effort_is_reported(bench: &Bench) {
    let record = bench.bash("echo ran").await;
    ends(&record, &Outcome::Succeeded);
    let report = &record.started.as_ref().unwrap().enforcement;
    let waived: Vec<Restriction> = report.waived.iter().map(|it| it.restriction).collect();
    match bench.who {
        Who::Root | Who::Containers => assert_eq!(waived, [], "{}", story(&record)),
        Who::User => {
            assert_eq!(waived, [Restriction::Cpu], "{}", story(&record));
            assert!(report.waived[0].why.contains("cgroup"), "{:?}", report.waived);
            let needs = Needs::default().with(Restriction::Cpu, Need::Required(Mechanism::Supervised));
            let request = ExecutionRequest::new(bench.save("bash", "echo ran").await).with_needs(needs);
            let error = bench.engine.submit(request).await.expect_err("nothing bounds the cpu share");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}

async fn reports_are_what_was_promised(bench: &Bench) {
    let record = bench.bash("echo ran").await;
    let report = record.started.unwrap().enforcement;
    for restriction in Restriction::ALL {
        let found = report.enforced.iter().find(|it| it.0 == restriction).map(|it| it.1);
        match bench.capability.of(restriction) {
            Enforced::By(mechanism) => assert_eq!(found, Some(mechanism), "{restriction}"),
            Enforced::Not(_) => assert_eq!(found, None, "{restriction}"),
        }
        if restriction.is_isolation() {
            assert_eq!(found, Some(Mechanism::Kernel), "{restriction}");
        }
    }
}
