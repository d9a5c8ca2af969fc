//! From the address in a request to names of files, and no way out of the folder.

use percent_encoding::percent_decode_str;

/// The path's parts, decoded once; `None` for whatever isn't a plain path.
///
/// `/` has no parts. Refused are empty parts, dotfiles (`.` and `..` among them), and parts that would
/// be more than one, or something else than a name, on any operating system.
pub(super) fn parts(url: &str) -> Option<Vec<String>> {
    let path = url.strip_prefix('/')?.split(['?', '#']).next()?;
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/').map(part).collect()
}

fn part(encoded: &str) -> Option<String> {
    let bytes = percent_decode_str(encoded).collect();
    let name = String::from_utf8(bytes).ok()?;
    is_plain(&name).then_some(name)
}

/// Whether a name is nothing but a name.
pub(super) fn is_plain(name: &str) -> bool {
    let apart = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    !name.is_empty() && !name.starts_with('.') && !name.contains(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_taken_apart_and_decoded_once() {
        let some = |parts: &[&str]| Some(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(parts("/"), some(&[]));
        assert_eq!(parts("/?a=/../b"), some(&[]));
        assert_eq!(parts("/a.js?b"), some(&["a.js"]));
        assert_eq!(parts("/a%20b/%C3%BC.csv"), some(&["a b", "ü.csv"]));
        assert_eq!(parts("/a%2520b"), some(&["a%20b"]));
    }

    #[test]
    fn whatever_leads_elsewhere_is_refused() {
        for url in [
            "",
            "*",
            "a.js",
            "http://127.0.0.1/a.js",
            "//etc/passwd",
            "/a//b",
            "/a/",
            "/./a",
            "/../a",
            "/a/../b",
            "/.git/config",
            "/%2e%2e/a",
            "/..%2fa",
            "/a%2Fb",
            "/%2e/a",
            "/a%5cb",
            "/..\\a",
            "/C:/a",
            "/a%00.js",
            "/%0d%0aa",
            "/%ff",
            "/a\u{7f}",
        ] {
            assert_eq!(parts(url), None, "{url}");
        }
    }
}
