//! What is made from the command line's own description: shell completions, man pages, the version.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{put, put_json};

/// `safelight completions SHELL`
#[derive(Debug, Clone, clap::Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    pub shell: clap_complete::Shell,
}

/// `safelight man`
#[derive(Debug, Clone, clap::Args)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder instead of the first one to standard output
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// `safelight version`
#[derive(Debug, Clone, clap::Args)]
pub struct VersionArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the completions of `command` for a shell.
///
/// # Errors
/// When standard output can't be written.
pub fn completions(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    put(&script)
}

/// Prints the man page of `command`, or writes one per subcommand into a folder, which is made if need be.
///
/// # Errors
/// When standard output or the folder can't be written.
pub fn man(args: &ManArgs, command: clap::Command) -> anyhow::Result<()> {
    match &args.dir {
        Some(folder) => man_pages(folder, command),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).context("can't make the man page")?;
            put(&page)
        }
    }
}

fn man_pages(folder: &Path, command: clap::Command) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("can't write the man pages into {}", folder.display()))
}

/// The commit that the program was built from, where a release was built from a repository.
const COMMIT: Option<&str> = option_env!("SOURCE_COMMIT");

/// When that commit was made, in seconds since 1970: a build of the same commit says the same.
const COMMITTED_AT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// The day of that commit, as `2026-11-22`.
fn committed_on() -> Option<String> {
    let second = COMMITTED_AT?.parse().ok().and_then(|second| jiff::Timestamp::from_second(second).ok())?;
    Some(second.strftime("%Y-%m-%d").to_string())
}

/// Prints the version of this program and the commit that it was built from; in JSON also what it was built for.
///
/// # Errors
/// When standard output can't be written.
pub fn version(args: &VersionArgs) -> anyhow::Result<()> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if args.json {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        return put_json(&serde_json::json!({
            "name": name, "version": version, "arch": arch, "os": os,
            "commit": COMMIT, "committed_on": committed_on(),
        }));
    }
    let stamp: Vec<String> = COMMIT.map(str::to_owned).into_iter().chain(committed_on()).collect();
    let stamp = if stamp.is_empty() { String::new() } else { format!(" ({})", stamp.join(", ")) };
    put(format!("{name} {version}{stamp}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        clap::Command::new("safelight")
            .about("A lamp")
            .subcommand(clap::Command::new("serve").about("Runs it"))
    }

    #[test]
    fn every_command_gets_a_man_page_in_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man/man1");
        man(&ManArgs { dir: Some(pages.clone()) }, command()).unwrap();
        let serve = std::fs::read_to_string(pages.join("safelight-serve.1")).unwrap();
        assert!(serve.contains("Runs it"), "{serve}");
        assert!(pages.join("safelight.1").exists());
    }

    #[test]
    fn man_pages_into_a_file_are_refused_with_a_sentence() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = man(&ManArgs { dir: Some(file.path().to_owned()) }, command()).unwrap_err();
        assert!(error.to_string().starts_with("can't make the folder"), "{error}");
    }
}
