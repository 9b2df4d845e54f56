//! Which certificate a handshake gets: by the name that is asked for, swapped while connections go on.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::CHALLENGE_PROTOCOL;
use super::certificate::{self, Certificate};
use super::files::Files;

/// The certificates in use, one for each slot, and those that answer challenges.
#[derive(Debug)]
pub(super) struct Resolver {
    slots: Mutex<Vec<Option<Arc<Certificate>>>>,
    shelf: ArcSwap<Shelf>,
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    /// Where other processes put theirs.
    files: Arc<Files>,
}

#[derive(Debug, Default)]
struct Shelf {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// For who asks for no name, or an unknown one.
    default: Option<Arc<CertifiedKey>>,
}

impl Shelf {
    fn of(slots: &[Option<Arc<Certificate>>]) -> Self {
        let mut shelf = Self::default();
        // One that is trusted comes before a makeshift one for the same name.
        let makeshift = |one: &&Arc<Certificate>| one.is_makeshift;
        let trusted = slots.iter().flatten().filter(|one| !makeshift(one));
        for certificate in trusted.chain(slots.iter().flatten().filter(makeshift)) {
            for name in &certificate.names {
                shelf.by_name.entry(name.clone()).or_insert_with(|| Arc::clone(&certificate.key));
            }
        }
        // Who comes by an address can't say so in a handshake.
        let by_address = |certificate: &&Arc<Certificate>| {
            certificate.names.iter().any(|name| name.parse::<IpAddr>().is_ok())
        };
        let default = slots.iter().flatten().find(by_address).or_else(|| slots.iter().flatten().next());
        shelf.default = default.map(|certificate| Arc::clone(&certificate.key));
        shelf
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = || Some(format!("*.{}", name.split_once('.')?.1));
            self.by_name.get(&name).or_else(|| self.by_name.get(&wild()?))
        });
        named.or(self.default.as_ref()).cloned()
    }
}

impl Resolver {
    pub(super) fn new(slots: usize, files: Arc<Files>) -> Self {
        let slots = Mutex::new(vec![None; slots]);
        Self { slots, shelf: ArcSwap::default(), challenges: RwLock::default(), files }
    }

    /// Serves another certificate from now on.
    pub(super) fn install(&self, slot: usize, certificate: Arc<Certificate>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots[slot] = Some(certificate);
        self.shelf.store(Arc::new(Shelf::of(&slots)));
    }

    pub(super) fn installed(&self, slot: usize) -> Option<Arc<Certificate>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)[slot].clone()
    }

    /// Answers challenges for a name.
    pub(super) fn expect(&self, name: &str, key: CertifiedKey) {
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.insert(name.to_owned(), Arc::new(key));
    }

    pub(super) fn forget(&self, name: &str) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE_PROTOCOL))
        {
            // Never a real one on this protocol.
            let name = hello.server_name()?.to_ascii_lowercase();
            let ours = self.challenges.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
            return ours
                .or_else(|| certificate::challenge_from_pem(&self.files.answer(&name)?).ok().map(Arc::new));
        }
        self.shelf.load().find(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gets_its_own_certificate_and_a_stranger_the_first() {
        let made = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            Arc::new(Certificate::makeshift(&names).unwrap())
        };
        let resolver = Resolver::new(3, Arc::new(Files::new("unused".into())));
        let found = |name| resolver.shelf.load().find(name);
        assert!(found(Some("a.example.org")).is_none());
        let (first, wild) = (made(&["a.example.org"]), made(&["*.example.org"]));
        resolver.install(0, Arc::clone(&first));
        resolver.install(1, Arc::clone(&wild));
        let is = |name, certificate: &Certificate| Arc::ptr_eq(&found(name).unwrap(), &certificate.key);
        assert!(is(Some("A.example.org"), &first) && is(Some("b.example.org"), &wild));
        assert!(is(Some("x.b.example.org"), &first) && is(None, &first) && is(Some("other.test"), &first));
        let address = made(&["192.0.2.1"]);
        resolver.install(2, Arc::clone(&address));
        assert!(is(None, &address), "an address can't be said in a handshake");
    }
}
