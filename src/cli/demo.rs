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
use crate::library::{self, Destination, OnConflict};

#[derive(RustEmbed)]
#[folder = "assets/sample/demo"]
struct Pictures;

/// The people of the demonstration; all have the same password, made anew at each start.
const PEOPLE: [(&str, &str, Role); 3] = [
    ("Edda", "edda@demo.example", Role::Owner),
    ("Matti", "matti@demo.example", Role::Editor),
    ("Grandma Ruth", "ruth@demo.example", Role::Viewer),
];

/// Pictures whose names begin so are restored at once.
const AGED: &str = "aged-";

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
    for file in Pictures::iter() {
        let Some(picture) = Pictures::get(&file) else { continue };
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", &file));
        let bytes = Bytes::from(picture.data.into_owned());
        let to = Destination {
            bucket: None,
            folder: folder.into(),
            name: name.trim_start_matches(AGED).into(),
            on_conflict: OnConflict::Rename,
        };
        library::add(app, &actor, to, stream::iter([Ok(bytes)]))
            .await
            .with_context(|| format!("can't put {file} in"))?;
    }
    println!(
        "A demonstration runs at {url} and is gone when it stops. Log in with the password {password} as:"
    );
    for (_, email, role) in PEOPLE {
        println!("  {email} ({})", role.as_str());
    }
    Ok(())
}
