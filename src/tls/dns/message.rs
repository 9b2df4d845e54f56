//! Messages of DNS (RFC 1035), as much of them as it takes to ask for records, to change one (RFC 2136) and to sign that
//! (RFC 8945). Knows no sockets.

use std::net::IpAddr;

use crate::keys::hmac_sha256;

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
pub(super) const SOA: u16 = 6;
pub(super) const TXT: u16 = 16;
pub(super) const AAAA: u16 = 28;
const TSIG: u16 = 250;

const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const CLASS_ANY: u16 = 255;

const ALGORITHM: &str = "hmac-sha256";

/// How far two clocks may differ, in seconds, as RFC 8945 recommends.
const FUDGE: u16 = 300;

/// How long a record of ours may be remembered, in seconds.
const RECORD_LIFE: u32 = 60;

/// How many records are read of one message; no answer that we ask for has more.
const RECORDS_MAX: usize = 400;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The number of the question.
    pub id: u16,
    /// How it went; 0 is good.
    pub code: u8,
    /// Whether the rest did not fit.
    pub is_cut: bool,
    /// All records, in the order of the message.
    pub records: Vec<DnsRecord>,
    /// Where the signature begins, if there is one.
    signature_at: Option<usize>,
}

/// One record of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Whose it is: in lower case, without the last dot.
    pub name: String,
    /// Its type, by number.
    pub kind: u16,
    /// What it says.
    pub data: DnsData,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub enum DnsData {
    /// An address.
    Address(IpAddr),
    /// The name of a server.
    Name(String),
    /// The text, its pieces put together.
    Text(Vec<u8>),
    /// A signature.
    Signature(Box<Signature>),
    /// Something that is of no use here.
    Other,
}

/// A signature of a message (TSIG).
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    algorithm: String,
    signed_at: u64,
    fudge: u16,
    code: Vec<u8>,
    original_id: u16,
    error: u16,
    other: Vec<u8>,
}

/// The secret that we share with a server.
#[derive(Clone)]
pub(super) struct SharedKey {
    pub(super) name: String,
    pub(super) secret: Vec<u8>,
}

/// Asks for the records of a name.
pub(super) fn question(id: u16, name: &str, kind: u16, recursive: bool) -> Option<Vec<u8>> {
    let mut message = header(id, if recursive { 0x0100 } else { 0 }, [1, 0, 0, 0]);
    put_name(&mut message, name)?;
    put(&mut message, &[kind, CLASS_IN]);
    Some(message)
}

/// Adds a TXT record to a zone, or takes exactly that one away and leaves others of its name.
pub(super) fn update(id: u16, zone: &str, name: &str, value: &str, add: bool) -> Option<Vec<u8>> {
    let mut message = header(id, 0x2800, [1, 0, 1, 0]);
    put_name(&mut message, zone)?;
    put(&mut message, &[SOA, CLASS_IN]);
    put_name(&mut message, name)?;
    put(&mut message, &[TXT, if add { CLASS_IN } else { CLASS_NONE }]);
    message.extend_from_slice(&if add { RECORD_LIFE } else { 0 }.to_be_bytes());
    let length = u8::try_from(value.len()).ok()?;
    put(&mut message, &[u16::from(length) + 1]);
    message.push(length);
    message.extend_from_slice(value.as_bytes());
    Some(message)
}

/// Signs a message at a time in seconds, and returns the code that its answer's signature rests on.
pub(super) fn sign(message: &mut Vec<u8>, key: &SharedKey, now: u64) -> Option<[u8; 32]> {
    let id = u16::from_be_bytes([message[0], message[1]]);
    let signature = Signature {
        algorithm: ALGORITHM.to_owned(),
        signed_at: now,
        fudge: FUDGE,
        code: Vec::new(),
        original_id: id,
        error: 0,
        other: Vec::new(),
    };
    let code = hmac_sha256(&key.secret, &[message.as_slice(), &variables(key, &signature)?].concat());
    put_name(message, &key.name)?;
    put(message, &[TSIG, CLASS_ANY, 0, 0]);
    let mut data = Vec::new();
    put_name(&mut data, ALGORITHM)?;
    data.extend_from_slice(&now.to_be_bytes()[2..]);
    put(&mut data, &[FUDGE, 32]);
    data.extend_from_slice(&code);
    put(&mut data, &[id, 0, 0]);
    put(message, &[u16::try_from(data.len()).ok()?]);
    message.extend_from_slice(&data);
    let additional = u16::from_be_bytes([message[10], message[11]]) + 1;
    message[10..12].copy_from_slice(&additional.to_be_bytes());
    Some(code)
}

/// What a server that refused a signature has to say about it.
pub(super) fn signature_fault(answer: &DnsAnswer) -> Option<&'static str> {
    match answer.signature()?.error {
        0 => None,
        16 => Some("the secret tls.acme.dns.tsig_secret is not the one that it has for the key"),
        17 => Some("it does not know the key tls.acme.dns.tsig_name"),
        18 => Some("its clock and this machine's differ by more than five minutes"),
        _ => Some("it does not accept the signature"),
    }
}

