//! `safelight serve`: everything in the right order, and its undoing in the reverse one.

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{GlobalArgs, ListenArgs, demo, settings};
use crate::app::App;
use crate::cache::{DiskCache, HotFiles};
use crate::clock::Clock;
use crate::config::{Config, Environment, Log, LogFormat};
use crate::db::{self, Db, Role};
use crate::engine::{Engines, Previews};
use crate::imaging::Budget;
use crate::keys::Keys;
use crate::outbound::Outbound;
use crate::server::{self, Door, Listening};
use crate::storage::{DataDir, LocalOptions, Storage};
use crate::tls::{Pace, Tls};
use crate::{accounts, library, uploads};

/// What the small files that are asked for often may take of the memory.
const HOT_BYTES: usize = 16 << 20;

/// `safelight serve`
#[derive(Debug, Clone, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    listen: ListenArgs,
    /// Starts a throw-away instance with sample people, pictures and restorations; it is gone when it stops
    #[arg(long, conflicts_with = "data_dir")]
    demo: bool,
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it can't start; what it says is for the admin.
pub fn run(args: &ServeArgs, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut flags = global.flags();
    flags.listen.clone_from(&args.listen.listen);
    let mut config = settings(&flags, environment)?;
    let throw_away = args.demo.then(demo::Folder::create).transpose()?;
    if let Some(folder) = &throw_away {
        folder.path().clone_into(&mut config.data_dir);
    }
    start_log(&config.log)?;
    super::keep_files_private();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start")?;
    runtime.block_on(serve(config, args.demo))?;
    // A blocking call that hangs must not keep the process alive.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, demo: bool) -> anyhow::Result<()> {
    // Before anything is there that would have to be put away: until somebody listens, a signal ends the process.
    let mut signals = Signals::listen()?;
    let data_dir = DataDir::create(&config.data_dir)?;
    let _lock = data_dir.lock_for_server()?;
    // Before anything can be accepted: nobody should meet a server without its certificates.
    let outbound = Outbound::new(&config.outbound);
    let tls = Tls::open(&config.tls, data_dir.acme(), &outbound, Clock::system(), Pace::default())?;
    let listening = listen(&config, &tls).await?;
    let url = url_of(&config, &tls, &listening);
    let app = open(config, &data_dir, Role::Server, Some(tls)).await?;
    let cleaning = app.clone();
    tokio::task::spawn_blocking(move || library::clean_up(&cleaning))
        .await?
        .context("can't clean up after the last run")?;
    uploads::pick_up(&app).await?;

    if demo {
        tokio::select! {
            filled = demo::fill(&app, &url) => filled?,
            () = signals.next() => return Ok(()),
        }
    } else if let Some(token) = accounts::setup_token(&app).await? {
        println!(
            "Open {url}/setup?token={token} to create the owner's account (valid for 30 minutes, once)."
        );
    } else {
        println!("Safelight is at {url}");
    }

    let mut runner = tokio::spawn(server::runner(&app).run(app.stopping.clone()));
    tokio::spawn(uploads::watch(app.clone()));
    let tls = app.tls.clone();
    let mut certificates = tokio::spawn({
        let stopping = app.stopping.clone();
        async move { tls.run(stopping).await }
    });
    let mut http = tokio::spawn(server::serve(listening, server::router(app.clone()), app.stopping.clone()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "ready");
    // Neither ends before it is told to: if one does, whoever restarts services should hear of it.
    let died = tokio::select! {
        () = signals.next_with(|| app.tls.reload()) => None,
        ended = &mut certificates => Some(anyhow::anyhow!("the keeper of certificates has stopped: {ended:?}")),
        ended = &mut runner => Some(anyhow::anyhow!("the job runner has stopped: {ended:?}")),
        ended = &mut http => Some(anyhow::anyhow!("the listener has stopped: {ended:?}")),
    };
    tracing::info!("stopping");
    app.stopping.cancel();
    let drained = async {
        for task in [runner, http] {
            if !task.is_finished() {
                let _ = task.await;
            }
        }
    };
    // A second signal ends the waiting.
    tokio::select! {
        () = drained => {}
        () = signals.next() => tracing::warn!("stopping at once"),
    }
    let db = app.db.clone();
    tokio::task::spawn_blocking(move || db.close()).await.context("can't close the database")?;
    died.map_or(Ok(()), Err)
}

/// Opens every door that the configuration asks for.
async fn listen(config: &Config, tls: &Tls) -> anyhow::Result<Listening> {
    let settings = &config.server;
    let mut doors: Vec<(SocketAddr, Door)> = Vec::new();
    if let Some(address) = settings.listen {
        doors.push((address, Door::Plain));
    }
    if tls.is_on() {
        doors.push((settings.https_listen, Door::Tls(tls.server_config()?, config.tls.hsts)));
        let front = server::front(tls.clone(), server::outer_https_port(settings));
        doors.push((settings.http_listen, Door::Other(front)));
    }
    let mut listening = Listening::new(config);
    for (address, door) in doors {
        listening = listening.open(address, door).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::PermissionDenied => "a port below 1024 needs the capability CAP_NET_BIND_SERVICE",
                _ => "is another program using this address?",
            };
            anyhow::Error::new(error).context(format!("can't listen on {address}: {hint}"))
        })?;
    }
    Ok(listening)
}

