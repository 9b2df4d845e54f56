//! The program under somebody who hands over sockets and listens to how it is, as systemd does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::appliance::{Appliance, PATIENCE, safelight_on, said, serve_on};
use super::certificates::{Issuer, files_in, put};

/// How many restarts nobody may notice.
const RESTARTS: usize = 50;

/// Sockets that outlive the process behind them, and an ear for what it says.
struct Supervisor {
    folder: tempfile::TempDir,
    ear: UnixDatagram,
    sockets: Vec<(&'static str, TcpListener)>,
}

impl Supervisor {
    fn new(names: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ear = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        ear.set_read_timeout(Some(PATIENCE)).unwrap();
        let bind = |name: &&'static str| (*name, TcpListener::bind("127.0.0.1:0").unwrap());
        Self { folder, ear, sockets: names.iter().map(bind).collect() }
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.sockets.iter().find(|(other, _)| *other == name).unwrap().1.local_addr().unwrap()
    }

    /// The command with the environment that systemd gives it. A shell puts the sockets at the numbers from 3 on and
    /// says whose they are: it becomes the program without changing its process.
    fn over(&self, command: &Command) -> (Command, Vec<OwnedFd>) {
        let mut script = String::new();
        let mut kept = Vec::new();
        for (index, (_, socket)) in self.sockets.iter().enumerate() {
            let copy = fcntl_dupfd_cloexec(socket, 100).unwrap();
            fcntl_setfd(&copy, FdFlags::empty()).unwrap();
            script += &format!("exec {}<&{fd} {fd}<&-; ", index + 3, fd = copy.as_raw_fd());
            kept.push(copy);
        }
        script += "export LISTEN_PID=$$; exec \"$@\"";
        let names: Vec<&str> = self.sockets.iter().map(|(name, _)| *name).collect();
        let mut shell = Command::new("/bin/bash");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell
            .args(["-c", &script, "bash"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("LISTEN_FDS", self.sockets.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        (shell, kept)
    }

    fn start(&self, command: &Command) -> Appliance {
        let (command, _kept) = self.over(command);
        Appliance::spawn(command)
    }

    /// The next thing that the process says about itself.
    fn hear(&self) -> String {
        let mut said = [0; 4096];
        let length = self.ear.recv(&mut said).expect("it says how it is");
        String::from_utf8(said[..length].to_vec()).unwrap()
    }

    /// Listens until something has been said, and returns all that was.
    fn hear_until(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|said: &String| said.contains(wanted)) {
            heard.push(self.hear());
        }
        heard
    }
}

/// Asks for one page on a connection of its own.
fn ask(mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: photos.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Err(e) if e.kind() != io::ErrorKind::UnexpectedEof => return Err(e),
        _ => {}
    }
    // While the old process goes, it may say so; it may not say nothing.
    let whole = answer.ends_with('}') && answer.contains("\"version\"");
    if whole { Ok(()) } else { Err(io::Error::other(format!("half an answer: {answer:?}"))) }
}

/// People who ask over and over until they are told to stop.
struct Crowd {
    enough: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    people: Vec<JoinHandle<Vec<String>>>,
}

impl Crowd {
    fn gather(plain: SocketAddr, https: SocketAddr, issuer: &Issuer) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(issuer.root().as_bytes()).unwrap()).unwrap();
        let trust =
            Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        let (enough, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let connect = |address| {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok::<_, io::Error>(stream)
        };
        let person = |encrypted: bool| {
            let (enough, asked, trust) = (Arc::clone(&enough), Arc::clone(&asked), Arc::clone(&trust));
            std::thread::spawn(move || {
                let mut complaints = Vec::new();
                while !enough.load(Ordering::Relaxed) {
                    let answered = if encrypted {
                        let name = ServerName::try_from("photos.test").unwrap();
                        let client = rustls::ClientConnection::new(Arc::clone(&trust), name).unwrap();
                        connect(https).and_then(|stream| ask(rustls::StreamOwned::new(client, stream)))
                    } else {
                        connect(plain).and_then(ask)
                    };
                    match answered {
                        Ok(()) => _ = asked.fetch_add(1, Ordering::Relaxed),
                        Err(e) => complaints.push(format!("encrypted {encrypted}: {e}")),
                    }
                    // Four who never breathe would leave the program no turn on two cores.
                    std::thread::sleep(Duration::from_millis(2));
                }
                complaints
            })
        };
        let people = [false, false, false, true].into_iter().map(person).collect();
        Self { enough, asked, people }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Sends them home; returns what went wrong for them.
    fn disperse(self) -> Vec<String> {
        self.enough.store(true, Ordering::Relaxed);
        self.people.into_iter().flat_map(|person| person.join().unwrap()).collect()
    }
}

#[test]
fn fifty_restarts_refuse_nobody_and_fail_no_request() {
    let supervisor = Supervisor::new(&["plain", "https", "http"]);
    let data = supervisor.folder.path().join("data");
    let issuer = Issuer::new();
    let files = files_in(supervisor.folder.path());
    put(&files, issuer.issue(&["photos.test"]));
    let mut command = safelight_on(&data, &["serve", "--log-format", "json"]);
    command.env("SAFELIGHT_TLS__CERTIFICATE", &files.certificate).env("SAFELIGHT_TLS__KEY", &files.key);

    let mut running = supervisor.start(&command);
    supervisor.hear_until("READY=1");
    let crowd = Crowd::gather(supervisor.address("plain"), supervisor.address("https"), &issuer);
    let began = Instant::now();
    for _ in 0..RESTARTS {
        let before = crowd.asked();
        while crowd.asked() < before + 5 {
            assert!(began.elapsed() < PATIENCE * 5, "nobody is served; its log: {}", running.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        running.terminate();
        assert_eq!(running.wait(PATIENCE).code(), Some(0), "{}", running.log());
        running = supervisor.start(&command);
        let heard = supervisor.hear_until("READY=1");
        assert!(heard[0].contains("STOPPING=1"), "{heard:?}");
    }
    let (asked, took) = (crowd.asked(), began.elapsed());
    let complaints = crowd.disperse();
    assert_eq!(complaints, [""; 0], "of {asked} requests");
    println!("{RESTARTS} restarts in {took:.1?}, {asked} requests");

    let mut http = TcpStream::connect(supervisor.address("http")).unwrap();
    http.write_all(b"GET /a HTTP/1.1\r\nHost: photos.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "the door beside the encrypted one: {answer}");
    running.stop();
}

fn signal(process: &Appliance, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.process_id()).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_supervisor_hears_that_files_are_read_anew_and_that_the_database_still_answers() {
    let supervisor = Supervisor::new(&[]);
    let data = supervisor.folder.path().join("data");
    let mut command = serve_on(&data);
    command.env("WATCHDOG_USEC", "100000");
    let running = supervisor.start(&command);
    supervisor.hear_until("READY=1");
    supervisor.hear_until("WATCHDOG=1");
    signal(&running, Signal::HUP);
    let reloading = supervisor.hear_until("RELOADING=1").pop().unwrap();
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    supervisor.hear_until("READY=1");
    supervisor.hear_until("WATCHDOG=1");
    running.terminate();
    supervisor.hear_until("STOPPING=1");
    running.stop();
}

fn complaint(supervisor: &Supervisor, command: &Command) -> (Option<i32>, String) {
    let output = supervisor.over(command).0.output().unwrap();
    (output.status.code(), said(&output))
}

#[test]
fn what_no_further_start_can_mend_is_not_tried_again() {
    let supervisor = Supervisor::new(&[]);
    let wrong = safelight_on(&supervisor.folder.path().join("data"), &["serve", "--listen", "nowhere"]);
    assert_eq!(complaint(&supervisor, &wrong).0, Some(78));
    // A port that is in use may be free in a while.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _taken = TcpListener::bind(&taken).unwrap();
    let busy = safelight_on(&supervisor.folder.path().join("data"), &["serve", "--listen", &taken]);
    assert_eq!(complaint(&supervisor, &busy).0, Some(1));
}

#[test]
fn a_socket_that_nothing_is_served_at_stops_the_start() {
    let supervisor = Supervisor::new(&["https"]);
    let data = supervisor.folder.path().join("data");
    let (code, said) = complaint(&supervisor, &serve_on(&data));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no certificate: set tls.domains"), "{said}");
}

/// Whether the server can work, as `safelight health` sees it.
fn health(data: &Path, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = safelight_on(data, &["health"]);
    let output = command.envs(settings.iter().copied()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output))
}

#[test]
fn the_server_can_be_asked_for_its_health_with_and_without_encryption() {
    let supervisor = Supervisor::new(&["plain"]);
    let data = supervisor.folder.path().join("data");
    let address = supervisor.address("plain").to_string();
    let running = supervisor.start(&serve_on(&data));
    supervisor.hear_until("READY=1");
    let (code, said) = health(&data, &[("SAFELIGHT_SERVER__LISTEN", &address)]);
    assert!(code == Some(0) && said.contains("\"status\":\"ok\""), "{code:?} {said}");
    running.stop();
    drop(supervisor);
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = health(folder.path(), &[("SAFELIGHT_SERVER__LISTEN", &address)]);
    assert!(code == Some(1) && said.contains("nobody answers"), "{code:?} {said}");

    let (issuer, files) = (Issuer::new(), files_in(folder.path()));
    put(&files, issuer.issue(&["photos.test"]));
    let supervisor = Supervisor::new(&["https", "http"]);
    let data = supervisor.folder.path().join("data");
    let address = supervisor.address("https").to_string();
    let certificate = files.certificate.to_str().unwrap();
    let settings = [
        ("SAFELIGHT_TLS__CERTIFICATE", certificate),
        ("SAFELIGHT_TLS__KEY", files.key.to_str().unwrap()),
        ("SAFELIGHT_SERVER__HTTPS_LISTEN", &address),
    ];
    let mut command = safelight_on(&data, &["serve", "--log-format", "json"]);
    command.envs(settings);
    let running = supervisor.start(&command);
    supervisor.hear_until("READY=1");
    let (code, said) = health(&data, &settings);
    assert!(code == Some(0) && said.contains("\"status\":\"ok\""), "{code:?} {said}");
    running.stop();
}
