//! Letters from templates: `{{name}}` is replaced, in HTML after escaping, so that nothing that somebody typed can be markup.

/// A message without its addresses: plain text, and the same as HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// A whole HTML document.
    pub html: String,
}

/// The letters that Safelight writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// What `safelight mail test` sends: `instance`, `server`.
    Test,
    /// Something is wrong: `what`, `advice`, `since`.
    Alert,
    /// It is over: `what`, `since`, `until`.
    Over,
}

/// The frame around every letter as HTML.
const PAGE: &str = include_str!("../../assets/mail/page.html");

impl Template {
    const fn sources(self) -> (&'static str, &'static str) {
        match self {
            Self::Test => {
                (include_str!("../../assets/mail/test.txt"), include_str!("../../assets/mail/test.html"))
            }
            Self::Alert => {
                (include_str!("../../assets/mail/alert.txt"), include_str!("../../assets/mail/alert.html"))
            }
            Self::Over => {
                (include_str!("../../assets/mail/over.txt"), include_str!("../../assets/mail/over.html"))
            }
        }
    }

    /// Writes a letter. `instance` is who it comes from, as people know it.
    pub fn write(self, subject: &str, instance: &str, values: &[(&str, &str)]) -> Letter {
        let (text, html) = self.sources();
        let subject: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let footer = format!("Sent by Safelight at {instance}.");
        let mut values = values.to_vec();
        values.push(("instance", instance));
        let body = fill(html, &values, escape);
        let page = fill(PAGE, &[("subject", &subject), ("footer", &footer)], escape);
        let text = format!("{}\n-- \n{footer}\n", fill(text, &values, str::to_owned));
        Letter { subject, text, html: page.replacen("{{{body}}}", &body, 1) }
    }
}

/// Puts values into the places of a template. A place without a value stays empty; values are not looked at again, so that
/// none of them can have places of its own.
fn fill(template: &str, values: &[(&str, &str)], dress: impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        // Three braces are markup that was escaped before.
        if let Some((name, behind)) = after.strip_prefix('{').and_then(|after| after.split_once("}}}")) {
            filled.push_str(&format!("{{{{{{{name}}}}}}}"));
            rest = behind;
            continue;
        }
        let Some((name, behind)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let value = values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        filled.push_str(&dress(value));
        rest = behind;
    }
    filled + rest
}

/// Makes text harmless in HTML, between tags and in attributes with quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_typed_is_never_markup() {
        let values = [("what", "<b>&\"'{{advice}}"), ("advice", "do {{{body}}}"), ("since", "then")];
        let letter = Template::Alert.write("Disk\r\nBcc: x@y", "photos.example.org", &values);
        assert_eq!(letter.subject, "Disk  Bcc: x@y");
        assert!(letter.text.starts_with("<b>&\"'{{advice}}\n"), "{}", letter.text);
        assert!(letter.html.contains("&lt;b&gt;&amp;&quot;&#39;{{advice}}"), "{}", letter.html);
        assert!(letter.html.contains("do {{{body}}}") && letter.html.matches("<h1").count() == 1);
        assert!(letter.html.contains("Sent by Safelight at photos.example.org."));
    }

    #[test]
    fn no_place_of_a_letter_is_left_open() {
        for (template, names) in [
            (Template::Test, &["server"][..]),
            (Template::Alert, &["what", "advice", "since"]),
            (Template::Over, &["what", "since", "until"]),
        ] {
            let (text, html) = template.sources();
            for source in [text, html] {
                let places = source.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
                for (name, _) in places {
                    assert!(name == "instance" || names.contains(&name), "{template:?}: {name}");
                }
            }
        }
    }
}
