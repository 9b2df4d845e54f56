//! `safelight user`: people from the shell, also when nobody can log in.
//!
//! Works on the database itself, beside a running server or without one. Whoever may write the data folder is as
//! mighty as an owner.

use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write as _};

use anyhow::{Context, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{put, put_json};
use crate::accounts::{self, Editor, NewUser, Password, Role, User, UserChange};
use crate::db::Db;

/// `safelight user …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum UserCommand {
    /// Adds a person
    Add(AddArgs),
    /// Lists everybody
    List(ListArgs),
    /// Gives a person another password and ends the person's sessions
    Passwd(PasswdArgs),
    /// Gives a person another role
    Role(RoleArgs),
    /// Refuses a person's logins and ends the person's sessions
    Disable(WhoArgs),
    /// Lets a disabled person log in again
    Enable(WhoArgs),
}

/// What `user add` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct AddArgs {
    /// Address to log in with
    email: String,
    /// Name that others see [default: the first part of the address]
    #[arg(long)]
    name: Option<String>,
    /// What the person may do: owner, admin, editor or viewer
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    password: PasswordArgs,
}

/// What `user list` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What `user passwd` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct PasswdArgs {
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    password: PasswordArgs,
    /// Leave the person's API tokens as they are; otherwise they are withdrawn
    #[arg(long)]
    keep_tokens: bool,
}

/// What `user role` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RoleArgs {
    #[command(flatten)]
    who: WhoArgs,
    /// What the person may do: owner, admin, editor or viewer
    role: Role,
}

/// Which person is meant.
#[derive(Debug, Clone, clap::Args)]
pub struct WhoArgs {
    /// Address that the person logs in with
    email: String,
}

/// Where a password comes from. There is no flag for the password itself: other users of the machine could read it.
#[derive(Debug, Clone, clap::Args)]
pub struct PasswordArgs {
    /// Read the password from standard input instead of asking on the terminal
    #[arg(long)]
    password_stdin: bool,
}

/// Runs `safelight user …` on an open database.
///
/// # Errors
/// With a sentence, when the person is unknown, the new values are not acceptable, or the database can't be used.
pub async fn run(command: &UserCommand, db: &Db) -> anyhow::Result<()> {
    let password = match command {
        UserCommand::Add(args) => Some(ask_password(&args.password)?),
        UserCommand::Passwd(args) => {
            // Nobody should type a password twice to learn that there is no such person.
            find(db, &args.who).await?;
            Some(ask_password(&args.password)?)
        }
        _ => None,
    };
    let said = perform(command, db, password).await?;
    if !said.is_empty() {
        eprintln!("{said}");
    }
    Ok(())
}

/// Does it, and returns what to tell about it.
async fn perform(command: &UserCommand, db: &Db, password: Option<Password>) -> anyhow::Result<String> {
    let editor = Editor::cli();
    match (command, password) {
        (UserCommand::Add(args), Some(password)) => {
            let local = args.email.split('@').next().unwrap_or_default();
            let name = args.name.clone().unwrap_or_else(|| local.to_owned());
            let new = NewUser { name, email: args.email.clone(), role: args.role, password };
            let user = accounts::add(db, &editor, new).await?;
            Ok(format!("Added {} as {}.", user.email, user.role))
        }
        (UserCommand::Passwd(args), Some(password)) => {
            let user = find(db, &args.who).await?;
            accounts::set_password(db, &editor, user.id, password, args.keep_tokens).await?;
            Ok(format!("Changed the password of {}; all sessions have ended.", user.email))
        }
        (UserCommand::Add(_) | UserCommand::Passwd(_), None) => bail!("there is no password"),
        (UserCommand::List(args), _) => {
            let users = everybody(db).await?;
            if args.json {
                put_json(&serde_json::to_value(&users)?)?;
            } else {
                put(table(&users).as_bytes())?;
            }
            Ok(String::new())
        }
        (UserCommand::Role(args), _) => {
            let change = UserChange { role: Some(args.role), ..UserChange::default() };
            let user = change_one(db, &editor, &args.who, change).await?;
            Ok(format!("{} is now {}.", user.email, user.role))
        }
        (UserCommand::Disable(who), _) => {
            let change = UserChange { disabled: Some(true), ..UserChange::default() };
            let user = change_one(db, &editor, who, change).await?;
            Ok(format!("{} can't log in any more; all sessions have ended.", user.email))
        }
        (UserCommand::Enable(who), _) => {
            let change = UserChange { disabled: Some(false), ..UserChange::default() };
            let user = change_one(db, &editor, who, change).await?;
            Ok(format!("{} can log in again.", user.email))
        }
    }
}

async fn find(db: &Db, who: &WhoArgs) -> anyhow::Result<User> {
    let found = accounts::find_by_email(db, &who.email).await?;
    found.with_context(|| {
        format!("nobody has the email {:?}; `safelight user list` shows everybody", who.email)
    })
}

async fn change_one(db: &Db, editor: &Editor, who: &WhoArgs, change: UserChange) -> anyhow::Result<User> {
    let user = find(db, who).await?;
    Ok(accounts::change(db, editor, user.id, change).await?)
}

