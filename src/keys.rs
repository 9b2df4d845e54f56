//! The instance's own secrets: a file of keys for each purpose, the newest of which signs.
//!
//! A rotation adds a key; those before it go on being valid until nothing that they signed can be any more, or end at
//! once. The files lie in `keys/` of the data directory, readable by their owner only. A process looks at a file again
//! when it has changed, so that a rotation on the command line reaches a running server. Knows nothing of what is
//! signed.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::clock::{Clock, Timestamp};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Browsers that are logged in.
    Sessions,
    /// Addresses of files that may be fetched without a login.
    SignedUrls,
    /// What the database holds encrypted, such as tokens of other services.
    Instance,
    /// Archives that are made to be fetched later.
    Exports,
    /// Messages to programs of others, which can tell by it that they are ours.
    Webhooks,
    /// Notes to browsers.
    Push,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Sessions, Self::SignedUrls, Self::Exports, Self::Webhooks, Self::Push, Self::Instance];

    /// Its name on the command line, and the name of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::SignedUrls => "signed-urls",
            Self::Instance => "instance",
            Self::Exports => "exports",
            Self::Webhooks => "webhooks",
            Self::Push => "push",
        }
    }

    /// Whether anything in this version uses it.
    pub const fn is_used(self) -> bool {
        matches!(self, Self::Sessions | Self::SignedUrls | Self::Instance)
    }

    /// How long something signed for this purpose can be valid: so long an old key is kept. Sessions are renewed by their
    /// use and need not end by themselves; after a rotation they do.
    pub const fn longest_life(self) -> Duration {
        const DAY_S: u64 = 24 * 60 * 60;
        match self {
            Self::Sessions => Duration::from_secs(90 * DAY_S),
            Self::SignedUrls | Self::Push => Duration::from_secs(365 * DAY_S),
            Self::Exports | Self::Webhooks => Duration::from_secs(30 * DAY_S),
            // What is encrypted stays so until it is written anew: a century.
            Self::Instance => Duration::from_secs(36_500 * DAY_S),
        }
    }
}

impl std::str::FromStr for Purpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|purpose| purpose.name() == text)
            .ok_or_else(|| format!("there is no secret {text:?}: there are {}", names()))
    }
}

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of keys is not as it was written.
    #[error("{path} is damaged: put it back from a backup, or remove it to have a new key made")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read or written.
    #[error("could not {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What this room returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}

/// A key: a public id and 32 secret bytes. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: String,
    secret: [u8; SECRET_BYTES],
    created_at: Timestamp,
    /// When it ceases to be valid; never, while it is the newest.
    ends_at: Option<Timestamp>,
}

const SECRET_BYTES: usize = 32;

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Key {
    fn random(now: Timestamp) -> Self {
        let (mut id, mut secret) = ([0; 4], [0; SECRET_BYTES]);
        for bytes in [&mut id[..], &mut secret[..]] {
            getrandom::fill(bytes).expect("the operating system gives random bytes");
        }
        Self { id: hexadecimal(&id), secret, created_at: now, ends_at: None }
    }

    /// Its id, which may be shown.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs a message: HMAC-SHA256 (RFC 2104).
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.secret, message)
    }

    /// Whether a signature is this key's, in a time that does not depend on where it differs.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.sign(message).ct_eq(signature).into()
    }

    /// The key that encrypts: another one than signs, made of the same secret.
    fn cipher(&self) -> LessSafeKey {
        let bytes = hmac_sha256(&self.secret, b"safelight: encryption with AES-256-GCM");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("32 bytes are a key of AES-256"))
    }

    fn write(&self, text: &mut String) {
        let ends_at = self.ends_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        text.push_str(&format!("{} {} {} {ends_at}\n", self.id, hexadecimal(&self.secret), self.created_at));
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, secret) = (words.next()?, from_hexadecimal(words.next()?)?);
        let created_at = words.next()?.parse().ok()?;
        let ends_at = match words.next()? {
            "-" => None,
            at => Some(at.parse().ok()?),
        };
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
        (plain && words.next().is_none()).then(|| Self { id: id.to_owned(), secret, created_at, ends_at })
    }
}

