use super::*;
use declared::SECTIONS;
use std::os::unix::ffi::OsStringExt;

/// A folder with a configuration file in it, and what is typed beside it.
struct Scene {
    folder: tempfile::TempDir,
    flags: Flags,
    environment: Vec<(String, std::ffi::OsString)>,
}

impl Scene {
    fn new(file: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("safelight.toml");
        std::fs::write(&path, file).unwrap();
        let flags = Flags { config: Some(path), ..Flags::default() };
        Self { folder, flags, environment: Vec::new() }
    }

    fn env(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn load(&self) -> Result<Loaded, Error> {
        load(&self.flags, &self.environment.iter().cloned().collect())
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}")).config
    }

    /// Each mistake as a line, without the temporary folder's name.
    fn mistakes(&self) -> Vec<String> {
        let error = self.load().expect_err("a mistake should be found");
        self.lines(&error.mistakes)
    }

    fn lines(&self, mistakes: &[Mistake]) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
    }

    fn mistake(&self) -> String {
        let mut mistakes = self.mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        mistakes.remove(0)
    }

    /// Checks against a list that has secrets, which this version's doesn't.
    fn check_secrets(&self) -> Checked {
        let environment = self.environment.iter().cloned().collect();
        check(raw::gather(WITH_SECRETS, &self.flags, &environment, Path::new("")))
    }

    fn secret(&self) -> (String, Origin) {
        let checked = self.check_secrets();
        assert_eq!(self.lines(&checked.mistakes), [""; 0]);
        match &checked.values.0["mail.password"] {
            (Some(Value::Secret(secret)), origin) => (secret.expose().to_owned(), origin.clone()),
            other => panic!("{other:?}"),
        }
    }
}

static WITH_SECRETS: &[Setting] = &[
    Setting {
        key: "mail.password",
        kind: Kind::Secret,
        default: Default::Absent("none"),
        example: r#""hunter2""#,
        doc: "",
        flag: None,
    },
    Setting {
        key: "mail.host",
        kind: Kind::Choice(&["localhost"]),
        default: Default::Absent("none"),
        example: r#""localhost""#,
        doc: "",
        flag: None,
    },
];

#[test]
fn nothing_at_all_gives_the_documented_defaults() {
    let config = Scene::new("").config();
    assert_eq!(config.data_dir, Path::new("./safelight-data"));
    assert_eq!(config.server.listen, "127.0.0.1:8080".parse().ok());
    assert_eq!(config.server.public_url, None);
    assert_eq!(config.server.base_path, "");
    assert!(!config.server.trusts("127.0.0.1".parse().unwrap()));
    assert_eq!(config.limits.max_upload_bytes, None);
    assert_eq!(config.limits.max_pixels, 200_000_000);
    assert_eq!(config.limits.max_files_per_request, 10);
    assert_eq!(config.limits.min_free_bytes, 256 << 20);
    assert_eq!(config.limits.login.longest_wait, Duration::from_secs(900));
    assert_eq!(config.accounts.session, 14 * DAY);
    assert_eq!(config.accounts.remembered_session, 90 * DAY);
    assert_eq!(Some(config.jobs.workers), std::thread::available_parallelism().ok());
    assert_eq!((config.log.level, config.log.format), (LogLevel::Info, LogFormat::Auto));
    assert!(!config.outbound.offline);
    assert_eq!(Config::defaults("./safelight-data"), config);
}