/// Where people find the appliance.
fn url_of(config: &Config, tls: &Tls, listening: &Listening) -> String {
    let certificate = tls.status().into_iter().next();
    let name = certificate.and_then(|certificate| certificate.names.into_iter().next());
    let origin = match (&config.server.public_url, name) {
        (Some(url), _) => url.to_string(),
        (None, Some(name)) => {
            let host = if name.contains(':') { format!("[{name}]") } else { name };
            match server::outer_https_port(&config.server) {
                443 => format!("https://{host}"),
                port => format!("https://{host}:{port}"),
            }
        }
        (None, None) => format!("http://{}", listening.address()),
    };
    origin + &config.server.base_path
}

/// Opens what a process on a data directory works with; the certificates are the server's.
///
/// # Errors
/// When the database or the blobs can't be opened.
pub(crate) async fn open(
    config: Config,
    data_dir: &DataDir,
    role: Role,
    tls: Option<Tls>,
) -> anyhow::Result<App> {
    let clock = Clock::system();
    db::log_slower_than(config.log.slow_query);
    let db = Db::open(&data_dir.database(), role, clock.clone())?;
    let options = LocalOptions {
        expect_marker: library::has_blobs(&db).await?,
        min_free_bytes: config.limits.min_free_bytes,
    };
    let storage = Storage::local(&data_dir.blobs(), options)?;
    let outbound = Outbound::new(&config.outbound);
    Ok(App {
        db,
        storage,
        engines: Engines::configured(&config.engines, &outbound),
        tls: tls.unwrap_or_else(|| Tls::off(&outbound, clock.clone())),
        outbound,
        budget: Budget::of_this_machine(),
        previews: Previews::new(),
        cache: DiskCache::new(data_dir.cache(), config.delivery.cache_bytes, clock.clone()),
        hot: HotFiles::new(HOT_BYTES),
        keys: Keys::new(data_dir.keys(), clock.clone()),
        started_at: clock.now(),
        clock,
        config: Arc::new(config),
        stopping: CancellationToken::new(),
    })
}

/// The signals that ask the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't wait for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The same, and does something whenever the process is asked to look at its files again.
    async fn next_with(&mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                Some(()) = self.hangup.recv() => reload(),
            }
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn start_log(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("warn,safelight={}", log.level.as_str()))
        .context("can't start the log")?;
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = if json { builder.json().try_init() } else { builder.try_init() };
    started.map_err(|e| anyhow::anyhow!("can't start the log: {e}"))
}
