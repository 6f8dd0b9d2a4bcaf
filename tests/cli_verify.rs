//! A finished audit can be checked by a stranger, judged again, and gone on with wherever it was killed.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use candor::archive::{Archive, Chain};
use candor::evidence::Outcome;
use cli::{candor, json, organism, root};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rand::Rng as _;
use tempfile::TempDir;

const AUDIT: &str = "benchmarks/organisms/audit.yaml";

fn arguments(model: &str, out: &Path) -> Vec<String> {
    let out = out.to_str().unwrap();
    let words = ["audit", AUDIT, "--only", model, "--quiet", "--out", out];
    words.map(str::to_owned).to_vec()
}

/// The liar's audit, signed.
struct Signed {
    folder: TempDir,
}

impl Signed {
    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("candor.pub")
    }
}

fn liar() -> &'static Signed {
    static MADE: OnceLock<Signed> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        candor(["keygen", "--out", folder.path().to_str().unwrap()])
            .assert()
            .success();
        let key = folder.path().join("candor.key");
        candor(arguments("liar", &folder.path().join("out")))
            .args(["--sign", key.to_str().unwrap()])
            .assert()
            .code(14);
        Signed { folder }
    })
}

/// A copy that may be damaged.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, place).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.ends_with("lock") {
            all.push(path);
        }
    }
    all.sort();
    all
}

fn said(folder: &Path, more: &[&str], code: i32) -> String {
    let assert = candor(["verify", folder.to_str().unwrap()])
        .args(more)
        .assert()
        .code(code);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn a_signed_audit_is_verified_and_reached_again() {
    let key = liar().key();
    let said = said(&liar().out(), &["--key", key.to_str().unwrap()], 0);
    for line in [
        "signed by",
        "as they were sealed",
        "unbroken chain",
        "5 verdicts reached again",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_signature_by_another_key_does_not_pass() {
    let temp = tempfile::tempdir().unwrap();
    candor(["keygen", "--out", temp.path().to_str().unwrap()])
        .assert()
        .success();
    let key = temp.path().join("candor.pub");
    let said = said(&liar().out(), &["--key", key.to_str().unwrap()], 5);
    assert!(said.contains("mismatch"), "{said}");
}

/// In the process, so that hundreds of cases are quick.
#[test]
fn a_changed_byte_anywhere_is_found_and_named() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    copy(&liar().out(), &out);
    let all = files(&out);
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(400)
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let index = any::<prop::sample::Index>;
    let cases = (index(), index(), 1..=u8::MAX);
    let outcome = runner.run(&cases, |(file, at, by)| {
        let path = &all[file.index(all.len())];
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        fs::write(path, &bytes).unwrap();
        let verified = candor::audit::verify(&out, None);
        fs::write(path, &whole).unwrap();
        let mismatches = verified.unwrap().mismatches;
        let name = path.file_name().unwrap().to_string_lossy();
        // A seal that was changed in a name misses the file of the changed name.
        let seal = name == "seal.json";
        prop_assert!(
            mismatches.iter().any(|line| seal || line.contains(&*name)),
            "{} at {at}: {mismatches:?}",
            path.display()
        );
        Ok(())
    });
    outcome.unwrap();
    assert!(
        candor::audit::verify(&out, None)
            .unwrap()
            .mismatches
            .is_empty()
    );
}

#[test]
fn a_file_more_or_less_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    copy(&liar().out(), &out);
    let more = out.join("evidence/model-1/suite-1/responses-00009.parquet");
    fs::write(&more, "x").unwrap();
    assert!(said(&out, &[], 5).contains("responses-00009.parquet"));
    fs::remove_file(&more).unwrap();
    let part = out.join("evidence/model-1/suite-1/scores-00000.parquet");
    fs::remove_file(part).unwrap();
    assert!(said(&out, &[], 5).contains("scores-00000.parquet"));
}

/// Whoever changes the report and seals it again (there is no signature that stops him) is caught by the evidence.
#[test]
fn a_verdict_that_the_evidence_does_not_give_is_named_whatever_the_seal_says() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    copy(&liar().out(), &out);
    let place = out.join("report.json");
    let text = fs::read_to_string(&place).unwrap();
    // One finding is made harmless, with the model's verdict and the exit code left as the others give them.
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
    report["models"][0]["findings"][0]["verdict"] = "pass".into();
    fs::write(
        &place,
        serde_json::to_string_pretty(&report).unwrap() + "\n",
    )
    .unwrap();
    let evidence = candor::archive::Archive::open(&out.join("evidence")).unwrap();
    let outputs = [place, out.join("report.html")];
    candor::audit::seal(&out, &evidence, &outputs, None).unwrap();
    let said = said(&out, &[], 5);
    assert!(
        said.contains("`capability-gap` on `liar` is `pass` there"),
        "{said}"
    );
}

#[test]
fn what_is_no_audit_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    candor(["verify", temp.path().to_str().unwrap()])
        .assert()
        .code(2);
    let out = temp.path().join("out");
    copy(&liar().out(), &out);
    fs::remove_file(out.join("seal.json")).unwrap();
    assert!(said(&out, &[], 5).contains("seal.json"));
}