#[test]
fn every_setting_can_be_set_to_its_example_in_the_file_and_in_the_environment() {
    let mut file = String::new();
    let mut scene = Scene::new("");
    for setting in SETTINGS {
        file.push_str(&format!("{} = {}\n", setting.key, setting.example));
        let loose = setting.example.trim_matches('"').to_owned();
        scene = scene.env(&setting.environment_name(), loose);
    }
    // `accounts.session_days` and `remember_days` must go together, and so they do in the examples.
    let by_file = Scene::new(&file).config();
    let by_environment = scene.config();
    assert_eq!(by_file, by_environment);
    assert_eq!(by_file.server.public_url.as_ref().unwrap().to_string(), "https://photos.example.org");
    assert_eq!(by_file.limits.max_upload_bytes, Some(2 << 30));
    assert_eq!(by_file.jobs.workers.get(), 2);
    assert_eq!((by_file.log.level, by_file.log.format), (LogLevel::Debug, LogFormat::Json));
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
    let mut scene = Scene::new(
        "data_dir = \"/file\"\nserver.listen = \"127.0.0.1:1\"\n[log]\nlevel = \"error\"\nformat = \"json\"\n",
    )
    .env("SAFELIGHT_SERVER__LISTEN", "127.0.0.1:2")
    .env("SAFELIGHT_LOG__LEVEL", "debug");
    scene.flags.listen = Some("127.0.0.1:3".to_owned());
    let loaded = scene.load().unwrap();
    assert_eq!(loaded.config.server.listen.unwrap().port(), 3);
    assert_eq!((loaded.config.log.level, loaded.config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(loaded.config.jobs, Config::defaults("x").jobs);

    let origin = |key: &str| loaded.shown.iter().find(|shown| shown.key == key).unwrap().origin.clone();
    let file = scene.flags.config.clone().unwrap();
    assert_eq!(origin("server.listen"), Origin::Flag("--listen"));
    assert_eq!(origin("log.level"), Origin::Environment("SAFELIGHT_LOG__LEVEL".to_owned()));
    assert_eq!(origin("log.format"), Origin::File(file.clone(), Some(5)));
    assert_eq!(origin("jobs.workers"), Origin::Default);
    assert_eq!(loaded.file, Some(file));
}

#[test]
fn the_word_for_absence_undoes_what_the_file_says() {
    let scene = Scene::new("[limits]\nmax_upload_bytes = \"1 GB\"\n[jobs]\nworkers = 3");
    assert_eq!(scene.config().limits.max_upload_bytes, Some(1_000_000_000));
    let scene =
        scene.env("SAFELIGHT_LIMITS__MAX_UPLOAD_BYTES", "none").env("SAFELIGHT_JOBS__WORKERS", "auto");
    assert_eq!(scene.config().limits.max_upload_bytes, None);
    assert_eq!(scene.config().jobs, Config::defaults("x").jobs);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_the_nearest_right_name() {
    let mut scene = Scene::new(
        r#"
[server]
lisen = "127.0.0.1:80"
base_path = "photos"
public-url = "https://example.org"

[limit]
max_pixels = 5

[limits]
max_pixels = "many"
max_upload = 7
login = 4

[jobs]
workers = 0
"#,
    )
    .env("SAFELIGHT_SERVER_LISTEN", "127.0.0.1:8080")
    .env("SAFELIGHT_LOG__LEVEL", "warning")
    .env("OTHER_PROGRAM", "what it likes");
    scene.flags.listen = Some("localhost:8080".to_owned());
    assert_eq!(
        scene.mistakes(),
        [
            "safelight.toml:3: server.lisen is not a setting of this version; did you mean server.listen?",
            "safelight.toml:4: server.base_path: \"photos\" should start with /",
            "safelight.toml:5: server.public-url is not a setting of this version; did you mean server.public_url?",
            "safelight.toml:7: [limit] is not a section of this version; did you mean [limits]?",
            "safelight.toml:11: limits.max_pixels should be a whole number from 1_000_000 to 4_000_000_000, \
             not text, so without quotes",
            "safelight.toml:12: limits.max_upload is not a setting of this version; \
             did you mean limits.max_upload_bytes?",
            "safelight.toml:13: limits.login is a section, so it should be a table [limits.login], not a number",
            "safelight.toml:16: jobs.workers: 0 is not from 1 to 256",
            "environment SAFELIGHT_LOG__LEVEL: log.level: \"warning\" is not one of error, warn, info, debug, trace; \
             did you mean warn?",
            "environment SAFELIGHT_SERVER_LISTEN: this is not a setting of this version; \
             did you mean SAFELIGHT_SERVER__LISTEN?",
            "--listen: server.listen: \"localhost:8080\" is not an IP address and port, \
             such as 127.0.0.1:8080 or [::]:8080",
        ]
    );
    let text = scene.load().unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 11 mistakes:\n  /"), "{text}");
}

#[test]
fn a_key_that_only_a_later_version_knows_is_an_error_too() {
    assert_eq!(
        Scene::new("[portal]\nhost = \"example.org\"").mistake(),
        "safelight.toml:1: [portal] is not a section of this version"
    );
    let mistake = Scene::new("server.quic_listen = \"[::]:443\"").mistake();
    assert!(mistake.starts_with("safelight.toml:1: server.quic_listen is not a setting"), "{mistake}");
    let mistake = Scene::new("").env("SAFELIGHT_SCAN__REQUIRED", "true").mistake();
    assert!(mistake.contains("SAFELIGHT_SCAN__REQUIRED: this is not a setting of this version"), "{mistake}");
}

#[test]
fn a_wrong_value_is_reported_even_where_something_stronger_hides_it() {
    let scene = Scene::new("server.listen = \"nowhere\"").env("SAFELIGHT_SERVER__LISTEN", "127.0.0.1:1");
    assert!(scene.mistake().starts_with("safelight.toml:1: server.listen: \"nowhere\""));
}

#[test]
fn a_name_in_the_wrong_section_is_found_in_the_right_one() {
    let mistake = Scene::new("[limits]\ntrusted_proxies = []").mistake();
    assert!(mistake.ends_with("did you mean server.trusted_proxies?"), "{mistake}");
    let mistake = Scene::new("").env("SAFELIGHT_TRUSTED_PROXIES", "::1").mistake();
    assert!(mistake.ends_with("did you mean SAFELIGHT_SERVER__TRUSTED_PROXIES?"), "{mistake}");
    let mistake = Scene::new("").env("SAFELIGHT_server__listen", "::1").mistake();
    assert!(mistake.ends_with("did you mean SAFELIGHT_SERVER__LISTEN?"), "{mistake}");
    let mistake = Scene::new("colour = 3").mistake();
    assert_eq!(mistake, "safelight.toml:1: colour is not a setting of this version");
}

#[test]
fn every_line_that_is_not_toml_is_reported_and_the_rest_still_checked() {
    let mistakes = Scene::new("[server]\nlisten = \n[log]\nlevel = \"info\nlevels = 4\n").mistakes();
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    assert!(mistakes[0].starts_with("safelight.toml:2: not TOML: "), "{mistakes:#?}");
    assert!(mistakes[1].starts_with("safelight.toml:4: not TOML: "), "{mistakes:#?}");
    assert!(mistakes[2].starts_with("safelight.toml:5: log.levels is not a setting"), "{mistakes:#?}");
}

#[test]
fn a_key_given_twice_is_named() {
    assert_eq!(
        Scene::new("[log]\nlevel = \"info\"\nlevel = \"debug\"\n").mistake(),
        "safelight.toml:3: level is given twice in the same section: keep one"
    );
    let mistake = Scene::new("[log]\nlevel = \"info\"\n[log]\nformat = \"json\"\n").mistake();
    assert!(mistake.starts_with("safelight.toml:3: log is given twice"), "{mistake}");
}

#[test]
fn wrong_types_are_told_with_what_is_expected() {
    for (line, message) in [
        ("server.listen = 8080", "server.listen should be an IP address and port, not a number"),
        ("server.listen = [\"127.0.0.1:80\"]", "server.listen should be an IP address and port, not a list"),
        ("[server.listen]\nport = 4", "server.listen should be an IP address and port, not a table"),
        (
            "outbound.offline = \"true\"",
            "outbound.offline should be true or false, not text, so without quotes",
        ),
        ("outbound.offline = 1", "outbound.offline should be true or false, not a number"),
        (
            "jobs.workers = 1.5",
            "jobs.workers should be a whole number from 1 to 256, or \"auto\", not a fraction",
        ),
        ("log.level = 1979-05-27", "log.level should be one of error, warn, info, debug, trace, not a date"),
        (
            "server.trusted_proxies = \"::1\"",
            "server.trusted_proxies should be a list of IP addresses and networks, not text",
        ),
        ("server.trusted_proxies = [1]", "server.trusted_proxies: each entry should be text, not a number"),
        (
            "limits.login.longest_wait = 30",
            "limits.login.longest_wait should be a duration such as \"30 s\" or \"5 min\", not a number, \
             so in quotes and with its unit",
        ),
        ("server = 5", "server is a section, so it should be a table [server], not a number"),
        (
            "[[server]]\nlisten = \"127.0.0.1:80\"",
            "server is a section, so it should be a table [server], not a list",
        ),
        ("data_dir = true", "data_dir should be a path, not true or false"),
        ("data_dir = \"\"", "data_dir: is empty; leave it out to keep the default"),
    ] {
        assert_eq!(Scene::new(line).mistake(), format!("safelight.toml:1: {message}"));
    }
}

#[test]
fn wrong_values_are_told_with_the_reason() {
    for (name, value, reason) in [
        ("SERVER__LISTEN", "", "is empty; leave it out to keep the default"),
        ("SERVER__LISTEN", "127.0.0.1:99999", "is not an IP address and port"),
        ("SERVER__PUBLIC_URL", "photos.example.org", "should start with https:// or http://"),
        ("SERVER__PUBLIC_URL", "https://example.org/photos", "belongs into server.base_path"),
        ("SERVER__PUBLIC_URL", "https://me@example.org", "no more than a scheme, a host"),
        ("SERVER__PUBLIC_URL", "https://fotos.müller.de", "xn-- form"),
        ("SERVER__PUBLIC_URL", "https://example.org:0", "is not a port"),
        ("SERVER__PUBLIC_URL", "https://", "is not a host name"),
        ("SERVER__BASE_PATH", "/a//b", "may only have letters"),
        ("SERVER__BASE_PATH", "/../etc", "may only have letters"),
        ("SERVER__BASE_PATH", "/ä", "may only have letters"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.1/8", "inside the network 10.0.0.0/8"),
        ("SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "is not an IP address or a network"),
        ("SERVER__TRUSTED_PROXIES", "::1/+3", "is not an IP address or a network"),
        ("SERVER__TRUSTED_PROXIES", "127.0.0.1,", "\"\" is not an IP address"),
        ("SERVER__TRUSTED_PROXIES", "[127.0.0.1]", "is not a JSON array of texts"),
        ("LIMITS__MAX_UPLOAD_BYTES", "-1", "is not a size"),
        ("LIMITS__MAX_UPLOAD_BYTES", "0", "0 B is less than 1 B"),
        ("LIMITS__MAX_UPLOAD_BYTES", "5 G", "write GiB (1024s) or GB (1000s)"),
        ("LIMITS__MAX_UPLOAD_BYTES", "99999999999 TiB", "not a size that a disk can have"),
        ("LIMITS__MAX_UPLOAD_BYTES", "1.2.3 GB", "is not a size"),
        ("LIMITS__MIN_FREE_BYTES", "1 MiB", "1 MiB is less than 16 MiB"),
        ("LIMITS__MAX_PIXELS", "99999999999999999999", "is not a whole number from"),
        ("LIMITS__MAX_PIXELS", "200 million", "is not a whole number"),
        ("LIMITS__LOGIN__LONGEST_WAIT", "30", "needs a unit, such as 30 s"),
        ("LIMITS__LOGIN__LONGEST_WAIT", "5 m", "write min for minutes"),
        ("LIMITS__LOGIN__LONGEST_WAIT", "5 parsecs", "is not a duration"),
        ("LIMITS__LOGIN__LONGEST_WAIT", "2 d", "is not between 1 s and 1 d"),
        ("OUTBOUND__OFFLINE", "perhaps", "is neither true nor false"),
        ("LOG__FORMAT", "jsno", "did you mean json?"),
    ] {
        let mistake = Scene::new("").env(&format!("SAFELIGHT_{name}"), value).mistake();
        assert!(mistake.contains(reason), "{name}={value}: {mistake}");
    }
}

#[test]
fn two_values_that_contradict_each_other_are_a_mistake_of_whoever_typed_one() {
    assert_eq!(
        Scene::new("[accounts]\nsession_days = 100").mistake(),
        "safelight.toml:2: accounts.remember_days: 90 is less than accounts.session_days, 100"
    );
}

#[test]
fn webhooks_need_an_address_that_their_sender_calls() {
    let said = |text: &str| Scene::new(text).mistake();
    let wanted = "[engines.replicate]\nwebhooks = true\n";
    assert!(
        said(wanted)
            .starts_with("safelight.toml:2: engines.replicate.webhooks: server.public_url is missing")
    );
    let plain = format!("{wanted}[server]\npublic_url = \"http://photos.example.org\"\n");
    assert!(said(&plain).contains("not an https address"));
    let right =
        format!("{wanted}[server]\npublic_url = \"https://photos.example.org\"\nbase_path = \"/photos\"\n");
    let url = Scene::new(right).config().engines.replicate.webhook_url.unwrap();
    assert_eq!(url, "https://photos.example.org/photos/api/v1/hooks/replicate");
    let off = "[server]\npublic_url = \"https://photos.example.org\"\n";
    assert_eq!(Scene::new(off).config().engines.replicate.webhook_url, None);
}

#[test]
fn sizes_durations_and_flags_are_understood_as_people_write_them() {
    for (text, bytes) in [
        ("1", 1),
        ("1_000", 1000),
        ("4kB", 4000),
        ("4 KB", 4000),
        ("1.5 GiB", 1_610_612_736),
        ("0.1 MB", 100_000),
        ("2 tib", 2 << 40),
    ] {
        let scene = Scene::new("").env("SAFELIGHT_LIMITS__MAX_UPLOAD_BYTES", text);
        assert_eq!(scene.config().limits.max_upload_bytes, Some(bytes), "{text}");
    }
    for (text, millis) in
        [("1500 ms", 1500), ("30s", 30_000), ("1 h 30 min", 5_400_000), ("0.5 hours", 1_800_000)]
    {
        let scene = Scene::new("").env("SAFELIGHT_LIMITS__LOGIN__LONGEST_WAIT", text);
        assert_eq!(scene.config().limits.login.longest_wait.as_millis(), millis, "{text}");
    }
    for (text, offline) in [("true", true), ("1", true), ("Off", false), ("no", false)] {
        assert_eq!(
            Scene::new("").env("SAFELIGHT_OUTBOUND__OFFLINE", text).config().outbound.offline,
            offline
        );
    }
    assert_eq!(Scene::new("limits.min_free_bytes = 0x1000_0000").config().limits.min_free_bytes, 1 << 28);
}

#[test]
fn lists_come_as_toml_as_json_or_separated_by_commas() {
    let wanted = Scene::new("server.trusted_proxies = [\"10.0.0.0/8\", \"::1\"]").config().server;
    assert!(wanted.trusts("10.9.8.7".parse().unwrap()));
    assert!(wanted.trusts("::ffff:10.9.8.7".parse().unwrap()));
    assert!(wanted.trusts("::1".parse().unwrap()));
    assert!(!wanted.trusts("11.0.0.1".parse().unwrap()));
    assert!(!wanted.trusts("::2".parse().unwrap()));
    for text in ["10.0.0.0/8,::1", " 10.0.0.0/8 , ::1 ", r#"["10.0.0.0/8", "::1"]"#] {
        let scene = Scene::new("").env("SAFELIGHT_SERVER__TRUSTED_PROXIES", text);
        assert_eq!(scene.config().server, wanted, "{text}");
    }
    let scene = Scene::new("server.trusted_proxies = [\"::1\"]").env("SAFELIGHT_SERVER__TRUSTED_PROXIES", "");
    assert_eq!(scene.config().server.trusted_proxies, []);
    let everybody = Scene::new("server.trusted_proxies = [\"0.0.0.0/0\", \"::/0\"]").config().server;
    assert!(everybody.trusts("8.8.8.8".parse().unwrap()) && everybody.trusts("2001:db8::1".parse().unwrap()));
}

#[test]
fn a_public_url_is_kept_as_browsers_write_an_origin() {
    for (text, origin, authority) in [
        ("HTTPS://Photos.Example.org/", "https://photos.example.org", "photos.example.org"),
        ("https://example.org:443", "https://example.org", "example.org"),
        ("http://192.168.1.5:8080", "http://192.168.1.5:8080", "192.168.1.5:8080"),
        ("http://[::1]:80", "http://[::1]", "[::1]"),
        ("http://[::1]", "http://[::1]", "[::1]"),
    ] {
        let url =
            Scene::new("").env("SAFELIGHT_SERVER__PUBLIC_URL", text).config().server.public_url.unwrap();
        assert_eq!((url.to_string().as_str(), url.authority()), (origin, authority), "{text}");
        assert_eq!(url.is_https(), origin.starts_with("https"));
    }
}

#[test]
fn the_data_folder_is_relative_to_the_file_that_names_it_and_else_to_the_working_folder() {
    let mut scene = Scene::new("data_dir = \"data\"");
    assert_eq!(scene.config().data_dir, scene.folder.path().join("data"));
    scene = scene.env("SAFELIGHT_DATA_DIR", std::ffi::OsString::from_vec(b"not-\xff-utf8".to_vec()));
    assert_eq!(scene.config().data_dir.into_os_string().into_vec(), b"not-\xff-utf8");
    scene.flags.data_dir = Some("here".into());
    assert_eq!(scene.config().data_dir, Path::new("here"));
}

#[test]
fn a_named_file_must_be_there_and_be_readable_text() {
    let mut scene = Scene::new("");
    scene.flags.config = Some(scene.folder.path().join("missing.toml"));
    assert_eq!(scene.mistake(), "--config: can't read missing.toml: it does not exist");
    scene.flags.config = Some(scene.folder.path().to_owned());
    assert!(scene.mistake().ends_with("it is a folder"), "{}", scene.mistake());
    scene.flags.config = Some("/dev/zero".into());
    assert_eq!(scene.mistake(), "--config: can't read /dev/zero: it is larger than 1 MiB");

    assert_eq!(
        Scene::new(b"# fine\nx = \"\xff\"\n").mistake(),
        "safelight.toml:2: this line is not UTF-8 text"
    );
    let scene = Scene::new("").env("SAFELIGHT_LOG__LEVEL", std::ffi::OsString::from_vec(vec![0xff]));
    assert_eq!(scene.mistake(), "environment SAFELIGHT_LOG__LEVEL: the value is not UTF-8 text");
}

#[test]
fn a_missing_file_does_not_hide_the_other_mistakes() {
    let mut scene = Scene::new("").env("SAFELIGHT_JOBS__WORKERS", "none");
    scene.flags.config = Some("/missing/safelight.toml".into());
    assert_eq!(scene.mistakes().len(), 2);
}

#[test]
fn the_environment_may_name_the_file_and_the_flag_beats_it() {
    let mut scene = Scene::new("server.listen = \"127.0.0.1:1\"");
    let other = scene.write("other.toml", "server.listen = \"127.0.0.1:2\"");
    scene = scene.env("SAFELIGHT_CONFIG", other.clone());
    assert_eq!(scene.config().server.listen.unwrap().port(), 1);
    scene.flags.config = None;
    assert_eq!(scene.config().server.listen.unwrap().port(), 2);
    std::fs::remove_file(other).unwrap();
    assert_eq!(scene.mistake(), "environment SAFELIGHT_CONFIG: can't read other.toml: it does not exist");
}

#[test]
fn the_usual_file_is_read_if_it_exists_and_may_be_missing() {
    let scene = Scene::new("server.listen = \"127.0.0.1:1\"");
    let gather = |path: &Path| check(raw::gather(SETTINGS, &Flags::default(), &Environment::empty(), path));
    let there = gather(scene.flags.config.as_ref().unwrap());
    assert_eq!(there.values.config().server.listen.unwrap().port(), 1);
    assert_eq!(there.file, scene.flags.config);
    let missing = gather(&scene.folder.path().join("safelight.toml/not/there"));
    assert!(missing.mistakes.is_empty() && missing.file.is_none());
    let folder = gather(scene.folder.path());
    assert_eq!(folder.mistakes.len(), 1, "what exists but can't be read is not passed over");
}

#[test]
fn a_secret_may_be_given_in_place_in_a_file_or_as_a_credential() {
    let scene = Scene::new("mail.password = \"in place\"");
    assert_eq!(scene.secret().0, "in place");

    let scene = Scene::new("mail.password_file = \"secrets/mail\"");
    scene.write("secrets/mail", " keeps its spaces \n");
    assert_eq!(scene.secret().0, " keeps its spaces ");

    scene.write("credentials/safelight.mail.password", "from systemd");
    scene.write("credentials/another.program", "not ours");
    let scene = {
        let credentials = scene.folder.path().join("credentials");
        scene.env("CREDENTIALS_DIRECTORY", credentials)
    };
    assert_eq!(
        scene.secret(),
        ("from systemd".to_owned(), Origin::Credential("safelight.mail.password".to_owned()))
    );

    let path = scene.write("elsewhere", "from the variable's file\r\n");
    let scene = scene.env("SAFELIGHT_MAIL__PASSWORD_FILE", path);
    assert_eq!(
        scene.secret(),
        (
            "from the variable's file".to_owned(),
            Origin::Environment("SAFELIGHT_MAIL__PASSWORD_FILE".to_owned())
        )
    );
}

#[test]
fn secrets_that_cannot_be_had_are_mistakes() {
    let scene = Scene::new("[mail]\npassword = \"a\"\npassword_file = \"empty\"\nhost_file = \"x\"\n")
        .env("SAFELIGHT_MAIL__PASSWORD_FILE", "/missing/secret")
        .env("SAFELIGHT_MAIL__PASWORD", "x");
    scene.write("empty", "\n");
    scene.write("credentials/safelight.mail.pasword", "x");
    scene.write("credentials/safelight.mail.password", b"\xff");
    let credentials = scene.folder.path().join("credentials");
    let scene = scene.env("CREDENTIALS_DIRECTORY", credentials);
    let mut mistakes = scene.check_secrets().mistakes;
    mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
    assert_eq!(
        scene.lines(&mistakes),
        [
            "safelight.toml:3: mail.password is given twice, here and in safelight.toml:2: keep one",
            "safelight.toml:4: mail.host_file is not a setting of this version; did you mean mail.host?",
            "credential safelight.mail.password: the content of credentials/safelight.mail.password \
             is not UTF-8 text",
            "credential safelight.mail.pasword: this is not a setting of this version; \
             did you mean safelight.mail.password?",
            "environment SAFELIGHT_MAIL__PASSWORD_FILE: can't read /missing/secret: it does not exist",
            "environment SAFELIGHT_MAIL__PASWORD: this is not a setting of this version; \
             did you mean SAFELIGHT_MAIL__PASSWORD?",
        ]
    );

    let scene = Scene::new("mail.password_file = \"empty\"");
    scene.write("empty", "\n");
    let mistakes = scene.check_secrets().mistakes;
    assert_eq!(
        scene.lines(&mistakes),
        ["safelight.toml:1: mail.password: is empty; leave it out to keep the default"]
    );
    let scene = Scene::new("").env("CREDENTIALS_DIRECTORY", "/missing/credentials");
    assert_eq!(scene.check_secrets().mistakes.len(), 1);
}

#[test]
fn secrets_are_hidden_wherever_a_configuration_is_printed() {
    let scene = Scene::new("mail.password = \"hunter2\"").env("SAFELIGHT_MAIL__HOST", "hunter2");
    let checked = scene.check_secrets();
    let loaded =
        Loaded { config: Config::defaults("x"), file: None, shown: checked.values.shown(WITH_SECRETS) };
    assert!(loaded.show().contains("mail.password = \"(hidden)\""), "{}", loaded.show());
    let environment: Environment = scene.environment.iter().cloned().collect();
    for text in [
        loaded.show(),
        loaded.show_json().to_string(),
        format!("{loaded:?}"),
        format!("{:?}", checked.values.0),
        format!("{environment:?}"),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // A wrong secret isn't quoted either.
    let scene = Scene::new("mail.password = [\"hunter2\"]");
    let mistakes = scene.lines(&scene.check_secrets().mistakes);
    assert_eq!(
        mistakes,
        ["safelight.toml:1: mail.password should be text (secret), or \"none\", not a list"]
    );
    let scene = Scene::new("mail.password = \"hunter2\nmail.password = \"hunter2\"");
    assert!(!scene.lines(&scene.check_secrets().mistakes).concat().contains("hunter2"));
}

#[test]
fn show_prints_toml_that_means_the_same_with_each_origin() {
    let scene = Scene::new("[limits]\nmax_upload_bytes = 1048577\nmin_free_bytes = \"1 GiB\"\n")
        .env("SAFELIGHT_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::1")
        .env("SAFELIGHT_SERVER__BASE_PATH", "/photos/")
        .env("SAFELIGHT_DATA_DIR", "a \"quoted\\ path");
    let loaded = scene.load().unwrap();
    let text = loaded.show();
    let line = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("limits.max_pixels"), "limits.max_pixels = 200_000_000 # default");
    assert!(line("limits.min_free_bytes").ends_with("safelight.toml:3"), "{text}");
    assert_eq!(
        line("server.trusted_proxies"),
        "server.trusted_proxies = [\"10.0.0.0/8\", \"::1\"] # environment SAFELIGHT_SERVER__TRUSTED_PROXIES"
    );
    assert_eq!(line("jobs.workers"), "jobs.workers = \"auto\" # default");
    // Only the relative folder means something else in another file.
    let again = Scene::new(&text);
    let data_dir = again.folder.path().join(&loaded.config.data_dir);
    assert_eq!(again.config(), Config { data_dir, ..loaded.config.clone() });

    let defaults = Scene::new("").load().unwrap();
    let again = Scene::new(defaults.show());
    let data_dir = again.folder.path().join("safelight-data");
    assert_eq!(again.config(), Config { data_dir, ..defaults.config });

    let json = loaded.show_json();
    let entry = |key: &str| {
        json["settings"].as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap().clone()
    };
    assert_eq!(entry("limits.min_free_bytes")["value"], 1 << 30);
    assert_eq!(entry("limits.min_free_bytes")["origin"]["line"], 3);
    assert_eq!(entry("server.public_url")["value"], serde_json::Value::Null);
    assert_eq!(entry("server.trusted_proxies")["value"][1], "::1");
}

#[test]
fn mistakes_come_as_json_for_programs() {
    let json = Scene::new("x = 1").load().unwrap_err().to_json();
    assert_eq!(json["mistakes"][0]["origin"]["line"], 1);
    assert_eq!(json["mistakes"][0]["message"], "x is not a setting of this version");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    assert!(page == reference(), "run `safelight config reference > docs/configuration.md`");
}

#[test]
fn every_setting_is_declared_once_in_a_section_with_words_and_explained_by_sentences() {
    let mut keys = std::collections::BTreeSet::new();
    for setting in SETTINGS {
        assert!(keys.insert(setting.key), "{} is declared twice", setting.key);
        assert!(setting.doc.ends_with('.') && !setting.doc.contains("  "), "{}", setting.key);
        assert!(
            reference().contains(&format!("### `{}`", setting.key)),
            "{} is not on the page",
            setting.key
        );
        if let Some((section, _)) = setting.key.rsplit_once('.') {
            assert!(SECTIONS.iter().any(|(name, _)| *name == section), "[{section}] has no words");
        }
    }
}

#[test]
fn https_takes_the_place_of_plain_http_unless_that_was_asked_for() {
    assert!(!Scene::new("").config().tls.is_on());
    let config = Scene::new("[tls]\ndomains = [\"A.example.org.  b.example.org\", \"192.0.2.1\"]").config();
    assert_eq!(config.tls.domains, [vec!["a.example.org", "b.example.org"], vec!["192.0.2.1"]]);
    assert_eq!(config.server.listen, None);
    assert_eq!(config.tls.acme.challenges, [Challenge::TlsAlpn01, Challenge::Http01]);
    let both = "server.listen = \"127.0.0.1:8080\"\ntls.domains = [\"a.example.org\"]";
    assert!(Scene::new(both).config().server.listen.is_some());
    let files = Scene::new("[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"").config();
    assert!(files.tls.is_on() && files.tls.files.is_some() && files.server.listen.is_none());
}

#[test]
fn settings_of_encryption_that_can_not_work_are_told_at_once() {
    for (file, mistake) in [
        ("tls.certificate = \"c.pem\"", "tls.certificate: it needs tls.key beside it"),
        ("tls.acme.eab_kid = \"k\"", "tls.acme.eab_kid: it needs tls.acme.eab_hmac_key beside it"),
        ("tls.domains = [\"*.example.org\"]", "tls.domains: a name with * needs dns-01"),
        ("tls.acme.challenges = [\"dns-01\"]", "dns-01 needs the program that sets records"),
        ("tls.acme.challenges = [\"http\"]", "\"http\" is not one of"),
        (
            "tls.domains = [\"https://example.org\"]",
            "is not a host name or an IP address (write the name alone)",
        ),
        ("tls.domains = [\"photos\"]", "with a dot in it"),
        ("tls.domains = [\"fotós.example.org\"]", "xn--"),
        ("tls.domains = [\"a.example.org\", \"b.example.org a.example.org\"]", "is listed twice"),
        ("tls.acme.directory_url = \"http://ca.example.org/dir\"", "should start with https://"),
    ] {
        let said = Scene::new(file).mistake();
        assert!(said.contains(mistake), "{file}: {said}");
    }
}
