//! The API's documentation as one plain page: what can be asked, and with what. Made once, from the OpenAPI document.

use serde_json::Value;

/// The page's style; inline styles are not allowed anywhere in the appliance.
pub(super) const STYLE: &str = ":root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}\
body{max-width:64rem;margin:0 auto;padding:1.5rem}h2{margin:2.5rem 0 .5rem;text-transform:capitalize}\
section{border-top:1px solid light-dark(#dadada,#343434);padding:.75rem 0}h3{font:600 1rem/1.4 ui-monospace,monospace;\
margin:0;overflow-wrap:anywhere}h3 b{display:inline-block;min-width:4.5rem;color:light-dark(#b32d14,#ff7a5c)}\
p,ul{margin:.25rem 0}code{font-family:ui-monospace,monospace;font-size:.9em}\
pre{overflow:auto;padding:1rem;background:light-dark(#ececec,#262626);border-radius:8px}";

/// Renders the OpenAPI document (JSON) as HTML.
pub(super) fn page(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Safelight API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"docs.css\"></head>\
         <body><h1>Safelight API</h1><p>The same as a document for programs: <a href=\"openapi.json\">openapi.json</a>. \
         Failures are problem documents (RFC 9457).</p>",
    );
    let mut tags: Vec<(&str, Vec<String>)> = Vec::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let entry = section(path, method, operation);
            match tags.iter_mut().find(|(name, _)| *name == tag) {
                Some((_, entries)) => entries.push(entry),
                None => tags.push((tag, vec![entry])),
            }
        }
    }
    for (tag, entries) in tags {
        html.push_str(&format!("<h2>{}</h2>{}", escape(tag), entries.concat()));
    }
    html.push_str("<h2>schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        html.push_str(&format!(
            "<section><details><summary><code>{}</code></summary><pre>{}</pre></details></section>",
            escape(name),
            escape(&text)
        ));
    }
    html.push_str("</body></html>");
    html
}

fn section(path: &str, method: &str, operation: &Value) -> String {
    let text = |key: &str| escape(operation[key].as_str().unwrap_or_default());
    let mut html = format!(
        "<section><h3><b>{}</b> {}</h3><p>{}</p>",
        escape(&method.to_uppercase()),
        escape(path),
        text("summary")
    );
    if !text("description").is_empty() {
        html.push_str(&format!("<p>{}</p>", text("description")));
    }
    let mut rows = String::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        rows.push_str(&format!(
            "<li><code>{}</code> {}</li>",
            escape(parameter["name"].as_str().unwrap_or_default()),
            escape(parameter["description"].as_str().unwrap_or_default())
        ));
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        rows.push_str(&format!(
            "<li>{} {}</li>",
            escape(status),
            escape(response["description"].as_str().unwrap_or_default())
        ));
    }
    html.push_str(&format!("<ul>{rows}</ul></section>"));
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_stands_on_the_page_and_nothing_is_markup() {
        let html = page(
            r#"{"paths":{"/a":{"get":{"tags":["x"],"summary":"Lists <b>","responses":{"200":{"description":"ok"}}}}}}"#,
        );
        assert!(html.contains("<b>GET</b> /a"));
        assert!(html.contains("Lists &lt;b&gt;"));
    }
}