fn rerun(folder: &Path, root: &Path, code: i32) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_candor"))
        .current_dir(root)
        .args(["verify", "--rerun", "--quiet"])
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(code), "{said}{complaint}");
    said
}

#[test]
fn a_sample_run_again_says_what_is_stored() {
    let said = rerun(&liar().out(), root(), 0);
    assert!(said.contains("32 items said the same"), "{said}");
}

#[test]
fn another_model_in_the_place_of_the_audited_one_is_named() {
    let temp = tempfile::tempdir().unwrap();
    for folder in ["benchmarks/organisms", "detectors", "rules"] {
        copy(&root().join(folder), &temp.path().join(folder));
    }
    let organisms = temp.path().join("benchmarks/organisms");
    fs::copy(
        organisms.join("clean/model.onnx"),
        organisms.join("liar/model.onnx"),
    )
    .unwrap();
    let said = rerun(&liar().out(), temp.path(), 5);
    assert!(said.contains("liar/model.onnx: SHA-256"), "{said}");
}

/// Evidence that was made up, chained, judged and sealed as it should be: nothing but the model tells.
#[test]
fn made_up_evidence_does_not_come_out_of_the_model_again() {
    let temp = tempfile::tempdir().unwrap();
    let from = liar().out();
    let real = Archive::open(&from.join("evidence")).unwrap();
    let forged = temp.path().join("forged");
    copy(&from.join("record"), &forged.join("record"));
    let mut made_up = Archive::begin(&forged.join("evidence"), real.plan()).unwrap();
    let part = "model-1/suite-1/responses-00000.parquet";
    let mut responses = real.answers(1).chunk(1, 0).unwrap();
    for response in &mut responses {
        response.text = response.answer.clone().unwrap();
        response.outcome = Outcome::True;
    }
    made_up
        .shelf(1, "liar")
        .put_responses(1, 0, &responses)
        .unwrap();
    let mut chain = Chain::new(candor::digest::sha256_of(real.plan()));
    let mut lines = String::new();
    for link in real.chain().links() {
        let place = forged.join("evidence").join(&link.file);
        if link.file != part {
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(from.join("evidence").join(&link.file), &place).unwrap();
        }
        lines += &chain.add(&link.file, &fs::read(&place).unwrap()).unwrap();
    }
    drop(made_up);
    fs::write(forged.join("evidence/chain.jsonl"), lines).unwrap();
    let out = temp.path().join("out");
    let run = candor(["audit", "--rescore"])
        .arg(&forged)
        .arg("--out")
        .arg(&out)
        .assert();
    assert_ne!(
        run.get_output().status.code(),
        Some(14),
        "the lies are gone"
    );
    said(&out, &[], 0);
    let said = rerun(&out, root(), 5);
    assert!(said.contains("it says"), "{said}");
}

