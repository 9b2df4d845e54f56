//! The program itself as a process of its own: started, listened to, told to stop, killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{Browser, PASSWORD};

/// How long a process may take for what takes moments on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The program with an empty environment: nothing of this machine's settings reaches it.
pub(crate) fn safelight(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
    command.env_clear().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program on a data directory.
pub(crate) fn safelight_on(data: &Path, args: &[&str]) -> Command {
    let mut command = safelight(args);
    command.arg("--data-dir").arg(data);
    command
}

/// `safelight serve` on a data directory and a free port.
///
/// Tests ask more often than people do: nobody is told to wait.
pub(crate) fn serve_on(data: &Path) -> Command {
    let mut command = safelight_on(data, &["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    for who in ["ANONYMOUS", "SIGNED_IN"] {
        command.env(format!("SAFELIGHT_LIMITS__{who}__PER_SECOND"), "0");
    }
    command
}

/// Runs a command that reads its standard input.
pub(crate) fn run_with_input(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command said to the person who called it.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `safelight serve`; killed when this goes.
pub(crate) struct Appliance {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<Vec<u8>>>,
    greeting: String,
    url: String,
}

impl Appliance {
    /// Starts it on a data directory and waits until it has said where it is.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_as(serve_on(data))
    }

    /// Starts a command that serves and waits until it has said where it is.
    pub(crate) fn start_as(command: Command) -> Self {
        let mut this = Self::spawn(command);
        this.greeting = this.line();
        let address = this.greeting.split_once("http://").expect("its address").1;
        let end = address.find(['/', ' ']).unwrap_or(address.len());
        this.url = format!("http://{}", &address[..end]);
        this
    }

    /// Starts a command and waits for nothing.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut stderr = child.stderr.take().unwrap();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut piece) {
                written.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        Self { child, lines, log, greeting: String::new(), url: String::new() }
    }

    /// The next line on its standard output.
    pub(crate) fn line(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("it says nothing; its log: {}", self.log()))
    }

    /// The first line that it printed.
    pub(crate) fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The token of the setup link that it printed.
    pub(crate) fn setup_token(&self) -> String {
        let (_, rest) = self.greeting.split_once("/setup?token=").expect("a link");
        rest.split(' ').next().unwrap().to_owned()
    }

    /// `http://` and its address, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Its address and port.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard error so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// The lines of its log with a level, as `(level, line)`.
    pub(crate) fn log_lines(&self) -> Vec<(String, String)> {
        let log = self.log();
        let parse = |line: &str| {
            let parsed: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
            (parsed["level"].as_str().unwrap().to_owned(), line.to_owned())
        };
        log.lines().map(parse).collect()
    }

    /// A browser that nobody has logged in with.
    pub(crate) fn browser(&self) -> Browser {
        Browser::at(self.url())
    }

    /// Makes the owner with the link and returns the owner's browser.
    pub(crate) async fn setup_owner(&self) -> Browser {
        let browser = self.browser();
        let made = browser.post("/api/v1/setup").json(&setup_form(&self.setup_token())).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        browser
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Tells it that something has changed.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Kills it as a crash does and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < patience, "it does not stop; its log: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to stop and sees that it does, without a complaint.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait(PATIENCE);
        assert_eq!(status.code(), Some(0), "{status}; its log: {}", self.log());
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The form that makes the first owner, without the sample picture.
pub(crate) fn setup_form(token: &str) -> Value {
    json!({
        "token": token, "name": "Olive Owner", "email": "olive@example.org", "password": PASSWORD, "sample": false
    })
}

/// Waits until something is so; it changes without anybody telling.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "it takes too long until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
