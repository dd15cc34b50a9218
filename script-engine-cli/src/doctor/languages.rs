//! How the languages stand: their toolchains, seen by asking them, and a script in each.

use script_engine::contract::LanguageInfo;
use script_engine::{Engine, ExecutionRequest, Finding, Grade, Identity, LanguageId, Result, ScriptDraft, ScriptName};

/// The shortest script of each language that does something.
const SCRIPTS: [(&str, &str); 6] = [
    ("bash", "echo ok"),
    ("python", "print('ok')"),
    ("typescript", "const ok: string = 'ok'; console.log(ok)"),
    ("go", "package main\n\nfunc main() { println(\"ok\") }\n"),
    ("java", "class Main { public static void main(String[] args) { System.out.println(\"ok\"); } }"),
    ("csharp", "System.Console.WriteLine(\"ok\");"),
];

/// Says how each language stands. They are tried at the same time: a compiler may take seconds.
pub(super) async fn examine(engine: &Engine) -> Vec<Finding> {
    let tried: Vec<_> = engine
        .languages()
        .map(|info| {
            let (engine, info) = (engine.clone(), info.clone());
            tokio::spawn(async move { of(&engine, &info).await })
        })
        .collect();
    let mut findings = Vec::new();
    for it in tried {
        match it.await {
            Ok(finding) => findings.push(finding),
            Err(error) => {
                findings.push(Finding::new("languages", Grade::Warn, error.to_string(), "report this as a fault"));
            }
        }
    }
    findings
}

async fn of(engine: &Engine, info: &LanguageInfo) -> Finding {
    let name = format!("language {}", info.id);
    let (least, mend) = (&info.requirement.least, &info.requirement.mend);
    let found = match engine.toolchain(&info.id).await {
        Ok(found) => found,
        Err(error) => return Finding::new(name, Grade::Warn, error.to_string(), mend),
    };
    let script = SCRIPTS.iter().find(|(id, _)| *id == info.id.as_str());
    let works = match script {
        None => Ok(()),
        Some((_, source)) => run(engine, &info.id, source).await.unwrap_or_else(|error| Err(error.to_string())),
    };
    match works {
        Err(why) => Finding::new(name, Grade::Warn, format!("{found}, and a script does not run: {why}"), mend),
        Ok(()) if !found.is_at_least(least) => {
            let what = format!("{found} works; what needs {least} does not");
            Finding::new(name, Grade::Warn, what, mend)
        }
        Ok(()) => Finding::new(name, Grade::Ok, format!("{found} works"), ""),
    }
}

/// Runs a script; gives the reason why it did not succeed.
async fn run(engine: &Engine, language: &LanguageId, source: &'static str) -> Result<Result<(), String>> {
    let name = ScriptName::parse(language.as_str())?;
    let draft = ScriptDraft::new(name.clone(), source).with_language(language.clone());
    engine.save(&Identity::default(), draft).await?;
    let id = engine.submit(ExecutionRequest::new(name)).await?;
    let record = engine.wait(id).await?;
    Ok(match record.outcome() {
        None => Err("it did not end".to_owned()),
        Some(outcome) => outcome.explain().map_or(Ok(()), Err),
    })
}
