//! All results of a batch as one ZIP archive, written while it is sent. Pictures don't get smaller by packing, so they
//! are stored as they are; nothing is held but the piece that is on its way.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::future::ready;
use std::io::{self, Read, Write};
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::io::{ReaderStream, SyncIoBridge};
use zip::write::{FileOptions, SimpleFileOptions};
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::model::{Batch, BatchId, BatchItem, ItemState};
use super::{Result, Viewer, named, seen_in, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::engine::Outcome;
use crate::library::{self, MediaId, RenditionId};
use crate::storage::{self, BlobId, BlobReader};

/// How many bytes wait for whoever reads.
const PIPE_BYTES: usize = 256 << 10;

/// Pictures that are looked up at a time.
const PAGE: usize = 200;

/// What lists the pictures that are not there, and why.
const REPORT: &str = "About these pictures.txt";

/// An archive on its way.
pub struct Archive {
    /// The name under which it is saved.
    pub name: String,
    /// Its bytes; an error at the end if it is not all of them.
    pub stream: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Archive").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why an archive broke off.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the archive could not be written")]
    Zip(#[from] zip::result::ZipError),
    #[error("the archive could not be sent")]
    Send(#[from] io::Error),
    #[error("the batch could not be read")]
    Batch(#[source] super::Error),
}

/// Begins an archive of what a batch has made: the restored pictures, and where nothing needed doing the originals.
///
/// # Errors
/// [`super::Error::NoSuchBatch`], [`super::Error::Db`].
pub async fn archive(app: &App, viewer: Viewer, id: BatchId) -> Result<Archive> {
    let batch = app.db.read(move |conn| seen_in(conn, viewer, id)).await?;
    let name = format!("{}.zip", library::file_name(&batch.name).unwrap_or_else(|_| "Restored".to_owned()));
    let (sender, receiver) = tokio::io::duplex(PIPE_BYTES);
    let (complete, ended) = oneshot::channel();
    let app = app.clone();
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || match write(&app, &runtime, viewer, &batch, sender) {
        // Nobody hears it who has stopped downloading.
        Ok(()) => drop(complete.send(())),
        Err(Error::Send(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "an archive broke off"),
    });
    Ok(Archive { name, stream: Box::pin(until_complete(receiver, ended)) })
}

/// The bytes that come, and an error behind them unless somebody says that they were all: whatever stops the writer, its
/// archive is given a proper end when it goes, so that what was sent looks whole. The transfer must not end as if it were.
fn until_complete(
    bytes: impl AsyncRead + Send,
    complete: oneshot::Receiver<()>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let ending = stream::once(complete).filter_map(|ended| {
        ready(ended.err().map(|_| Err(io::Error::other("the archive could not be made to its end"))))
    });
    ReaderStream::with_capacity(bytes, 64 << 10).chain(ending)
}

/// Writes all of it. Blocks as long as the reader takes.
fn write(
    app: &App,
    runtime: &Handle,
    viewer: Viewer,
    batch: &Batch,
    sender: DuplexStream,
) -> Result<(), Error> {
    let mut zip = ZipWriter::new_stream(SyncIoBridge::new_with_handle(sender, runtime.clone()));
    let options: SimpleFileOptions = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(true);
    let mut names = HashSet::from([REPORT.to_lowercase()]);
    let mut report = format!("{}\n\n", batch.name);
    let (id, mut after) = (batch.id, None);
    loop {
        let page = app.db.read(move |conn| named(conn, viewer, store::items(conn, id, None, after, PAGE)?));
        let page = runtime.block_on(page).map_err(Error::Batch)?;
        let Some(last) = page.last() else { break };
        after = Some(last.position);
        for item in page {
            let line = match runtime.block_on(result(app, viewer.user, &item)).map_err(Error::Batch)? {
                Ok((name, blob)) => {
                    let name = free_name(&mut names, &name);
                    zip.start_file(&*name, options)?;
                    copy(blob, &mut zip)?;
                    match item.outcome {
                        Some(Outcome::Unchanged) => {
                            format!("{name}: nothing needed doing; this is the original.")
                        }
                        _ => format!("{name}: restored from {}.", item.name),
                    }
                }
                Err(why) => format!("{}: {why}", item.name),
            };
            let _ = writeln!(report, "{line}");
        }
    }
    zip.start_file(REPORT, options)?;
    zip.write_all(report.as_bytes())?;
    let mut sender = zip.finish()?.into_inner().into_inner();
    Ok(runtime.block_on(sender.shutdown())?)
}

fn copy(mut blob: BlobReader, zip: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; 128 << 10];
    loop {
        match blob.read(&mut piece)? {
            0 => return Ok(()),
            length => zip.write_all(&piece[..length])?,
        }
    }
}

/// What came of a picture, or a sentence that says why there is nothing.
async fn result(app: &App, user: UserId, item: &BatchItem) -> Result<Result<(String, BlobReader), String>> {
    let found = match (item.state, item.outcome, item.rendition_id) {
        (ItemState::Succeeded, Some(Outcome::Unchanged), _) => original(app, user, item.media_id).await?,
        (ItemState::Succeeded, _, Some(rendition)) => restored(app, user, item.media_id, rendition).await?,
        (ItemState::Succeeded, _, None) => None,
        (ItemState::Failed, ..) => {
            let detail = item.error.as_ref().map_or("it could not be restored.", |error| &error.detail);
            return Ok(Err(format!("not restored. {detail}")));
        }
        _ => return Ok(Err("not restored yet.".to_owned())),
    };
    let Some((name, blob)) = found else { return Ok(Err("its result was removed.".to_owned())) };
    match app.storage.reader(blob) {
        Ok(blob) => Ok(Ok((name, blob))),
        Err(storage::Error::NotFound(_)) => Ok(Err("its file is missing from the server's disk.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

async fn original(app: &App, user: UserId, media: MediaId) -> Result<Option<(String, BlobId)>> {
    match library::get_for(app, user, media, Permission::LibraryRead).await {
        Ok(media) => Ok(Some((media.name, media.sha256))),
        Err(library::Error::NoSuchMedia) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn restored(
    app: &App,
    user: UserId,
    media: MediaId,
    rendition: RenditionId,
) -> Result<Option<(String, BlobId)>> {
    match library::get_rendition(app, user, media, rendition).await {
        Ok((_, rendition)) => Ok(Some((rendition.name, rendition.sha256))),
        Err(library::Error::NoSuchMedia | library::Error::NoSuchRendition) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A name that no other file of the archive has, also not on a disk that takes upper and lower case for the same.
fn free_name(taken: &mut HashSet<String>, name: &str) -> String {
    if taken.insert(name.to_lowercase()) {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let numbered = (2_u32..).map(|number| format!("{stem} ({number}){extension}"));
    numbered.into_iter().find(|name| taken.insert(name.to_lowercase())).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_more_than_case() {
        let mut taken = HashSet::new();
        let names = ["Oma.jpg", "oma.JPG", "Oma.jpg", ".hidden", ".hidden", "plain", "Plain"];
        let given = names.map(|name| free_name(&mut taken, name));
        assert_eq!(
            given,
            ["Oma.jpg", "oma (2).JPG", "Oma (3).jpg", ".hidden", ".hidden (2)", "plain", "Plain (2)"]
        );
    }
}
