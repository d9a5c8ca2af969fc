//! What a file is, by the end of its name.

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// For `Content-Type`.
    pub(super) mime: &'static str,
    /// Whether gzip makes it smaller.
    pub(super) shrinks: bool,
}

const fn text(mime: &'static str) -> Kind {
    Kind {
        mime,
        shrinks: true,
    }
}

const fn packed(mime: &'static str) -> Kind {
    Kind {
        mime,
        shrinks: false,
    }
}

/// JSON, which `bundles.json` is too.
pub(super) const JSON: Kind = text("application/json");

impl Kind {
    /// The kind of a file of this name. Browsers run modules and compile wasm only under the right one.
    pub(super) fn of(name: &str) -> Self {
        match name.rsplit_once('.').map_or("", |(_, end)| end) {
            "html" => text("text/html; charset=utf-8"),
            "css" => text("text/css; charset=utf-8"),
            "js" | "mjs" => text("text/javascript; charset=utf-8"),
            "wasm" => text("application/wasm"),
            "svg" => text("image/svg+xml"),
            "json" | "map" => JSON,
            "webmanifest" => text("application/manifest+json"),
            "csv" => text("text/csv; charset=utf-8"),
            "tsv" | "tab" => text("text/tab-separated-values; charset=utf-8"),
            "jsonl" | "ndjson" => text("application/x-ndjson"),
            "txt" | "md" | "toml" => text("text/plain; charset=utf-8"),
            "png" => packed("image/png"),
            "ico" => packed("image/vnd.microsoft.icon"),
            "woff2" => packed("font/woff2"),
            _ => packed("application/octet-stream"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_the_kinds_that_they_insist_on() {
        for (name, mime) in [
            ("worker.wasm", "application/wasm"),
            ("a.b.js", "text/javascript; charset=utf-8"),
            ("site.webmanifest", "application/manifest+json"),
            ("s.post.safetensors", "application/octet-stream"),
            ("rows.csv", "text/csv; charset=utf-8"),
            ("README", "application/octet-stream"),
        ] {
            assert_eq!(Kind::of(name).mime, mime, "{name}");
        }
        assert!(!Kind::of("s.post.safetensors").shrinks);
    }
}
