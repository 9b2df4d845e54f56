//! How a download is called.

use axum::http::HeaderValue;

/// `Content-Disposition` with a name that old programs understand and the true one beside it (RFC 6266, RFC 8187).
pub fn content_disposition(attachment: bool, name: &str) -> HeaderValue {
    let kind = if attachment { "attachment" } else { "inline" };
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let mut text = format!("{kind}; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::try_from(text).expect("everything but plain ASCII was replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_header_whatever_is_in_them() {
        for (name, expected) in [
            ("photo.jpg", "inline; filename=\"photo.jpg\""),
            ("a b.jpg", "inline; filename=\"a b.jpg\""),
            ("Café.jpg", "inline; filename=\"Caf_.jpg\"; filename*=UTF-8''Caf%C3%A9.jpg"),
            ("a\"b;c.jpg", "inline; filename=\"a_b;c.jpg\"; filename*=UTF-8''a%22b%3Bc.jpg"),
            ("50%.jpg", "inline; filename=\"50_.jpg\"; filename*=UTF-8''50%25.jpg"),
            ("a\r\nb", "inline; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ] {
            assert_eq!(content_disposition(false, name).to_str().unwrap(), expected);
        }
        assert!(content_disposition(true, "x").to_str().unwrap().starts_with("attachment"));
    }
}