/// Whether an answer was signed with the key, as the answer to the message that this code belongs to.
pub(super) fn is_signed(
    bytes: &[u8],
    answer: &DnsAnswer,
    key: &SharedKey,
    asked: &[u8; 32],
    now: u64,
) -> bool {
    let (Some(signature), Some(at)) = (answer.signature(), answer.signature_at) else { return false };
    let by_us = answer
        .records
        .last()
        .is_some_and(|record| record.name.eq_ignore_ascii_case(key.name.trim_end_matches('.')));
    let in_time = signature.signed_at.abs_diff(now) <= u64::from(FUDGE);
    let Some(variables) = variables(key, signature) else { return false };
    if !by_us || !in_time || signature.algorithm != ALGORITHM || at < 12 {
        return false;
    }
    // The message as it was before it was signed.
    let mut unsigned = bytes[..at].to_vec();
    unsigned[..2].copy_from_slice(&signature.original_id.to_be_bytes());
    let additional = u16::from_be_bytes([bytes[10], bytes[11]]).saturating_sub(1);
    unsigned[10..12].copy_from_slice(&additional.to_be_bytes());
    let code = hmac_sha256(&key.secret, &[&[0, 32], asked.as_slice(), &unsigned, &variables].concat());
    // Nobody can time what comes once over a network and is thrown away.
    signature.code == code
}

/// What a signature covers beside the message.
fn variables(key: &SharedKey, signature: &Signature) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    put_name(&mut bytes, &key.name)?;
    put(&mut bytes, &[CLASS_ANY, 0, 0]);
    put_name(&mut bytes, ALGORITHM)?;
    bytes.extend_from_slice(&signature.signed_at.to_be_bytes()[2..]);
    put(&mut bytes, &[signature.fudge, signature.error, u16::try_from(signature.other.len()).ok()?]);
    bytes.extend_from_slice(&signature.other);
    Some(bytes)
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    put(&mut message, &[id, flags]);
    put(&mut message, &counts);
    message
}

fn put(message: &mut Vec<u8>, numbers: &[u16]) {
    message.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

/// Writes a name in lower case; nothing for what is none.
fn put_name(message: &mut Vec<u8>, name: &str) -> Option<()> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    Some(())
}

/// Reads a server's answer; nothing for what is none.
pub fn read_dns_answer(bytes: &[u8]) -> Option<DnsAnswer> {
    let mut reader = Reader { bytes, at: 0 };
    let (id, flags) = (reader.number()?, reader.number()?);
    if flags & 0x8000 == 0 {
        return None;
    }
    let questions = reader.number()?;
    let counts = [reader.number()?, reader.number()?, reader.number()?];
    for _ in 0..questions {
        reader.name()?;
        reader.take(4)?;
    }
    let count: usize = counts.into_iter().map(usize::from).sum();
    let is_cut = flags & 0x0200 != 0;
    if count > RECORDS_MAX {
        return None;
    }
    let mut records = Vec::new();
    let mut signature_at = None;
    for number in 0..count {
        let at = reader.at;
        let record = match reader.record() {
            Some(record) => record,
            // The rest is asked for again in another way.
            None if is_cut => break,
            None => return None,
        };
        if matches!(record.data, DnsData::Signature(_)) {
            // It stands at the end or is none (RFC 8945, 5.1).
            if number + 1 != count {
                return None;
            }
            signature_at = Some(at);
        }
        records.push(record);
    }
    Some(DnsAnswer { id, code: (flags & 15) as u8, is_cut, records, signature_at })
}

impl DnsAnswer {
    fn signature(&self) -> Option<&Signature> {
        match &self.records.last()?.data {
            DnsData::Signature(signature) => Some(signature),
            _ => None,
        }
    }

