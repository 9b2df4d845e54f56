//! `safelight serve --demo`: a throw-away instance with sample people, pictures and restorations.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use futures_util::stream;
use rust_embed::RustEmbed;

use crate::accounts::{self, Editor, NewUser, Password, Role, Token};
use crate::admin;
use crate::app::App;
use crate::audit::Actor;
use crate::engine::Preset;
use crate::library::{self, Destination, OnConflict};
use crate::restore;

#[derive(RustEmbed)]
#[folder = "assets/sample/demo"]
struct Pictures;

/// The people of the demonstration; all have the same password, made anew at each start.
const PEOPLE: [(&str, &str, Role); 3] = [
    ("Edda", "edda@demo.example", Role::Owner),
    ("Matti", "matti@demo.example", Role::Editor),
    ("Grandma Ruth", "ruth@demo.example", Role::Viewer),
];

/// A data directory that is removed with this value.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("safelight-demo-{}", crate::id::fresh()));
        std::fs::create_dir(&path).with_context(|| format!("can't make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("safelight: can't remove {}: {e}", self.0.display());
        }
    }
}

fn pictures() -> impl Iterator<Item = (String, Bytes)> {
    let more = Pictures::iter().filter_map(|file| {
        let data = Pictures::get(&file)?.data;
        Some((file.into_owned(), Bytes::from(data.into_owned())))
    });
    let (name, bytes) = admin::sample();
    std::iter::once((name.to_owned(), bytes)).chain(more)
}

/// Puts people, pictures and restorations into an empty instance and prints how to log in.
pub(super) async fn fill(app: &App, url: &str) -> anyhow::Result<()> {
    let password = Token::random().expose();
    let mut owner = None;
    for (name, email, role) in PEOPLE {
        let password = Password::from(password.clone());
        let new = NewUser { name: name.into(), email: email.into(), role, password };
        let user = accounts::add(&app.db, &Editor::cli(), new).await.context("can't add a person")?;
        owner.get_or_insert(user);
    }
    let owner = owner.context("there is nobody")?;
    let actor = Actor::user(owner.id, owner.name.clone(), std::net::Ipv4Addr::LOCALHOST.into());
    let adder = actor.clone();
    app.db
        .write(move |tx| library::add_bucket_in(tx, &adder, &admin::first_bucket()))
        .await
        .context("can't make the bucket")?;
    for (file, bytes) in pictures() {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
        let to = Destination {
            bucket: None,
            folder: folder.into(),
            name: name.into(),
            on_conflict: OnConflict::Rename,
        };
        let media = library::add(app, &actor, to, stream::iter([Ok(bytes)]))
            .await
            .with_context(|| format!("can't put {file} in"))?;
        // Those that need nothing show how that looks.
        let wish = restore::Request {
            preset: Some(Preset::Auto.as_str().to_owned()),
            ..restore::Request::default()
        };
        restore::request(app, &actor, media.id, wish)
            .await
            .with_context(|| format!("can't restore {file}"))?;
    }
    println!(
        "A demonstration runs at {url} and is gone when it stops. Log in with the password {password} as:"
    );
    for (_, email, role) in PEOPLE {
        println!("  {email} ({})", role.as_str());
    }
    Ok(())
}
