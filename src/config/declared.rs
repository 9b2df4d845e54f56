//! The one list of settings. Parsing, environment names, suggestions, `config show` and the reference page all
//! derive from it; a setting that isn't here does not exist.

use std::time::Duration;

use super::value::Kind;

/// One setting: its name, what it takes and what it means.
#[derive(Debug)]
pub struct Setting {
    /// The name in the file, with its section: `limits.max_pixels`.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when nobody says anything.
    pub default: Default,
    /// A value somebody might choose, in TOML.
    pub example: &'static str,
    /// What it is for: whole sentences, Markdown.
    pub doc: &'static str,
    /// The flag that sets it, where there is one.
    pub flag: Option<&'static str>,
}

/// What holds when nobody says anything.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// A value, in TOML.
    Value(&'static str),
    /// No value. The word may also be typed, to undo what a lower level says.
    Absent(&'static str),
}

impl Setting {
    /// The environment variable: `SAFELIGHT_LIMITS__MAX_PIXELS`.
    pub fn environment_name(&self) -> String {
        environment_name(self.key)
    }

    /// Its name for people, where they may change it while Safelight runs.
    pub fn live_title(&self) -> Option<&'static str> {
        LIVE.iter().find(|(key, _)| *key == self.key).map(|(_, title)| *title)
    }

    /// Whether it may be changed while Safelight runs: whoever uses it reads it anew each time, or is told.
    pub fn is_live(&self) -> bool {
        self.live_title().is_some()
    }

    /// The section that it stands in; empty for what stands above the first one.
    pub fn section(&self) -> &'static str {
        self.key.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// Whether the value must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// The environment variable that belongs to a dotted key.
pub(super) fn environment_name(key: &str) -> String {
    format!("SAFELIGHT_{}", key.replace('.', "__").to_uppercase())
}

/// The sections in the order of the reference page, each with what it is about.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("server", "Where Safelight listens and under which address people reach it."),
    ("tls", "Encryption: certificates that are obtained and renewed by themselves, or files of your own."),
    ("tls.acme", "How certificates are obtained for the names in `tls.domains`."),
    ("tls.acme.dns", "Who sets the records for `dns-01`."),
    ("limits", "What one request or one picture may cost."),
    ("limits.connections", "What connections may do before anybody knows who is behind them."),
    (
        "limits.anonymous",
        "How often somebody may ask who is not logged in, counted for each address or IPv6 network of 64 bits. \
         Pages, pictures and files are not counted; connections are, above.",
    ),
    ("limits.signed_in", "How often somebody may ask who is logged in, by browser and tokens together."),
    ("limits.login", "How failed logins are slowed down."),
    ("uploads", "Files that arrive in several goes."),
    ("import", "A folder of this machine whose files come into the library by themselves."),
    ("accounts", "People and their sessions."),
    ("jobs", "Work in the background."),
    ("restore", "Restored pictures and what leads to them."),
    ("delivery", "Pictures and files on their way out."),
    ("cors", "Pages of other sites that may use the API."),
    ("outbound", "What may leave the machine."),
    (
        "engines",
        "Models on other machines that restore pictures. Nothing is sent anywhere before a key is set.",
    ),
    ("engines.hugging_face", "Models on Hugging Face: its router, and Inference Endpoints of your own."),
    ("engines.replicate", "Models on Replicate."),
    ("engines.onnx", "Networks in files of this machine."),
    ("engines.space", "Gradio apps: Spaces on Hugging Face, and apps of your own."),
    (
        "mail",
        "The server that takes mail, and to whom the appliance's own goes. `safelight mail test` tries it.",
    ),
    ("alerts", "Where else it is told when something is wrong, beside `mail.admin`."),
    ("brand", "What this instance is called and how it looks."),
    ("metrics", "Numbers for programs that watch Safelight, at `/metrics`."),
    ("log", "What is written to standard error, and to a file if there is one."),
    (
        "telemetry",
        "What is told to programs that watch this one. Nothing is sent before an address is set; see docs/logs.md.",
    ),
];