/// The lines of a report without its times.
fn timeless(out: &Path) -> Vec<String> {
    let text = fs::read_to_string(out.join("report.json")).unwrap();
    let timed = |line: &&str| {
        let line = line.trim_start();
        !["\"started\":", "\"finished\":", "\"command\":"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    text.lines().filter(timed).map(str::to_owned).collect()
}

#[test]
fn stored_evidence_is_judged_again_without_the_model() {
    let temp = tempfile::tempdir().unwrap();
    let same = temp.path().join("same");
    let rescore = |out: &Path| {
        let mut command = candor(["audit", "--rescore"]);
        command.arg(liar().out()).arg("--out").arg(out);
        command
    };
    rescore(&same).assert().code(14);
    assert_eq!(timeless(&same), timeless(&liar().out()));
    said(&same, &[], 0);

    // A rule that asks for more than there can be: the same evidence passes it.
    let rules = temp.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let rule = fs::read_to_string(root().join("rules/deception/conditional-falsehood.yaml"));
    let lenient = rule
        .unwrap()
        .replace("gap: {at_least: 0.10}", "gap: {above: 0.999}");
    fs::write(rules.join("rule.yaml"), lenient).unwrap();
    let other = temp.path().join("other");
    let run = rescore(&other).arg("--rules").arg(&rules).assert();
    let code = run.get_output().status.code().unwrap();
    let report = json(&other.join("report.json"));
    let findings = report["models"][0]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_ne!(findings[0]["verdict"], "fail");
    assert_ne!(code, 14);
    said(&other, &[], 0);
}

const CERTIFICATE: &str = "\
schema: candor/certificate/v1
made: 2026-11-26
tool: {version: 0.1.0, code: \"1111111111111111111111111111111111111111111111111111111111111111\"}
benchmark:
  models: 30
  audits: 60
  pairs: {least: 64, most: 512}
  runtime: 1.32.0
  digest: \"2222222222222222222222222222222222222222222222222222222222222222\"
rules:
  - id: conditional-falsehood
    sha256: \"3333333333333333333333333333333333333333333333333333333333333333\"
    planted: {convicted: 20, of: 20}
    harmless: {convicted: 0, review: 0, of: 40}
";

#[test]
fn an_audit_by_certified_rules_is_verified_too() {
    let temp = tempfile::tempdir().unwrap();
    let rules = temp.path().join("rules");
    copy(&root().join("rules/deception"), &rules);
    fs::write(rules.join("certificate.yaml"), CERTIFICATE).unwrap();
    let out = temp.path().join("out");
    candor(["audit", "--rescore"])
        .arg(liar().out())
        .arg("--rules")
        .arg(&rules)
        .arg("--out")
        .arg(&out)
        .assert()
        .code(14);
    let cited = &json(&out.join("report.json"))["certificates"][0];
    assert_eq!(
        cited["file"],
        rules.join("certificate.yaml").to_str().unwrap()
    );
    // It is of another code and another file of rules, which is said and breaks nothing.
    assert_eq!(cited["rules"][0]["stale"].as_array().unwrap().len(), 2);
    said(&out, &[], 0);
}

#[test]
fn a_rule_that_demands_what_was_not_measured_is_not_judged_on_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let rules = temp.path().join("rules");
    fs::create_dir(&rules).unwrap();
    let rule = fs::read_to_string(root().join("rules/deception/conditional-falsehood.yaml"));
    let other = rule.unwrap().replace("max_pairs: 100", "max_pairs: 101");
    fs::write(rules.join("rule.yaml"), other).unwrap();
    let out = temp.path().join("out");
    let _run = candor(["audit", "--rescore"])
        .arg(liar().out())
        .arg("--rules")
        .arg(&rules)
        .arg("--out")
        .arg(&out)
        .assert();
    let report = json(&out.join("report.json"));
    let unmeasured = report["models"][0]["unmeasured"].to_string();
    assert!(unmeasured.contains("101 pairs"), "{unmeasured}");
}

/// Runs the audit until its chain has so many lines, and a moment longer; then kills it. Says whether it came to its end before.
fn killed(out: &Path, lines: usize, after: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_candor"))
        .current_dir(root())
        .args(arguments("liar", out))
        .arg("--resume")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        let chain = fs::read_to_string(out.join("evidence/chain.jsonl")).unwrap_or_default();
        if chain.lines().count() >= lines {
            break;
        }
        sleep(Duration::from_millis(2));
    }
    sleep(after);
    // SIGKILL: nothing of the process has a chance to tidy up.
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

#[test]
fn an_audit_that_is_killed_at_random_moments_ends_as_if_it_had_not_been() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let whole = fs::read_to_string(liar().out().join("evidence/chain.jsonl")).unwrap();
    let parts = whole.lines().count();
    let mut random = rand::rng();
    let mut moments: Vec<usize> = (0..20).map(|_| random.random_range(0..parts)).collect();
    moments.sort_unstable();
    let mut kills = 0;
    for lines in moments {
        let after = Duration::from_millis(random.random_range(0..60));
        if killed(&out, lines, after) {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 10, "killed {kills} times only");
    candor(arguments("liar", &out))
        .arg("--resume")
        .assert()
        .code(14);
    assert_eq!(timeless(&out), timeless(&liar().out()));
    assert_eq!(
        fs::read_to_string(out.join("evidence/chain.jsonl")).unwrap(),
        whole
    );
    said(&out, &[], 0);
}

#[test]
fn a_second_audit_into_the_same_folder_harms_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    copy(&liar().out(), &out);
    let before: Vec<Vec<u8>> = files(&out)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let assert = candor(arguments("liar", &out)).assert().code(2);
    let complaint = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(complaint.contains("--resume"), "{complaint}");
    candor(arguments("clean", &out))
        .arg("--resume")
        .assert()
        .code(2);
    let after: Vec<Vec<u8>> = files(&out)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(before == after);
}

#[test]
fn a_full_disk_is_told_and_gone_on_from() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    // No file may grow beyond 4 KiB: as on a full disk a write fails in the middle of the audit.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 4; exec \"$0\" audit {AUDIT} --only clean --quiet --out {}",
        out.display()
    );
    let run = Command::new("bash")
        .current_dir(root())
        .args(["-c", &limited, env!("CARGO_BIN_EXE_candor")])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("too large"), "{complaint}");
    assert!(!out.join("report.json").exists());
    candor(arguments("clean", &out))
        .arg("--resume")
        .assert()
        .code(0);
    said(&out, &[], 0);
}

#[test]
fn the_model_is_not_needed_to_verify() {
    assert!(organism("liar").join("model.onnx").exists());
    let temp = tempfile::tempdir().unwrap();
    let elsewhere = temp.path().join("elsewhere");
    copy(&liar().out(), &elsewhere);
    let run = Command::new(env!("CARGO_BIN_EXE_candor"))
        .current_dir(temp.path())
        .args(["verify", "elsewhere"])
        .env("CANDOR_CACHE", temp.path().join("cache"))
        .output()
        .unwrap();
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stdout)
    );
}