    /// The owners of records of one type.
    pub(super) fn owners(&self, kind: u16) -> impl Iterator<Item = &str> {
        self.records.iter().filter(move |record| record.kind == kind).map(|record| record.name.as_str())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// A name, which may go on at an earlier place. Each jump leads further back, so there is an end.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let (mut at, mut bound, mut after) = (self.at, self.at, None);
        loop {
            let length = usize::from(*self.bytes.get(at)?);
            match length {
                0 => {
                    self.at = after.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + length)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    for byte in label {
                        match byte.to_ascii_lowercase() {
                            plain @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*') => {
                                name.push(plain.into())
                            }
                            // A dot in a label must not become one between two.
                            other => name.push_str(&format!("\\{other:03}")),
                        }
                    }
                    if name.len() > 1024 {
                        return None;
                    }
                    at += 1 + length;
                }
                192..=255 => {
                    let target = (length & 63) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    after = after.or(Some(at + 2));
                    if target >= bound {
                        return None;
                    }
                    (at, bound) = (target, target);
                }
                _ => return None,
            }
        }
    }

    fn record(&mut self) -> Option<DnsRecord> {
        let name = self.name()?;
        let (kind, _class) = (self.number()?, self.number()?);
        self.take(4)?;
        let length = usize::from(self.number()?);
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len())?;
        let data = match (kind, length) {
            (A, 4) => DnsData::Address(<[u8; 4]>::try_from(self.take(4)?).ok()?.into()),
            (AAAA, 16) => DnsData::Address(<[u8; 16]>::try_from(self.take(16)?).ok()?.into()),
            (NS, _) => DnsData::Name(self.name()?),
            (TXT, _) => {
                let mut text = Vec::new();
                while self.at < end {
                    let length = usize::from(self.take(1)?[0]);
                    text.extend_from_slice(self.take(length)?);
                }
                DnsData::Text(text)
            }
            (TSIG, _) => DnsData::Signature(Box::new(self.signature()?)),
            _ => {
                self.at = end;
                DnsData::Other
            }
        };
        (self.at == end).then_some(DnsRecord { name, kind, data })
    }

    fn signature(&mut self) -> Option<Signature> {
        let algorithm = self.name()?;
        let signed_at = self.take(6)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (fudge, length) = (self.number()?, self.number()?);
        let code = self.take(length.into())?.to_vec();
        let (original_id, error, length) = (self.number()?, self.number()?, self.number()?);
        let other = self.take(length.into())?.to_vec();
        Some(Signature { algorithm, signed_at, fudge, code, original_id, error, other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SharedKey {
        SharedKey { name: "Key.example.org.".to_owned(), secret: b"secret".to_vec() }
    }

    /// An answer to a message, signed as a server does.
    fn answered(asked: &[u8; 32], now: u64) -> Vec<u8> {
        let mut answer = header(7, 0xa800, [0, 0, 0, 0]);
        let plain = answer.clone();
        sign(&mut answer, &key(), now).unwrap();
        let signed = read_dns_answer(&answer).unwrap();
        let variables = variables(&key(), signed.signature().unwrap()).unwrap();
        let code = hmac_sha256(&key().secret, &[&[0, 32], asked.as_slice(), &plain, &variables].concat());
        let at = answer.len() - 6 - 32;
        answer[at..at + 32].copy_from_slice(&code);
        answer
    }

    #[test]
    fn an_answer_counts_when_it_is_signed_for_this_question() {
        let mut message = update(7, "example.org", "_acme-challenge.example.org", "value", true).unwrap();
        let asked = sign(&mut message, &key(), 1_000).unwrap();
        let bytes = answered(&asked, 1_010);
        let answer = read_dns_answer(&bytes).unwrap();
        assert!(is_signed(&bytes, &answer, &key(), &asked, 1_020));
        assert!(!is_signed(&bytes, &answer, &key(), &asked, 2_000), "it is old");
        assert!(!is_signed(&bytes, &answer, &key(), &[0; 32], 1_020), "it is for another question");
        let other = SharedKey { secret: b"other".to_vec(), ..key() };
        assert!(!is_signed(&bytes, &answer, &other, &asked, 1_020));
        let mut changed = bytes.clone();
        changed[3] |= 5;
        let answer = read_dns_answer(&changed).unwrap();
        assert!(answer.code == 5 && !is_signed(&changed, &answer, &key(), &asked, 1_020));
    }

    #[test]
    fn names_that_point_to_themselves_or_forward_are_refused() {
        let with_name = |name: &[u8]| {
            let mut message = header(1, 0x8000, [1, 0, 0, 0]);
            message.extend_from_slice(name);
            message.extend_from_slice(&[0; 4]);
            read_dns_answer(&message).is_some()
        };
        assert!(with_name(&[1, b'a', 0]) && with_name(&[0]));
        for bad in
            [&[0xc0, 12][..], &[0xc0, 14, 0], &[1, b'a', 0xc0, 12], &[64, 0], &[0xc0, 0xff], &[5, b'a']]
        {
            assert!(!with_name(bad), "{bad:?}");
        }
        assert!(
            put_name(&mut Vec::new(), "a..b").is_none()
                && put_name(&mut Vec::new(), &"a".repeat(64)).is_none()
        );
    }

    #[test]
    fn records_are_read_with_names_that_are_cut_short() {
        let mut message = header(9, 0x8180, [1, 3, 0, 0]);
        put_name(&mut message, "Example.org").unwrap();
        put(&mut message, &[TXT, CLASS_IN]);
        for (kind, data) in
            [(TXT, &[1, b'a', 2, b'b', b'c'][..]), (NS, &[2, b'n', b's', 0xc0, 12]), (A, &[192, 0, 2, 1])]
        {
            put(&mut message, &[0xc00c, kind, CLASS_IN, 0, 60, data.len() as u16]);
            message.extend_from_slice(data);
        }
        let answer = read_dns_answer(&message).unwrap();
        let said: Vec<&DnsData> = answer.records.iter().map(|record| &record.data).collect();
        assert_eq!(*said[0], DnsData::Text(b"abc".to_vec()));
        assert_eq!(*said[1], DnsData::Name("ns.example.org".to_owned()));
        assert_eq!(*said[2], DnsData::Address("192.0.2.1".parse().unwrap()));
        assert_eq!(answer.owners(NS).collect::<Vec<_>>(), ["example.org"]);
        for end in 0..message.len() {
            assert!(read_dns_answer(&message[..end]).is_none(), "{end}");
        }
    }
}
