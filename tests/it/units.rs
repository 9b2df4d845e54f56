//! The files that systemd reads: nothing wrong in them, little left that the service may do, and no secret forgotten.

use std::path::{Path, PathBuf};
use std::process::Command;

use safelight::config;

/// The most that `systemd-analyze security` may find exposed, in tenths.
const EXPOSURE_MAX: &str = "15";

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// Runs `systemd-analyze`; `None` where there is none.
fn analyze(args: &[&str]) -> Option<String> {
    let output = match Command::new("systemd-analyze").args(args).env("SYSTEMD_COLORS", "0").output() {
        Ok(output) => output,
        Err(e) => {
            eprintln!("SKIPPED: the units are not analysed: systemd-analyze: {e}");
            return None;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "systemd-analyze {args:?}: {said}");
    Some(said)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    // It wants to see the program, which is not installed here.
    let folder = tempfile::tempdir().unwrap();
    let service = folder.path().join("safelight.service");
    let text = std::fs::read_to_string(unit("safelight.service")).unwrap();
    std::fs::write(&service, text.replace("/usr/bin/safelight", "/bin/true")).unwrap();
    let socket = folder.path().join("safelight.socket");
    std::fs::copy(unit("safelight.socket"), &socket).unwrap();
    let files = [service.to_str().unwrap(), socket.to_str().unwrap()];
    let Some(said) = analyze(&["verify", "--man=no", files[0], files[1]]) else { return };
    let ours: Vec<_> = said.lines().filter(|line| line.contains("safelight")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn the_service_may_do_little() {
    let service = unit("safelight.service");
    let service = service.to_str().unwrap();
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let Some(said) = analyze(&["security", "--offline=true", &threshold, "--no-pager", service]) else {
        return;
    };
    println!("{}", said.lines().last().unwrap_or_default());
}

#[test]
fn every_secret_can_come_from_the_credential_store() {
    let text = std::fs::read_to_string(unit("safelight.service")).unwrap();
    let mut loaded: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("LoadCredential=safelight.")).collect();
    let mut secrets: Vec<_> =
        config::SETTINGS.iter().filter(|setting| setting.is_secret()).map(|setting| setting.key).collect();
    loaded.sort_unstable();
    secrets.sort_unstable();
    assert_eq!(
        loaded, secrets,
        "one line LoadCredential=safelight.<key> for each secret in safelight.service"
    );
}
