//! Takes out of a text what says something about a person.

use std::net::IpAddr;

/// A text without e-mail addresses, network addresses and paths; each leaves its kind behind. Errors of the system and of
/// libraries bring such things along.
pub(super) fn clean(text: &str) -> String {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | '<' | '>' | ',' | ';' | '`' | '=')
    };
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(ends).unwrap_or(rest.len());
        let (word, next) = rest.split_at(end);
        cleaned.push_str(kind(word).unwrap_or(word));
        let sign = next.chars().next().map_or(0, char::len_utf8);
        cleaned.push_str(&next[..sign]);
        rest = &next[sign..];
    }
    cleaned
}

fn kind(word: &str) -> Option<&'static str> {
    let bare = word.trim_end_matches(['.', ':', '!', '?']);
    let local = bare.trim_start_matches('[').trim_end_matches(']');
    let host = match bare.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => local,
    };
    if [bare, local, host].iter().any(|text| text.parse::<IpAddr>().is_ok()) {
        return Some("[address]");
    }
    if bare.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Some("[e-mail]");
    }
    // Routes have braces in them; addresses on the web are those of services.
    let is_path =
        (bare.starts_with('/') && bare.len() > 1 && !bare.starts_with("/api") && !bare.contains('{'))
            || bare.starts_with("./")
            || bare.starts_with("file:");
    is_path.then_some("[path]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths_stay_here() {
        for (text, expected) in [
            ("plain words, 12:30", "plain words, 12:30"),
            ("could not open /home/olive/Fotos/IMG_1.jpg: denied", "could not open [path] denied"),
            ("from 192.168.1.7:443 and [2001:db8::1]:80", "from [address] and [address]"),
            ("::1 said no", "[address] said no"),
            ("mail to olive@example.org.", "mail to [e-mail]"),
            ("path=\"/var/lib/x\" user=<a@b.c>", "path=\"[path]\" user=<[e-mail]>"),
            (
                "/api/v1/media/{id} and https://api.replicate.com",
                "/api/v1/media/{id} and https://api.replicate.com",
            ),
            ("file:///etc/passwd ./a.jpg", "[path] [path]"),
            ("ünï/cödé é", "ünï/cödé é"),
            ("", ""),
        ] {
            assert_eq!(clean(text), expected);
        }
    }
}