/// HMAC-SHA256 (RFC 2104) with a secret of any length.
pub fn hmac_sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let hashed: [u8; 32];
    let secret = if secret.len() > BLOCK {
        hashed = Sha256::digest(secret).into();
        &hashed
    } else {
        secret
    };
    let pad = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(secret).for_each(|(byte, secret)| *byte ^= secret);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    if text.len() != 2 * SECRET_BYTES || !text.is_ascii() {
        return None;
    }
    for (byte, i) in bytes.iter_mut().zip((0..text.len()).step_by(2)) {
        *byte = u8::from_str_radix(&text[i..i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The keys of a data directory. Clones share what they have read.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    clock: Clock,
    read: Mutex<[Option<Read>; Purpose::ALL.len()]>,
}

/// What a file said when it was read last.
#[derive(Debug, Clone)]
struct Read {
    stamp: Stamp,
    /// The newest first.
    keys: Arc<[Key]>,
}

/// Tells whether a file is the one that was read: it is always replaced, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: u64,
    modified: (i64, i64),
    size_bytes: u64,
}

impl Keys {
    /// Keys in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>, clock: Clock) -> Self {
        Self(Arc::new(Inner { folder: folder.into(), clock, read: Mutex::default() }))
    }

    /// The key that signs; one is made where there is none. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn newest(&self, purpose: Purpose) -> Result<Key> {
        if let Some(key) = self.read(purpose)?.first() {
            return Ok(key.clone());
        }
        self.generate(purpose)?;
        let keys = self.read(purpose)?;
        keys.first().cloned().ok_or_else(|| Error::Damaged { path: self.path(purpose) })
    }

    /// The key with an id, if it is still valid. It asks the disk only whether the file has changed.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn find(&self, purpose: Purpose, id: &str) -> Result<Option<Key>> {
        let now = self.0.clock.now();
        let keys = self.read(purpose)?;
        Ok(keys.iter().find(|key| key.id == id && key.ends_at.is_none_or(|end| now < end)).cloned())
    }

    /// Every key that is still valid, the newest first; none is made. It asks the disk only whether the file has changed.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn valid(&self, purpose: Purpose) -> Result<Vec<Key>> {
        let now = self.0.clock.now();
        let keys = self.read(purpose)?;
        Ok(keys.iter().filter(|key| key.ends_at.is_none_or(|end| now < end)).cloned().collect())
    }

    /// How many keys of a purpose there are. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn count(&self, purpose: Purpose) -> Result<usize> {
        Ok(self.read(purpose)?.len())
    }

    /// Makes the first key of a purpose; whether there was none. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn generate(&self, purpose: Purpose) -> Result<bool> {
        let _turn = self.lock()?;
        let missing = self.read(purpose)?.is_empty();
        if missing {
            self.write(purpose, &[Key::random(self.0.clock.now())])?;
        }
        Ok(missing)
    }

    /// Makes a key that signs from now on and returns its id. Those before it stay valid as long as what they signed
    /// can be, or end `now`. Blocks.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Io`].
    pub fn rotate(&self, purpose: Purpose, now: bool) -> Result<String> {
        let _turn = self.lock()?;
        let at = self.0.clock.now();
        let newest = Key::random(at);
        let id = newest.id.clone();
        let mut keys = vec![newest];
        if !now {
            let ends_at = at + purpose.longest_life();
            let before = self.read(purpose)?;
            let living = before.iter().filter(|key| key.ends_at.is_none_or(|end| at < end)).cloned();
            keys.extend(living.map(|key| Key { ends_at: Some(key.ends_at.unwrap_or(ends_at)), ..key }));
        }
        self.write(purpose, &keys)?;
        Ok(id)
    }

    /// Encrypts a secret with the newest key: the key's id and its length, a nonce, and AES-256-GCM. `what` names the
    /// secret, so that nobody can put one in the place of another.
    ///
    /// # Errors
    /// As [`Keys::newest`].
    pub fn seal(&self, purpose: Purpose, what: &str, secret: &str) -> Result<Vec<u8>> {
        let key = self.newest(purpose)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let mut sealed = secret.as_bytes().to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        key.cipher()
            .seal_in_place_append_tag(nonce_used, Aad::from(what.as_bytes()), &mut sealed)
            .expect("a short text can be encrypted");
        let id = key.id.as_bytes();
        let length = u8::try_from(id.len()).expect("ids are short");
        Ok([&[length], id, &nonce, &sealed[..]].concat())
    }

    /// Decrypts what [`Keys::seal`] has encrypted under the same name; nothing when its key has gone or it was changed.
    ///
    /// # Errors
    /// As [`Keys::find`].
    pub fn unseal(&self, purpose: Purpose, what: &str, sealed: &[u8]) -> Result<Option<String>> {
        let parts = || {
            let (length, rest) = sealed.split_first()?;
            let (id, rest) = rest.split_at_checked(usize::from(*length))?;
            let (nonce, rest) = rest.split_at_checked(NONCE_LEN)?;
            Some((std::str::from_utf8(id).ok()?, nonce, rest.to_vec()))
        };
        let Some((id, nonce, mut text)) = parts() else { return Ok(None) };
        let Some(key) = self.find(purpose, id)? else { return Ok(None) };
        let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else { return Ok(None) };
        let open = key.cipher();
        let open = open.open_in_place(nonce, Aad::from(what.as_bytes()), &mut text);
        Ok(open.ok().and_then(|text| String::from_utf8(text.to_vec()).ok()))
    }

    fn path(&self, purpose: Purpose) -> PathBuf {
        self.0.folder.join(purpose.name())
    }

    fn read(&self, purpose: Purpose) -> Result<Arc<[Key]>> {
        let path = self.path(purpose);
        let stamp = match fs::metadata(&path) {
            Ok(file) => Stamp {
                file: file.ino(),
                modified: (file.mtime(), file.mtime_nsec()),
                size_bytes: file.len(),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Arc::new([])),
            Err(e) => return Err(failed("look at", &path)(e)),
        };
        let mut read = self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut read[purpose as usize];
        if let Some(known) = known.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(Arc::clone(&known.keys));
        }
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let keys: Option<Arc<[Key]>> = lines.map(Key::read).collect();
        let keys = keys.filter(|keys| !keys.is_empty()).ok_or(Error::Damaged { path })?;
        *known = Some(Read { stamp, keys: Arc::clone(&keys) });
        Ok(keys)
    }

    /// Replaces a file, durably: what was signed with a key that is then lost would be signed for nobody.
    fn write(&self, purpose: Purpose, keys: &[Key]) -> Result<()> {
        let mut text = format!("# Keys of Safelight for {}. Whoever has them can sign.\n", purpose.name());
        keys.iter().for_each(|key| key.write(&mut text));
        let path = self.path(purpose);
        let temporary = path.with_extension("new");
        let mut options = OpenOptions::new();
        let open = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        open.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| File::open(&self.0.folder)?.sync_all())
            .map_err(failed("write", &path))
    }

    /// Makes the folder, and keeps other processes from writing meanwhile.
    fn lock(&self) -> Result<File> {
        let folder = &self.0.folder;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create", folder))?;
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const URLS: Purpose = Purpose::SignedUrls;

    fn keys(folder: &Path) -> (Keys, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        (Keys::new(folder.join("keys"), clock.clone()), clock)
    }

    #[test]
    fn the_code_is_that_of_the_standard() {
        // RFC 4231, test cases 1 to 3 and 6.
        for (secret, message, expected) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                &b"Jefe"[..],
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20][..],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &[0xaa; 131][..],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hexadecimal(&hmac_sha256(secret, message)), expected);
        }
    }

    #[test]
    fn an_old_key_is_valid_until_what_it_signed_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, clock) = keys(folder.path());
        assert!(keys.find(URLS, "00000000").unwrap().is_none());
        let first = keys.newest(URLS).unwrap();
        assert!(!keys.generate(URLS).unwrap(), "there is one");
        assert_eq!(keys.newest(URLS).unwrap(), first);
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/signed-urls")), (0o700, 0o600));

        // Another process rotates; this one notices.
        let other = Keys::new(folder.path().join("keys"), clock.clone());
        let second = other.rotate(URLS, false).unwrap();
        assert_eq!(keys.newest(URLS).unwrap().id(), second);
        let signature = first.sign(b"message");
        let old = keys.find(URLS, first.id()).unwrap().expect("it overlaps");
        assert!(old.verify(b"message", &signature) && !old.verify(b"massage", &signature));
        assert!(!old.verify(b"message", &signature[..31]) && !old.verify(b"message", b""));
        clock.advance(364 * DAY);
        assert!(keys.find(URLS, first.id()).unwrap().is_some());
        clock.advance(DAY);
        assert!(keys.find(URLS, first.id()).unwrap().is_none());

        let third = keys.rotate(URLS, true).unwrap();
        assert!(keys.find(URLS, &second).unwrap().is_none() && keys.find(URLS, &third).unwrap().is_some());
    }

    #[test]
    fn a_damaged_file_is_told_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, _) = keys(folder.path());
        keys.generate(URLS).unwrap();
        let path = folder.path().join("keys/signed-urls");
        let whole = fs::read_to_string(&path).unwrap();
        for text in
            ["", "# only a comment\n", &whole[..whole.len() / 2], &whole.replace(' ', "  "), "é é é é\n"]
        {
            fs::write(&path, text).unwrap();
            assert!(matches!(keys.newest(URLS), Err(Error::Damaged { .. })), "{text:?}");
            assert!(matches!(keys.rotate(URLS, false), Err(Error::Damaged { .. })), "{text:?}");
        }
        assert!(keys.rotate(URLS, true).is_ok(), "whoever ends them all needs none of them");
    }

    #[test]
    fn a_secret_is_encrypted_under_its_name_and_outlives_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, _) = keys(folder.path());
        let sealed = keys.seal(Purpose::Instance, "a.token", "hf_sésame").unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("hf_"));
        assert_ne!(keys.seal(Purpose::Instance, "a.token", "hf_sésame").unwrap(), sealed);
        let open = |what: &str, sealed: &[u8]| keys.unseal(Purpose::Instance, what, sealed).unwrap();
        assert_eq!(open("a.token", &sealed).as_deref(), Some("hf_sésame"));
        assert_eq!(open("b.token", &sealed), None, "it stands for another secret");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open("a.token", &changed), None, "byte {at}");
            assert_eq!(open("a.token", &sealed[..at]), None, "only {at} bytes");
        }
        keys.rotate(Purpose::Instance, false).unwrap();
        assert_eq!(open("a.token", &sealed).as_deref(), Some("hf_sésame"));
        keys.rotate(Purpose::Instance, true).unwrap();
        assert_eq!(open("a.token", &sealed), None);
    }

    #[test]
    fn a_key_hides_from_debug() {
        let key = Key::random(Timestamp::from_millis(0));
        assert!(!format!("{key:?}").contains(&hexadecimal(&key.secret)));
    }
}
