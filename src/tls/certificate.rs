//! One certificate with its key: read from PEM, or made here until a better one is there.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use super::{Error, Result};
use crate::clock::Timestamp;

/// A certificate that can be served.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) leaf: CertificateDer<'static>,
    /// Host names in lower case and addresses in their usual spelling.
    pub(super) names: Vec<String>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) issuer: String,
    pub(super) serial: String,
    /// Whether it was made here.
    pub(super) is_makeshift: bool,
}

/// The one provider of cryptography, named wherever one is needed.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Certificate {
    /// Reads a chain, its own certificate first, and the key, which must belong together.
    pub(super) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self> {
        let bad = |what: &str, e: &dyn std::fmt::Display| Error::BadCertificate(format!("{what}: {e}"));
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| bad("the certificate can't be read", &e))?;
        let leaf = chain
            .first()
            .cloned()
            .ok_or_else(|| Error::BadCertificate("there is no certificate in it".into()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| bad("the key can't be read", &e))?;
        // This also finds a key that belongs to another certificate.
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|e| bad("certificate and key can't be used together", &e))?;
        Self::describe(key, leaf)
    }

    fn describe(key: CertifiedKey, leaf: CertificateDer<'static>) -> Result<Self> {
        let unread =
            |e: &dyn std::fmt::Display| Error::BadCertificate(format!("the certificate can't be read: {e}"));
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).map_err(|e| unread(&e))?;
        let names = match parsed.subject_alternative_name().map_err(|e| unread(&e))? {
            Some(names) => names.value.general_names.iter().filter_map(name).collect(),
            None => Vec::new(),
        };
        let moment =
            |time: x509_parser::time::ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1000));
        let issuer = parsed.issuer();
        let organisation = issuer.iter_organization().next().and_then(|part| part.as_str().ok());
        let common = issuer.iter_common_name().next().and_then(|part| part.as_str().ok());
        let issuer = match (organisation, common) {
            (Some(organisation), Some(common)) => format!("{organisation}, {common}"),
            (one, other) => one.or(other).unwrap_or("unknown").to_owned(),
        };
        let (not_before, not_after) =
            (moment(parsed.validity().not_before), moment(parsed.validity().not_after));
        let serial = parsed.raw_serial_as_string();
        let is_makeshift = false;
        Ok(Self { key: Arc::new(key), names, not_before, not_after, issuer, serial, is_makeshift, leaf })
    }

    /// Makes one that nobody trusts, so that the server can be reached until it has a better one.
    pub(super) fn makeshift(names: &[String]) -> Result<Self> {
        let (chain, key) = sign(names, Vec::new())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let leaf = chain.der().clone();
        let mut made = Self::describe(loaded(leaf.clone(), key)?, leaf)?;
        made.is_makeshift = true;
        Ok(made)
    }

    /// Whether it is for all these names.
    pub(super) fn covers(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    /// Whether it is for any of these names.
    pub(super) fn covers_some(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.names.contains(name))
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The certificate that answers a TLS-ALPN-01 challenge (RFC 8737): for one name, with the digest in it. It has an
/// extension that ordinary checks refuse, so it is not taken apart.
///
/// Returned with its key, as PEM.
pub(super) fn challenge(name: &str, digest: &[u8]) -> Result<String> {
    let (chain, key) = sign(&[name.to_owned()], vec![CustomExtension::new_acme_identifier(digest)])?;
    Ok(key.serialize_pem() + &chain.pem())
}

/// Loads a certificate that answers a challenge.
pub(super) fn challenge_from_pem(pem: &str) -> Result<CertifiedKey> {
    let bad =
        |e: rustls::pki_types::pem::Error| Error::BadCertificate(format!("the answer can't be read: {e}"));
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(bad)?;
    loaded(leaf, PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(bad)?)
}

fn sign(names: &[String], extensions: Vec<CustomExtension>) -> Result<(rcgen::Certificate, KeyPair)> {
    let failed = |e: rcgen::Error| Error::BadCertificate(format!("no certificate can be made: {e}"));
    let key = KeyPair::generate().map_err(failed)?;
    let mut request = CertificateParams::new(names.to_vec()).map_err(failed)?;
    request.distinguished_name = DistinguishedName::new();
    request.distinguished_name.push(rcgen::DnType::CommonName, "Safelight");
    request.custom_extensions = extensions;
    let made = request.self_signed(&key).map_err(failed)?;
    Ok((made, key))
}

fn loaded(leaf: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey> {
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|e| Error::BadCertificate(format!("the key can't be used: {e}")))?;
    Ok(CertifiedKey::new(vec![leaf], key))
}

/// A key and the request for a certificate: PEM and DER.
pub(super) fn request(names: &[String]) -> Result<(String, Vec<u8>)> {
    let failed = |e: rcgen::Error| Error::BadCertificate(format!("no request can be made: {e}"));
    let key = KeyPair::generate().map_err(failed)?;
    let mut request = CertificateParams::new(names.to_vec()).map_err(failed)?;
    request.distinguished_name = DistinguishedName::new();
    let request = request.serialize_request(&key).map_err(failed)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_only_read_with_its_own_key() {
        let pem = |names: &[&str]| {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let chain = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            (chain.pem(), key.serialize_pem())
        };
        let (chain, key) = pem(&["Photos.example.org", "192.0.2.1"]);
        let read = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.names, ["photos.example.org", "192.0.2.1"]);
        assert!(read.covers(&["192.0.2.1".to_owned()]) && !read.covers(&["example.org".to_owned()]));
        let (_, other) = pem(&["photos.example.org"]);
        for (chain, key) in [(&chain, &other), (&key, &key), (&String::new(), &key), (&chain, &chain)] {
            let refused = Certificate::from_pem(chain.as_bytes(), key.as_bytes());
            assert!(matches!(refused, Err(Error::BadCertificate(_))));
        }
    }

    #[test]
    fn makeshift_certificates_and_those_for_challenges_can_be_served() {
        let made = Certificate::makeshift(&["a.example.org".to_owned(), "::1".to_owned()]).unwrap();
        assert!(made.is_makeshift && made.covers(&["::1".to_owned()]));
        let pem = challenge("a.example.org", &[7; 32]).unwrap();
        assert_eq!(challenge_from_pem(&pem).unwrap().cert.len(), 1);
    }
}
