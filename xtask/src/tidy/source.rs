//! Just enough of Rust's lexical structure to tell code from comments, strings and tests.

use std::ops::Range;

/// The text with comments, string and character literals blanked out; lines stay where they are.
pub(super) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let length = literal(&chars, at).unwrap_or(0);
        if length == 0 {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        out.extend(
            chars[at..at + length]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
        at += length;
    }
    out
}

/// The length of the comment or literal that starts here.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    match *rest.first()? {
        '/' if rest.get(1) == Some(&'/') => {
            Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()))
        }
        '/' if rest.get(1) == Some(&'*') => Some(block_comment(rest)),
        '"' => Some(quoted(rest, '"')),
        'r' if !part_of_a_name(chars, at) => raw_string(rest),
        '\'' => character(rest),
        _ => None,
    }
}

fn part_of_a_name(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_')
}

/// Block comments nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let open = 2 + hashes;
    let end = (open..rest.len()).find(|at| {
        rest[*at] == '"'
            && rest[*at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
    });
    Some(end.map_or(rest.len(), |end| end + 1 + hashes))
}

/// A character literal; a lifetime is none.
fn character(rest: &[char]) -> Option<usize> {
    if rest.get(1) == Some(&'\\') {
        return Some(quoted(rest, '\''));
    }
    (rest.get(2) == Some(&'\'')).then_some(3)
}

/// [`code`] with every `#[cfg(test)]` module blanked out.
pub(super) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find("#[cfg(test)]") {
        let start = from + found;
        let Some(end) = item_end(&out, start) else {
            break;
        };
        let blank: String = out[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..end, &blank);
        from = start;
    }
    out
}

/// Where the item that starts at `start` ends: after its braces, or at its semicolon.
fn item_end(code: &str, start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(start + at + 1),
            '}' => depth -= 1,
            ';' if depth == 0 => return Some(start + at + 1),
            _ => {}
        }
    }
    None
}

/// The functions with a body: name and line range, counted from 1, end excluded.
pub(super) fn functions(code: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_a_word =
            at == 0 || !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String = code[at + 3..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if !starts_a_word || name.is_empty() {
            continue;
        }
        if let Some(end) = item_end(code, at).filter(|end| code[..*end].ends_with('}')) {
            found.push((name, line_of(code, at)..line_of(code, end) + 1));
        }
    }
    found
}

/// The line of a byte offset, counted from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The offsets at which `word` stands with no name character before or after it.
pub(super) fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            !code[..*at].ends_with(name) && !code[at + word.len()..].starts_with(name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a // std::fs\n/* std::fs /* nested */ std::fs */ b \"std::fs \\\" std::fs\" \
                    r#\"std\"::fs\"# 'x' '\\'' c";
        let code = code(text);
        assert!(!code.contains("fs") && code.lines().count() == 2, "{code}");
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c"]);
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn test_modules_are_blanked_and_what_follows_is_not() {
        let text = "use a;\n#[cfg(test)]\nmod tests { fn f() { g(); } }\nfn kept() {}\n";
        let rest = without_tests(text);
        assert!(!rest.contains("g()") && rest.contains("fn kept() {}") && rest.contains("use a;"));
        assert_eq!(rest.lines().count(), text.lines().count());
    }

    #[test]
    fn functions_are_measured_and_declarations_left_out() {
        let text =
            "trait T {\n    fn declared(&self);\n    fn short(&self) {\n        f()\n    }\n}\n";
        assert_eq!(functions(text), [("short".to_owned(), 3..6)]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_word("rand rand_chacha rand", "rand").count(), 2);
    }
}