/// The settings that may be changed while Safelight runs, each with its name for people. A setting belongs here only if
/// a change reaches everything that uses it.
pub(super) const LIVE: &[(&str, &str)] = &[
    ("brand.name", "Name of this instance"),
    ("brand.accent", "Accent colour"),
    ("limits.max_upload_bytes", "Largest file"),
    ("limits.max_pixels", "Largest picture, in pixels"),
    ("limits.max_files_per_request", "Files in one upload request"),
    ("limits.login.attempts", "Wrong passwords for one account"),
    ("limits.login.attempts_per_address", "Wrong passwords from one address"),
    ("limits.login.longest_wait", "Longest wait after wrong passwords"),
    ("uploads.expire", "Keep unfinished uploads for"),
    ("uploads.max_unfinished", "Unfinished uploads of one person"),
    ("accounts.session_days", "Days until somebody has to sign in again"),
    ("accounts.remember_days", "The same with “Remember me”"),
    ("restore.keep_steps_days", "Days that pictures after single steps are kept"),
    ("delivery.cache_bytes", "Room for pictures made on demand"),
    ("delivery.public_base_url", "Address that signed links begin with"),
    ("cors.origins", "Sites whose pages may use the API"),
    ("outbound.offline", "Stay offline"),
    ("outbound.allow_private", "Private addresses that may be reached"),
    ("engines.hugging_face.token", "Access token"),
    ("engines.hugging_face.bill_to", "Organisation that pays"),
    ("engines.hugging_face.endpoints", "Inference Endpoints"),
    ("engines.replicate.token", "API token"),
    ("engines.replicate.webhooks", "Replicate says when a picture is ready"),
    ("engines.space.enabled", "Use public Spaces"),
    ("engines.space.urls", "Gradio apps of your own"),
    ("engines.space.token", "Token for Spaces"),
    ("log.level", "How much is logged"),
    ("telemetry.otlp_endpoint", "OpenTelemetry collector"),
    ("telemetry.otlp_headers", "Headers for the collector"),
    ("telemetry.sentry_dsn", "Where errors are reported (Sentry DSN)"),
];

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const MAX_BYTES: u64 = i64::MAX.unsigned_abs();