async fn everybody(db: &Db) -> anyhow::Result<Vec<User>> {
    const AT_ONCE: usize = 500;
    let mut users: Vec<User> = Vec::new();
    loop {
        let page = accounts::list(db, users.last().map(|user| user.id), AT_ONCE).await?;
        let full = page.len() == AT_ONCE;
        users.extend(page);
        if !full {
            return Ok(users);
        }
    }
}

fn table(users: &[User]) -> String {
    let width = users.iter().map(|user| user.email.as_str().chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for user in users {
        let state = if user.disabled { "disabled" } else { "" };
        let line = format!("{:width$}  {:6}  {:8}  {}", user.email, user.role, state, user.name);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn ask_password(args: &PasswordArgs) -> anyhow::Result<Password> {
    let mut stdin = std::io::stdin();
    if args.password_stdin {
        let mut text = String::new();
        stdin.read_to_string(&mut text).context("can't read the password from standard input")?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(line.strip_suffix('\r').unwrap_or(line).to_owned().into());
    }
    if !stdin.is_terminal() {
        bail!(
            "there is no terminal to ask for the password on: give it on standard input with --password-stdin"
        );
    }
    let quiet = Quiet::begin()?;
    let password = prompt("Password: ")?;
    let again = prompt("Once more: ")?;
    drop(quiet);
    if password != again {
        bail!("the two passwords are not the same");
    }
    Ok(password.into())
}

/// Keeps the terminal from showing what is typed, and from ending the process in the middle of it: then nobody would
/// switch the echo on again.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> anyhow::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("can't ask the terminal for its settings")?;
        let mut silent = before.clone();
        silent.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &silent).context("can't switch the terminal's echo off")?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn prompt(text: &str) -> anyhow::Result<String> {
    let mut err = std::io::stderr();
    write!(err, "{text}").and_then(|()| err.flush()).context("can't write to the terminal")?;
    let line = read_line(&mut std::io::stdin().lock());
    eprintln!();
    line
}

/// Reads what somebody types on a terminal that hands over each key.
fn read_line(keys: &mut impl Read) -> anyhow::Result<String> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const BACKSPACE: u8 = 8;
    const CTRL_U: u8 = 21;
    const DELETE: u8 = 127;
    let mut line = Vec::new();
    let mut key = [0];
    while keys.read(&mut key).context("can't read from the terminal")? == 1 {
        match key[0] {
            b'\r' | b'\n' | CTRL_D => break,
            CTRL_C => bail!("cancelled"),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // A character may be several bytes; all but its first look like 0b10xx_xxxx.
                while line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).context("the terminal sent something that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::clock::Clock;
    use crate::db;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: UserCommand,
    }

    async fn say(db: &Db, line: &str, password: &str) -> anyhow::Result<String> {
        let words = std::iter::once("user").chain(line.split(' '));
        let command = Line::try_parse_from(words)?.command;
        perform(&command, db, Some(Password::from(password.to_owned()))).await
    }

    #[tokio::test]
    async fn people_are_managed_without_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("safelight.db");
        let db = Db::open(&path, db::Role::Guest, Clock::system()).unwrap();
        say(&db, "add Ada@example.org --role owner", "correct horse").await.unwrap();
        say(&db, "add bob@example.org --role viewer --name Bob", "correct mouse").await.unwrap();
        assert_eq!(
            say(&db, "role bob@example.org editor", "").await.unwrap(),
            "bob@example.org is now editor."
        );
        say(&db, "disable BOB@example.org", "").await.unwrap();
        say(&db, "passwd bob@example.org", "another mouse").await.unwrap();
        let users = everybody(&db).await.unwrap();
        assert_eq!(
            table(&users),
            "ada@example.org  owner             Ada\nbob@example.org  editor  disabled  Bob\n"
        );
        say(&db, "enable bob@example.org", "").await.unwrap();
        let error = say(&db, "disable ada@example.org", "").await.unwrap_err();
        assert_eq!(error.to_string(), "this is the only owner who can log in");
        let error = say(&db, "passwd eve@example.org", "correct horse").await.unwrap_err();
        assert!(error.to_string().starts_with("nobody has the email"), "{error}");
        let error = say(&db, "passwd ada@example.org", "short").await.unwrap_err();
        assert_eq!(error.to_string(), "The password needs at least 10 characters.");
        let error = say(&db, "role bob@example.org king", "").await.unwrap_err();
        assert!(error.to_string().contains("there is no role"), "{error}");
    }

    #[test]
    fn a_typed_line_can_be_corrected_and_cancelled() {
        let typed = |keys: &str| read_line(&mut keys.as_bytes());
        assert_eq!(typed("abc\nrest").unwrap(), "abc");
        assert_eq!(typed("gr\u{fc}\u{7f}\u{fc}n\r").unwrap(), "gr\u{fc}n");
        assert_eq!(typed("wrong\u{15}right").unwrap(), "right");
        assert_eq!(typed("\u{7f}\u{7f}a\n").unwrap(), "a");
        assert!(typed("ab\u{3}").is_err());
    }

    #[test]
    fn no_password_fits_on_the_command_line() {
        let words = ["user", "add", "ada@example.org", "--role", "owner", "--password", "x"];
        assert!(Line::try_parse_from(words).is_err());
    }
}
