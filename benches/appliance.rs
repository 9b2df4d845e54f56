//! Measures a real `safelight serve` on loopback: start, idle, lists, uploads. `scripts/bench` runs it.
//!
//!     cargo bench --bench appliance [-- --quick] [-- --million]
//!
//! With `--pictures` and `--thumbnails` it makes pictures and renders them for the script, which measures from outside.

mod fill;
mod pictures;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use safelight::clock::Clock;
use safelight::db::{Db, Role};
use serde_json::{Value, json};

const CALLERS: usize = 8;
const UPLOAD_BYTES: usize = 100_000;

/// How long readiness is waited for: far longer than it should take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    match words.first().map(String::as_str) {
        Some("--pictures") => pictures::make(&words[1..]),
        Some("--thumbnails") => pictures::serve_thumbnails(),
        Some(word) if !matches!(word, "--quick" | "--million") => bail!("unknown argument {word}"),
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(measure(has("--quick"), has("--million")))
        }
    }
}

async fn measure(quick: bool, million: bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let bench = Bench::set_up(dir.path()).await?;
    let media = if quick { 10_000 } else { 100_000 };
    bench.fill(media).await?;
    bench.start_up(media, if quick { 3 } else { 7 })?;
    let appliance = bench.start()?;
    bench.idle(&appliance, quick).await?;
    bench.lists(&appliance, media, 20.0).await?;
    bench.timelines(media, 20.0).await?;
    let time = Duration::from_secs(if quick { 2 } else { 5 });
    bench.readers(&appliance, media, time).await?;
    bench.uploaders(&appliance, time).await?;
    bench.restorations(&appliance, 4).await?;
    drop(appliance);
    if million {
        bench.fill(1_000_000 - media).await?;
        bench.start_up(1_000_000, 7)?;
        let appliance = bench.start()?;
        bench.lists(&appliance, 1_000_000, 50.0).await?;
        bench.timelines(1_000_000, 50.0).await?;
    }
    Ok(())
}

/// Prints a figure beside its budget. `scripts/bench` has the same columns.
fn say(what: &str, figure: &str, budget: Option<(&str, bool)>) {
    let budget = budget
        .map_or(String::new(), |(text, met)| format!("{text:<18} {}", if met { "met" } else { "MISSED" }));
    println!("{}", format!("  {what:<52} {figure:>26}   {budget}").trim_end());
}

fn note(text: &str) {
    println!("      {text}");
}

/// A data directory with an owner, and the owner's browser.
struct Bench {
    data_dir: PathBuf,
    address: SocketAddr,
    http: reqwest::Client,
}