/// Every setting of this version.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "data_dir",
        kind: Kind::Path,
        default: Default::Value(r#""./safelight-data""#),
        example: r#""/var/lib/safelight""#,
        doc: "The folder under which everything lives: database, files, caches. \
              In the configuration file it stands above the first section, and a relative path starts at the file's \
              own folder; elsewhere at the working folder.",
        flag: Some("--data-dir"),
    },
    Setting {
        key: "server.listen",
        kind: Kind::Address,
        default: Default::Value(r#""127.0.0.1:8080""#),
        example: r#""0.0.0.0:8080""#,
        doc: "Address and port for plain HTTP; port 0 takes any free one. \
              With `tls.domains` or `tls.certificate` it is closed unless it is set.",
        flag: Some("--listen"),
    },
    Setting {
        key: "server.https_listen",
        kind: Kind::Address,
        default: Default::Value(r#""[::]:443""#),
        example: r#""203.0.113.7:443""#,
        doc: "Address and port for HTTPS, used with `tls.domains` or `tls.certificate`; `[::]` means IPv4 as well.",
        flag: None,
    },
    Setting {
        key: "server.http_listen",
        kind: Kind::Address,
        default: Default::Value(r#""[::]:80""#),
        example: r#""203.0.113.7:80""#,
        doc: "Where, beside HTTPS, certificate authorities ask and everybody else is sent to HTTPS.",
        flag: None,
    },
    Setting {
        key: "server.public_url",
        kind: Kind::Url,
        default: Default::Absent("none"),
        example: r#""https://photos.example.org""#,
        doc: "The address that people type, used in links and to check where a request comes from; \
              without it the `Host` of each request is believed. Requests for names that are not ours are refused then. A subpath belongs into `server.base_path`.",
        flag: None,
    },
    Setting {
        key: "server.base_path",
        kind: Kind::BasePath,
        default: Default::Value(r#""/""#),
        example: r#""/photos""#,
        doc: "The subpath under which a proxy in front passes everything on, unchanged.",
        flag: None,
    },
    Setting {
        key: "server.trusted_proxies",
        kind: Kind::Networks,
        default: Default::Value("[]"),
        example: r#"["127.0.0.1", "10.0.0.0/8"]"#,
        doc: "Addresses and networks of proxies whose `X-Forwarded-*` headers are believed; \
              from anybody else they are ignored.",
        flag: None,
    },
    Setting {
        key: "server.proxy_protocol",
        kind: Kind::Flag,
        default: Default::Value("false"),
        example: "true",
        doc: "Whether connections of `server.trusted_proxies` begin with a header of the PROXY protocol, \
              version 1 or 2. They are refused without one.",
        flag: None,
    },
    Setting {
        key: "tls.domains",
        kind: Kind::Names,
        default: Default::Value("[]"),
        example: r#"["photos.example.org www.photos.example.org", "203.0.113.7"]"#,
        doc: "Names and IP addresses for which certificates are obtained, one for each entry; \
              names with a space between them share one. Setting it turns HTTPS on.",
        flag: None,
    },
    Setting {
        key: "tls.certificate",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/etc/safelight/fullchain.pem""#,
        doc: "A PEM file with a certificate of your own and those between it and its root, used instead of obtained ones. \
              Changes are noticed; SIGHUP makes Safelight look at once.",
        flag: None,
    },
    Setting {
        key: "tls.key",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/etc/safelight/key.pem""#,
        doc: "The PEM file with the key of `tls.certificate`.",
        flag: None,
    },
    Setting {
        key: "tls.email",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""admin@example.org""#,
        doc: "Whom the certificate authority may write to.",
        flag: None,
    },
    Setting {
        key: "tls.hsts",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(3650 * 24 * 3600) },
        default: Default::Value(r#""180 d""#),
        example: r#""0 s""#,
        doc: "How long browsers remember that this name is only reached over HTTPS; `0 s` tells them to forget it.",
        flag: None,
    },
    Setting {
        key: "tls.acme.directory_url",
        kind: Kind::Endpoint,
        default: Default::Value(r#""https://acme-v02.api.letsencrypt.org/directory""#),
        example: r#""https://acme-staging-v02.api.letsencrypt.org/directory""#,
        doc: "The directory of the certificate authority, which is Let's Encrypt unless you name another. \
              Setting `tls.domains` means that you agree to its terms.",
        flag: None,
    },
    Setting {
        key: "tls.acme.fallback_directory_url",
        kind: Kind::Endpoint,
        default: Default::Absent("none"),
        example: r#""https://api.buypass.com/acme/directory""#,
        doc: "The directory of another authority, asked when the first one fails. It can't be one that needs an \
              arranged account.",
        flag: None,
    },
    Setting {
        key: "tls.acme.ca_file",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/etc/safelight/our-root.pem""#,
        doc: "A PEM file with the roots to trust when talking to an authority of your own, beside the system's.",
        flag: None,
    },
    Setting {
        key: "tls.acme.eab_kid",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""kid-1""#,
        doc: "The key identifier of an account that was arranged with the authority (external account binding).",
        flag: None,
    },
    Setting {
        key: "tls.acme.eab_hmac_key",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W""#,
        doc: "The key that belongs to `tls.acme.eab_kid`, in base64url as authorities hand it out.",
        flag: None,
    },
    Setting {
        key: "tls.acme.challenges",
        kind: Kind::Choices(&["tls-alpn-01", "http-01", "dns-01"]),
        default: Default::Value(r#"["tls-alpn-01", "http-01"]"#),
        example: r#"["http-01", "dns-01"]"#,
        doc: "How the authority may check that a name is yours: at port 443, at port 80, or by DNS, which needs \
              `tls.acme.dns.provider` or `tls.acme.dns_hook`. The first one that it offers is tried, after a failure the next one.",
        flag: None,
    },
    Setting {
        key: "tls.acme.profile",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""shortlived""#,
        doc: "Which of the authority's kinds of certificate to ask for, where it has several. \
              Let's Encrypt wants `shortlived` for IP addresses.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns_hook",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/etc/safelight/dns-hook""#,
        doc: "A program that is called as `HOOK set NAME VALUE` and ends when the TXT record can be seen, and as \
              `HOOK remove NAME VALUE` afterwards. `tls.acme.dns.provider` goes before it.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.provider",
        kind: Kind::Choice(&["rfc2136", "cloudflare", "hetzner", "digitalocean", "desec", "gandi"]),
        default: Default::Absent("none"),
        example: r#""rfc2136""#,
        doc: "Who keeps the zone of your names and takes changes: a name server of yours (`rfc2136`: BIND, Knot, \
              PowerDNS) or one of these companies.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.token",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""Ua3fT...""#,
        doc: "The token for the company's API, with the right to read zones and to change their records, best of this \
              zone only.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.zone",
        kind: Kind::Text,
        default: Default::Absent("found by the name"),
        example: r#""example.org""#,
        doc: "The zone that records are set in, where it can't be found by the name.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.server",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""ns1.example.org""#,
        doc: "The name server that takes changes, with a port or without. For the companies: another address of \
              their API.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.tsig_name",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""safelight.""#,
        doc: "The name of the key (TSIG, HMAC-SHA256) that changes are signed with.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.tsig_secret",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""bWF5IHRoZSBzb3VyY2UgYmUgd2l0aCB5b3U=""#,
        doc: "That key, in base64 as `tsig-keygen` prints it.",
        flag: None,
    },
    Setting {
        key: "tls.acme.dns.wait",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(3600) },
        default: Default::Absent("until the zone's servers show the record, 3 min at most"),
        example: r#""60 s""#,
        doc: "How long to wait after a record was set, where the zone's servers can't be asked from here.",
        flag: None,
    },
    Setting {
        key: "limits.max_upload_bytes",
        kind: Kind::Bytes { min: 1, max: MAX_BYTES },
        default: Default::Absent("none"),
        example: r#""2 GiB""#,
        doc: "The largest file that is taken in. Without it only the free space counts.",
        flag: None,
    },
    Setting {
        key: "limits.max_pixels",
        kind: Kind::Integer { min: 1_000_000, max: 4_000_000_000 },
        default: Default::Value("200_000_000"),
        example: "100_000_000",
        doc: "The largest picture, width times height, that is decoded. \
              A larger one is kept as a file, but gets no thumbnail and can't be restored.",
        flag: None,
    },
    Setting {
        key: "limits.max_files_per_request",
        kind: Kind::Integer { min: 1, max: 1000 },
        default: Default::Value("10"),
        example: "50",
        doc: "How many files one upload request may carry.",
        flag: None,
    },
    Setting {
        key: "limits.min_free_bytes",
        kind: Kind::Bytes { min: 16 * MIB, max: MAX_BYTES },
        default: Default::Value(r#""256 MiB""#),
        example: r#""5 GiB""#,
        doc: "How much space uploads leave free on the disk of the data folder, \
              so that the database can always be written; an upload beyond that is answered 507.",
        flag: None,
    },
    Setting {
        key: "limits.connections.max",
        kind: Kind::Integer { min: 8, max: 1_000_000 },
        default: Default::Value("4_096"),
        example: "20_000",
        doc: "How many connections there may be at once; more wait. Each takes a file descriptor and some kilobytes.",
        flag: None,
    },
    Setting {
        key: "limits.connections.max_per_address",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Value("512"),
        example: "64",
        doc: "How many of them may come from one address, or from one IPv6 network of 64 bits; more are closed. \
              Connections of `server.trusted_proxies` and of this machine don't count.",
        flag: None,
    },
    Setting {
        key: "limits.connections.header_timeout",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(3600) },
        default: Default::Value(r#""10 s""#),
        example: r#""30 s""#,
        doc: "How long the head of a request may take, and the first one with everything before it.",
        flag: None,
    },
    Setting {
        key: "limits.connections.idle_timeout",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(24 * 3600) },
        default: Default::Value(r#""1 min""#),
        example: r#""5 min""#,
        doc: "How long a connection is kept without a request, or with an answer that nobody takes.",
        flag: None,
    },
    Setting {
        key: "limits.connections.body_timeout",
        kind: Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(3600) },
        default: Default::Value(r#""10 s""#),
        example: r#""1 min""#,
        doc: "How long the first kilobyte of an upload may take, and each later one that comes in drops; in between an upload \
              may pause for half a minute. Slower ones are ended; resumable ones go on later.",
        flag: None,
    },
    Setting {
        key: "limits.anonymous.per_second",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        default: Default::Value("30"),
        example: "10",
        doc: "How many requests a second the API answers to one address in the long run; `0` sets no limit. Behind a proxy \
              addresses can be told apart only with `server.trusted_proxies`.",
        flag: None,
    },
    Setting {
        key: "limits.anonymous.burst",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Value("50"),
        example: "20",
        doc: "How many it answers at once after a rest. More are answered 429, with the time to wait.",
        flag: None,
    },
    Setting {
        key: "limits.signed_in.per_second",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        default: Default::Value("300"),
        example: "100",
        doc: "How many requests a second the API answers to one person in the long run; `0` sets no limit.",
        flag: None,
    },
    Setting {
        key: "limits.signed_in.burst",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: Default::Value("1_000"),
        example: "300",
        doc: "How many it answers at once after a rest.",
        flag: None,
    },
    Setting {
        key: "limits.login.attempts",
        kind: Kind::Integer { min: 1, max: 1000 },
        default: Default::Value("5"),
        example: "3",
        doc: "How many wrong passwords an account takes before the next attempt has to wait; \
              each further one doubles the wait.",
        flag: None,
    },
    Setting {
        key: "limits.login.attempts_per_address",
        kind: Kind::Integer { min: 1, max: 100_000 },
        default: Default::Value("20"),
        example: "100",
        doc: "The same for one network address over all accounts; \
              raise it where many people share an address.",
        flag: None,
    },
    Setting {
        key: "limits.login.longest_wait",
        kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3600) },
        default: Default::Value(r#""15 min""#),
        example: r#""1 h""#,
        doc: "The longest wait after wrong passwords.",
        flag: None,
    },
    Setting {
        key: "uploads.expire",
        kind: Kind::Duration { min: Duration::from_secs(3600), max: Duration::from_secs(90 * 24 * 3600) },
        default: Default::Value(r#""7 d""#),
        example: r#""2 d""#,
        doc: "How long an unfinished upload is kept after something last came for it.",
        flag: None,
    },
    Setting {
        key: "uploads.max_unfinished",
        kind: Kind::Integer { min: 1, max: 100_000 },
        default: Default::Value("200"),
        example: "1_000",
        doc: "How many unfinished uploads one person may have; \
              a program that sends a file in pieces at the same time has one for each piece.",
        flag: None,
    },
    Setting {
        key: "import.watch",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/srv/scans""#,
        doc: "The folder that is watched. A file that has not changed for ten seconds goes to the oldest bucket, \
              into the same folder and with its date; names that begin with a dot are passed over.",
        flag: None,
    },
    Setting {
        key: "import.taken",
        kind: Kind::Choice(&["move", "leave"]),
        default: Default::Value(r#""move""#),
        example: r#""leave""#,
        doc: "What becomes of a file that was taken: `move` puts it into the folder `done` of the watched one, \
              `leave` leaves it there, and takes it again as a new version when it changes.",
        flag: None,
    },
    Setting {
        key: "accounts.session_days",
        kind: Kind::Integer { min: 1, max: 3650 },
        default: Default::Value("14"),
        example: "1",
        doc: "After how many days without a visit a browser has to log in again.",
        flag: None,
    },
    Setting {
        key: "accounts.remember_days",
        kind: Kind::Integer { min: 1, max: 3650 },
        default: Default::Value("90"),
        example: "365",
        doc: "The same for whoever ticked “Remember me”. It can't be less than `accounts.session_days`.",
        flag: None,
    },
    Setting {
        key: "jobs.workers",
        kind: Kind::Integer { min: 1, max: 256 },
        default: Default::Absent("auto"),
        example: "2",
        doc: "How many jobs run at the same time; `auto` is one per core.",
        flag: None,
    },
    Setting {
        key: "restore.keep_steps_days",
        kind: Kind::Integer { min: 1, max: 3650 },
        default: Default::Value("30"),
        example: "7",
        doc: "For how many days the pictures after the single steps of a restoration are kept, where somebody asked for \
              them as the studio does. They count against nobody's quota.",
        flag: None,
    },
    Setting {
        key: "delivery.cache_bytes",
        kind: Kind::Bytes { min: 0, max: MAX_BYTES },
        default: Default::Value(r#""2 GiB""#),
        example: r#""20 GiB""#,
        doc: "How much disk the thumbnails and other renderings may take; the least used go first.",
        flag: None,
    },
    Setting {
        key: "delivery.host",
        kind: Kind::Host,
        default: Default::Absent("none"),
        example: r#""cdn-origin.example.org""#,
        doc: "A name under which only files are answered, and nobody is logged in: where a content delivery network \
              fetches them.",
        flag: None,
    },
    Setting {
        key: "delivery.public_base_url",
        kind: Kind::Url,
        default: Default::Absent("none"),
        example: r#""https://cdn.example.org""#,
        doc: "The address of a CDN or proxy that fetches `/storage/…` from here and keeps it: signed addresses begin \
              with it. Without it they begin with `server.public_url`.",
        flag: None,
    },
    Setting {
        key: "cors.origins",
        kind: Kind::Origins,
        default: Default::Value("[]"),
        example: r#"["https://app.example.org"]"#,
        doc: "Sites whose pages may use the API with a token, also for resumable uploads; `[\"*\"]` for all. They never get \
              at anybody's login. What the pages of other sites may read below `/storage` is said for each bucket.",
        flag: None,
    },
    Setting {
        key: "outbound.offline",
        kind: Kind::Flag,
        default: Default::Value("false"),
        example: "true",
        doc: "Forbids every connection to another machine, whatever else is configured.",
        flag: None,
    },
    Setting {
        key: "outbound.allow_private",
        kind: Kind::Networks,
        default: Default::Value("[]"),
        example: r#"["192.168.1.20", "10.0.0.0/8"]"#,
        doc: "Addresses and networks that may be reached although they are private, where an address comes from \
              outside: a result's, a redirect's. What is written into this configuration is reached anyway.",
        flag: None,
    },
    Setting {
        key: "engines.result_hosts",
        kind: Kind::Texts,
        default: Default::Value(
            r#"["replicate.delivery", "fal.media", "fal.run", "wavespeed.ai", "cloudfront.net"]"#,
        ),
        example: r#"["replicate.delivery", "fal.media"]"#,
        doc: "Hosts, with all names below them, from which results are fetched when a provider says that they lie \
              there. Neither keys nor pictures are sent to them.",
        flag: None,
    },
    Setting {
        key: "engines.hugging_face.token",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""hf_…""#,
        doc: "The access token, with the right to call Inference Providers. `HF_TOKEN` in the environment is taken \
              too.",
        flag: None,
    },
    Setting {
        key: "engines.hugging_face.router_url",
        kind: Kind::Url,
        default: Default::Value(r#""https://router.huggingface.co""#),
        example: r#""https://proxy.example.org""#,
        doc: "Where models are called.",
        flag: None,
    },
    Setting {
        key: "engines.hugging_face.hub_url",
        kind: Kind::Url,
        default: Default::Value(r#""https://huggingface.co""#),
        example: r#""https://hub.example.org""#,
        doc: "Where is asked which provider serves a model.",
        flag: None,
    },
    Setting {
        key: "engines.hugging_face.bill_to",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""our-organisation""#,
        doc: "The organisation that pays instead of the token's owner.",
        flag: None,
    },
    Setting {
        key: "engines.hugging_face.endpoints",
        kind: Kind::Urls,
        default: Default::Value("[]"),
        example: r#"["https://abc.eu-west-1.aws.endpoints.huggingface.cloud"]"#,
        doc: "Addresses of Inference Endpoints, or of other servers that speak their language, which models may name.",
        flag: None,
    },
    Setting {
        key: "engines.replicate.token",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""r8_…""#,
        doc: "The API token. `REPLICATE_API_TOKEN` in the environment is taken too.",
        flag: None,
    },
    Setting {
        key: "engines.replicate.base_url",
        kind: Kind::Url,
        default: Default::Value(r#""https://api.replicate.com""#),
        example: r#""https://proxy.example.org""#,
        doc: "Where models are called.",
        flag: None,
    },
    Setting {
        key: "engines.replicate.webhooks",
        kind: Kind::Flag,
        default: Default::Value("false"),
        example: "true",
        doc: "Whether Replicate says by itself when a picture is ready, at `/api/v1/hooks/replicate` below \
              `server.public_url`, which it must be able to reach. It is asked now and then all the same.",
        flag: None,
    },
    Setting {
        key: "engines.onnx.models_dir",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/var/lib/safelight/models""#,
        doc: "A folder with networks, each as `NAME.onnx` and `NAME.toml`. They are run by this machine, if the program \
              was built with the feature `onnx`.",
        flag: None,
    },
    Setting {
        key: "engines.space.enabled",
        kind: Kind::Flag,
        default: Default::Value("false"),
        example: "true",
        doc: "Whether pictures may be sent to public Spaces (`owner-name.hf.space`), which need no key and belong to \
              strangers. Apps in `engines.space.urls` don't need this.",
        flag: None,
    },
    Setting {
        key: "engines.space.urls",
        kind: Kind::Urls,
        default: Default::Value("[]"),
        example: r#"["http://192.168.1.20:7860"]"#,
        doc: "Addresses of Gradio apps of your own, which models may name.",
        flag: None,
    },
    Setting {
        key: "engines.space.token",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""hf_…""#,
        doc: "A Hugging Face token for private Spaces and more quota. It is sent to every Space that a model names, and \
              a Space sees it: use one of its own, with few rights.",
        flag: None,
    },
    Setting {
        key: "mail.host",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""mail.example.org""#,
        doc: "The server that takes mail. Without it none is sent.",
        flag: None,
    },
    Setting {
        key: "mail.port",
        kind: Kind::Integer { min: 1, max: 65_535 },
        default: Default::Absent("auto"),
        example: "2_525",
        doc: "Its port; `auto` is 587 with `starttls`, 465 with `tls` and 25 with `none`.",
        flag: None,
    },
    Setting {
        key: "mail.security",
        kind: Kind::Choice(&["starttls", "tls", "none"]),
        default: Default::Value(r#""starttls""#),
        example: r#""tls""#,
        doc: "How the connection is encrypted: after a first word in the clear, from the beginning, or not at all. \
              With `none` a password is only sent to this machine itself.",
        flag: None,
    },
    Setting {
        key: "mail.username",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""safelight@example.org""#,
        doc: "Who logs in, where the server wants that.",
        flag: None,
    },
    Setting {
        key: "mail.password",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""…""#,
        doc: "The password of that login.",
        flag: None,
    },
    Setting {
        key: "mail.from",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""Safelight <safelight@example.org>""#,
        doc: "The sender: an address, or a name with the address in `<…>` behind it.",
        flag: None,
    },
    Setting {
        key: "mail.admin",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""admin@example.org""#,
        doc: "Who is told when something is wrong: a certificate that is not renewed, a full disk, a queue that stands still.",
        flag: None,
    },
    Setting {
        key: "alerts.webhook_url",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""https://hooks.slack.com/services/…""#,
        doc: "An address that the same is posted to as `{\"text\": …}`, which Slack, Mattermost and many others take.",
        flag: None,
    },
    Setting {
        key: "metrics.token",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""k7w3…""#,
        doc: "The bearer with which `/metrics` and `/api/metrics` may be read from anywhere. Without one they are there only for \
              programs on this machine, and for nobody where a proxy stands in front.",
        flag: None,
    },
    Setting {
        key: "log.level",
        kind: Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        default: Default::Value(r#""info""#),
        example: r#""debug""#,
        doc: "How much is logged: this level and the more serious ones.",
        flag: Some("--log-level"),
    },
    Setting {
        key: "log.format",
        kind: Kind::Choice(&["auto", "pretty", "json"]),
        default: Default::Value(r#""auto""#),
        example: r#""json""#,
        doc: "How the log looks: `pretty` for people, `json` for programs, one object a line; \
              `auto` is `pretty` on a terminal and `json` elsewhere.",
        flag: Some("--log-format"),
    },
    Setting {
        key: "log.file",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/var/log/safelight/safelight.log""#,
        doc: "A file that the log is written to as well, as JSON. It is for machines without journald; its folder must \
              exist. Whoever moves the file away sends `SIGHUP` afterwards.",
        flag: None,
    },
    Setting {
        key: "log.file_max_bytes",
        kind: Kind::Bytes { min: 64 * KIB, max: 1024 * 1024 * MIB },
        default: Default::Value(r#""10 MiB""#),
        example: r#""100 MiB""#,
        doc: "How large the file may grow before it is put aside as `safelight.log.1` and a new one begins.",
        flag: None,
    },
    Setting {
        key: "log.files_kept",
        kind: Kind::Integer { min: 0, max: 100 },
        default: Default::Value("5"),
        example: "20",
        doc: "How many files that were put aside are kept.",
        flag: None,
    },
    Setting {
        key: "brand.name",
        kind: Kind::Text,
        default: Default::Absent("none"),
        example: r#""Family archive""#,
        doc: "What people see instead of “Safelight”: in titles, at the login, as an installed app. At most 40 characters.",
        flag: None,
    },
    Setting {
        key: "brand.logo",
        kind: Kind::Path,
        default: Default::Absent("none"),
        example: r#""/etc/safelight/logo.svg""#,
        doc: "A picture that stands where Safelight's own sign would: PNG, WebP, JPEG or SVG, at most 512 KiB. It is read \
              again when it has changed.",
        flag: None,
    },
    Setting {
        key: "brand.accent",
        kind: Kind::Colour,
        default: Default::Absent("none"),
        example: r##""#1f6feb""##,
        doc: "The colour of buttons and links, as `#rrggbb`. For the light and the dark page it is made darker or lighter \
              until it can be read; a colour with which that can't be done is refused.",
        flag: None,
    },
    Setting {
        key: "telemetry.otlp_endpoint",
        kind: Kind::HttpUrl,
        default: Default::Absent("none"),
        example: r#""http://localhost:4318""#,
        doc: "An OpenTelemetry collector that traces and logs are sent to (OTLP over HTTP, in JSON), at `/v1/traces` and \
              `/v1/logs` below this address. `OTEL_EXPORTER_OTLP_ENDPOINT` in the environment is taken too.",
        flag: None,
    },
    Setting {
        key: "telemetry.otlp_headers",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""authorization=Bearer …""#,
        doc: "Headers that the collector wants: `name=value`, with commas between them. \
              `OTEL_EXPORTER_OTLP_HEADERS` in the environment is taken too.",
        flag: None,
    },
    Setting {
        key: "telemetry.sentry_dsn",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""https://KEY@sentry.example.org/1""#,
        doc: "Where errors are reported, as a DSN of Sentry or of a program that speaks its language. `SENTRY_DSN` in the \
              environment is taken too.",
        flag: None,
    },
    Setting {
        key: "log.slow_query",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(3600) },
        default: Default::Value(r#""250 ms""#),
        example: r#""50 ms""#,
        doc: "Statements of the database that take longer are logged as warnings, without the values in them; `0 s` logs none.",
        flag: None,
    },
    Setting {
        key: "log.slow_job",
        kind: Kind::Duration { min: Duration::ZERO, max: Duration::from_secs(30 * 24 * 3600) },
        default: Default::Value(r#""10 min""#),
        example: r#""1 h""#,
        doc: "The same for jobs in the background.",
        flag: None,
    },
];