/// A running `safelight serve`. It ends with this.
struct Appliance {
    child: Child,
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // A process that has gone already is what is wanted.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

impl Bench {
    async fn set_up(dir: &Path) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("sec-fetch-site"),
            HeaderValue::from_static("same-origin"),
        )]);
        let http = reqwest::Client::builder().cookie_store(true).default_headers(headers).build()?;
        let bench = Self { data_dir: dir.join("data"), address, http };
        let mut appliance = bench.start()?;
        let mut invitation = String::new();
        BufReader::new(appliance.child.stdout.take().context("no output")?).read_line(&mut invitation)?;
        let token = invitation
            .split_once("token=")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .with_context(|| format!("no setup link in {invitation:?}"))?;
        let form = json!({
            "token": token, "name": "Bench", "email": "bench@example.org", "password": "correct horse battery", "sample": false
        });
        let made = bench.http.post(bench.url("/api/v1/setup")).json(&form).send().await?;
        ensure!(made.status() == 201, "setup answered {}", made.text().await?);
        Ok(bench)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Starts the program and waits until it is ready.
    fn start(&self) -> Result<Appliance> {
        let log = std::fs::File::create(self.data_dir.with_extension("log"))?;
        let child = Command::new(env!("CARGO_BIN_EXE_safelight"))
            .env_clear()
            .arg("serve")
            // What one person may ask in a second is less than what it can answer.
            .env("SAFELIGHT_LIMITS__SIGNED_IN__PER_SECOND", "0")
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut appliance = Appliance { child };
        let started = Instant::now();
        while !is_ready(self.address) {
            if let Some(status) = appliance.child.try_wait()? {
                bail!("the program ended with {status}");
            }
            ensure!(started.elapsed() < PATIENCE, "the program does not become ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(appliance)
    }

    async fn fill(&self, count: u64) -> Result<()> {
        let db = Db::open(&self.data_dir.join("safelight.db"), Role::Server, Clock::system())?;
        fill::fill(&db, count).await?;
        tokio::task::spawn_blocking(move || db.close()).await?;
        Ok(())
    }

    fn start_up(&self, media: u64, rounds: usize) -> Result<()> {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let from = Instant::now();
            let appliance = self.start()?;
            times.push(from.elapsed());
            drop(appliance);
        }
        times.sort_unstable();
        let median = ms(times[times.len() / 2]);
        let range =
            format!("median of {rounds}, from {:.0} to {:.0} ms", ms(times[0]), ms(times[times.len() - 1]));
        say(
            &format!("start to ready with {media} media"),
            &format!("{median:.0} ms"),
            Some(("< 150 ms", median < 150.0)),
        );
        note(&range);
        Ok(())
    }

    async fn idle(&self, appliance: &Appliance, quick: bool) -> Result<()> {
        let memory = |when: &str| -> Result<()> {
            let resident = appliance.memory()?;
            say(
                &format!("resident memory {when}"),
                &resident.to_string(),
                Some(("< 40 MiB", resident.total_mib < 40.0)),
            );
            Ok(())
        };
        memory("after the start")?;
        let (rest, watch) = if quick { (2, 5) } else { (30, 10) };
        tokio::time::sleep(Duration::from_secs(rest)).await;
        memory(&format!("after {rest} s idle"))?;
        let cpu = appliance.cpu()?;
        let (moments, switches) = appliance.wake_ups(Duration::from_secs(watch))?;
        let cpu = appliance.cpu()?.saturating_sub(cpu);
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let (moments, switches) = (moments as f64 / watch as f64, switches as f64 / watch as f64);
        // A tenth more is a moment that fell on the edge of the watch.
        say("wake-ups when idle", &format!("{moments:.1} /s"), Some(("<= 1 /s", moments <= 1.1)));
        note(&format!("in which {switches:.1} threads woke; {} ms of CPU in {watch} s", cpu.as_millis()));
        Ok(())
    }

    /// Lists pages at the beginning, in the middle and at the end of every order, one request at a time.
    async fn lists(&self, appliance: &Appliance, media: u64, budget_ms: f64) -> Result<()> {
        const PAGES: usize = 50;
        let sorts = ["-created", "created", "-name", "name", "-taken", "taken", "-size", "size"];
        let mut queries: Vec<String> = sorts.iter().map(|sort| format!("sort={sort}")).collect();
        for filter in [
            "bucket=photos",
            "folder=2004/07&bucket=photos",
            "q=img_",
            "q=garden",
            "q=gard",
            "q=4",
            "q=0004711",
            "q=nowhere",
            "q=ch",
            "q=arden",
            "q=garden%20canon",
            "q=beach%20471",
            "q=family%20garden",
            "q=-garden%20type:image",
            "tag=family",
            "tag=summer%202003",
            "tag=rare",
            "tag=family&q=garden",
            "tag=family&q=arden",
            "camera=nikon",
            "q=taken:2021",
            "taken_from=2021-03&taken_to=2021-03",
            "size_min=8990000",
            "size_min=8000000",
            "favourite=true",
            "q=is:restored",
            "folder=2004&recursive=true&bucket=photos",
            "folder=2004&recursive=true&bucket=photos&q=garden",
            "folder=2004/07&bucket=photos&q=garden",
        ] {
            queries.extend(["-created", "name"].map(|sort| format!("{filter}&sort={sort}")));
        }
        queries.extend(
            ["type=image&sort=-taken", "type=other&sort=-size", "trashed=true&sort=name"].map(String::from),
        );
        let cpu = appliance.cpu()?;
        let (mut all, mut groups) = (Vec::new(), Vec::new());
        for query in queries {
            let mut starts = vec![None];
            // Only the orders of everything are deep; hops as long as a page may be lead there.
            if query.starts_with("sort=") {
                let hops = media / 500;
                let mut cursor = None;
                for hop in 1..=hops {
                    cursor = self.page(&query, 500, cursor.as_deref()).await?.1;
                    if cursor.is_none() {
                        break;
                    }
                    if hop == hops / 2 || hop == hops - 11 {
                        starts.push(cursor.clone());
                    }
                }
            }
            let mut times = Vec::new();
            for start in starts {
                let mut cursor = start.clone();
                for _ in 0..PAGES {
                    let (took, next) = self.page(&query, 100, cursor.as_deref()).await?;
                    times.push(took);
                    cursor = if next.is_some() { next } else { start.clone() };
                }
            }
            all.extend_from_slice(&times);
            groups.push((quantile(&mut times, 0.99), quantile(&mut times, 0.5), query));
        }
        let mut timeline = self.timeline("", PAGES).await?;
        all.extend_from_slice(&timeline);
        let times = (quantile(&mut timeline, 0.99), quantile(&mut timeline, 0.5));
        groups.push((times.0, times.1, "timeline".to_owned()));
        let what = format!("list of 100 among {media}, p99");
        let p99 = ms(quantile(&mut all, 0.99));
        say(&what, &format!("{p99:.1} ms"), Some((&format!("< {budget_ms} ms"), p99 < budget_ms)));
        note(&format!(
            "median {:.1} ms, {} requests one at a time; the slowest kinds:",
            ms(quantile(&mut all, 0.5)),
            all.len()
        ));
        groups.sort_unstable_by(|a, b| b.cmp(a));
        for (p99, median, query) in groups.iter().take(4) {
            note(&format!("  {:<40} p99 {:>6.1} ms, median {:>6.1} ms", query, ms(*p99), ms(*median)));
        }
        note(&format!(
            "CPU of the server: {} ms; memory then: {}",
            (appliance.cpu()? - cpu).as_millis(),
            appliance.memory()?
        ));
        Ok(())
    }

    /// Counts by month what fits filters from few to many: each is counted anew.
    async fn timelines(&self, media: u64, budget_ms: f64) -> Result<()> {
        let mut groups = Vec::new();
        for filter in [
            "q=0004711",
            "tag=rare",
            "q=taken:2021",
            "tag=family",
            "camera=nikon",
            "q=garden",
            "q=arden",
            "type=image",
        ] {
            let mut times = self.timeline(filter, 5).await?;
            groups.push((quantile(&mut times, 0.5), filter));
        }
        groups.sort_unstable_by(|a, b| b.cmp(a));
        let slowest = ms(groups[0].0);
        say(
            &format!("timeline of what fits among {media}, the slowest"),
            &format!("{slowest:.1} ms"),
            Some((&format!("< {budget_ms} ms"), slowest < budget_ms)),
        );
        for (median, filter) in groups {
            note(&format!("  {filter:<40} median {:>6.1} ms", ms(median)));
        }
        Ok(())
    }

    async fn timeline(&self, filter: &str, count: usize) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for _ in 0..count {
            let from = Instant::now();
            let answer = self.http.get(self.url(&format!("/api/v1/media/timeline?{filter}"))).send().await?;
            ensure!(answer.status() == 200, "the timeline of {filter} answered {}", answer.status());
            answer.bytes().await?;
            times.push(from.elapsed());
        }
        Ok(times)
    }

    /// Fetches a page; tells how long that took and where the next one begins.
    async fn page(
        &self,
        query: &str,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Duration, Option<String>)> {
        let mut url = self.url(&format!("/api/v1/media?limit={limit}&{query}"));
        if let Some(cursor) = cursor {
            url.push_str(&format!("&cursor={cursor}"));
        }
        let from = Instant::now();
        let answer = self.http.get(url).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        let took = from.elapsed();
        ensure!(status == 200, "{query} answered {status}");
        let body: Value = serde_json::from_slice(&body)?;
        Ok((took, body["next_cursor"].as_str().map(ToOwned::to_owned)))
    }

    async fn readers(&self, appliance: &Appliance, media: u64, time: Duration) -> Result<()> {
        let url = self.url("/api/v1/media?limit=100");
        let load = Load::run(
            appliance,
            time,
            |http, _| {
                let request = http.get(url.clone());
                async move {
                    let answer = request.send().await?;
                    ensure!(answer.status() == 200, "a list answered {}", answer.status());
                    answer.bytes().await?;
                    Ok(())
                }
            },
            &self.http,
        );
        load.await?.say(&format!("lists of 100 among {media}, {CALLERS} readers"));
        Ok(())
    }

    async fn uploaders(&self, appliance: &Appliance, time: Duration) -> Result<()> {
        let photograph = pictures::photograph(UPLOAD_BYTES)?;
        let file: Vec<u8> =
            (0..UPLOAD_BYTES as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for (kind, name, bytes) in [("files", "bin", file), ("photographs", "jpg", photograph)] {
            let url = self.url("/api/v1/media");
            let load = Load::run(
                appliance,
                time,
                |http, number| {
                    // No two are alike: what follows the end of a JPEG is not looked at.
                    let bytes = [bytes.as_slice(), &number.to_be_bytes()].concat();
                    let form =
                        Form::new().part("file", Part::bytes(bytes).file_name(format!("{number}.{name}")));
                    let request = http.post(url.clone()).multipart(form);
                    async move {
                        let answer = request.send().await?;
                        ensure!(answer.status() == 201, "an upload answered {}", answer.text().await?);
                        Ok(())
                    }
                },
                &self.http,
            );
            load.await?.say(&format!("uploads of 100 kB {kind}, {CALLERS} uploaders"));
        }
        Ok(())
    }

    /// Restores the sample some times, and looks at what stays in memory after all the work.
    async fn restorations(&self, appliance: &Appliance, count: u64) -> Result<()> {
        let from = Instant::now();
        let mut waiting = Vec::new();
        for number in 0..count {
            let bytes = [pictures::sample_file()?.as_slice(), &number.to_be_bytes()].concat();
            let form = Form::new().part("file", Part::bytes(bytes).file_name("boathouse.jpg"));
            let made = self.http.post(self.url("/api/v1/media")).multipart(form).send().await?;
            let made: Value = made.json().await?;
            let id = made["items"][0]["id"].as_str().context("the sample was not taken")?;
            let asked = self.http.post(self.url(&format!("/api/v1/media/{id}/restorations")));
            let asked: Value = asked.json(&json!({ "preset": "auto" })).send().await?.json().await?;
            waiting.push(asked["id"].as_str().context("the restoration was not taken")?.to_owned());
        }
        for id in waiting {
            loop {
                let seen = self.http.get(self.url(&format!("/api/v1/restorations/{id}"))).send().await?;
                let seen: Value = seen.json().await?;
                match seen["state"].as_str() {
                    Some("succeeded") => break,
                    Some("queued" | "running") => {}
                    _ => bail!("a restoration has become {seen}"),
                }
                ensure!(from.elapsed() < PATIENCE * 3, "restorations don't come to an end");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let took = from.elapsed();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let resident = appliance.memory()?;
        say(
            &format!("{count} restorations of 2 MP by the server"),
            &format!("{:.1} s", took.as_secs_f64()),
            None,
        );
        let met = resident.own_mib() < 40.0;
        say("its own memory 5 s after all that", &resident.to_string(), Some(("< 40 MiB", met)));
        Ok(())
    }
}

/// What parallel callers got done in a time.
struct Load {
    times: Vec<Duration>,
    wall: Duration,
    cpu: Duration,
}

impl Load {
    /// Lets the callers ask again and again; `ask` gets the number of the request.
    async fn run<F, A>(appliance: &Appliance, time: Duration, ask: F, http: &reqwest::Client) -> Result<Self>
    where
        F: Fn(&reqwest::Client, u64) -> A,
        A: Future<Output = Result<()>>,
    {
        let cpu = appliance.cpu()?;
        let from = Instant::now();
        let number = Arc::new(AtomicU64::new(0));
        let callers = (0..CALLERS).map(|_| async {
            let mut times = Vec::new();
            while from.elapsed() < time {
                let asked = Instant::now();
                ask(http, number.fetch_add(1, Ordering::Relaxed)).await?;
                times.push(asked.elapsed());
            }
            Ok::<_, anyhow::Error>(times)
        });
        let times = futures_util::future::try_join_all(callers).await?.concat();
        Ok(Self { times, wall: from.elapsed(), cpu: appliance.cpu()?.saturating_sub(cpu) })
    }

    fn say(mut self, what: &str) {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let count = self.times.len() as f64;
        say(what, &format!("{:.0} /s", count / self.wall.as_secs_f64()), None);
        note(&format!(
            "median {:.1} ms, p99 {:.1} ms; {:.2} ms of the server's CPU each",
            ms(quantile(&mut self.times, 0.5)),
            ms(quantile(&mut self.times, 0.99)),
            ms(self.cpu) / count,
        ));
    }
}

/// Resident memory.
struct Memory {
    total_mib: f64,
    file_mib: f64,
}

impl Memory {
    /// Without pages of files, such as the program and the database, which the system takes back when it likes.
    const fn own_mib(&self) -> f64 {
        self.total_mib - self.file_mib
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} MiB, {:.1} its own", self.total_mib, self.own_mib())
    }
}

impl Appliance {
    fn proc(&self, file: &str) -> Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?)
    }

    fn memory(&self) -> Result<Memory> {
        let status = self.proc("status")?;
        let mib = |name: &str| field(&status, name).map(|kib| kib / 1024.0);
        Ok(Memory { total_mib: mib("VmRSS:")?, file_mib: mib("RssFile:")? })
    }

    /// Processor time of all threads, to 10 ms.
    fn cpu(&self) -> Result<Duration> {
        pictures::cpu_of(&self.proc("stat")?)
    }

    /// In how many moments threads woke, and how many woke in all. What happens within 10 ms is one moment.
    fn wake_ups(&self, time: Duration) -> Result<(u64, u64)> {
        let from = Instant::now();
        let first = self.switches()?;
        let (mut last, mut moments, mut was_awake) = (first, 0, false);
        while from.elapsed() < time {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.switches()?;
            let awake = now != last;
            moments += u64::from(awake && !was_awake);
            (last, was_awake) = (now, awake);
        }
        Ok((moments, last.saturating_sub(first)))
    }

    /// How often a thread gave the processor away to wait.
    fn switches(&self) -> Result<u64> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end just now.
            let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else { continue };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            {
                sum += field(&status, "voluntary_ctxt_switches:")? as u64;
            }
        }
        Ok(sum)
    }
}

/// A number of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Result<f64> {
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Asks without a library, so that the figure is the server's.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index from 0 to the length"
    )]
    let index = (times.len() as f64 * share) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
