//! What the tokenizers crate takes from a `tokenizer.json` and then panics at, refused before it sees it.
//! Found by `cargo xtask fuzz tokenizer`.

use serde_json::Value;

/// What is wrong with a file's parts.
pub(super) fn check(json: &Value) -> Result<(), String> {
    if has_charsmap(&json["normalizer"]) {
        return Err(
            "its normalizer is a SentencePiece charsmap, which no family here uses".to_owned(),
        );
    }
    template(&json["post_processor"])?;
    let model = &json["model"];
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    let vocab = model["vocab"].as_object();
    let tokens = vocab.into_iter().flatten().map(|(token, _)| token.as_str());
    merges(
        tokens,
        model["merges"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(pair),
        prefix,
    )
}

/// Whether a normalizer, or one in its sequence, is a precompiled charsmap: any broken one is a panic.
fn has_charsmap(normalizer: &Value) -> bool {
    let inner = normalizer["normalizers"].as_array();
    normalizer.get("precompiled_charsmap").is_some()
        || normalizer["type"] == "Precompiled"
        || inner.is_some_and(|list| list.iter().any(has_charsmap))
}

/// A template that names a token must say which one that is.
fn template(processor: &Value) -> Result<(), String> {
    let inner = processor["processors"].as_array();
    inner.into_iter().flatten().try_for_each(template)?;
    let pieces = ["single", "pair"].map(|field| processor[field].as_array());
    for piece in pieces.into_iter().flatten().flatten() {
        let name = piece["SpecialToken"]["id"].as_str();
        if let Some(name) = name.filter(|name| processor["special_tokens"].get(name).is_none()) {
            return Err(format!(
                "its template names `{}`, which it doesn't explain",
                name.escape_debug()
            ));
        }
    }
    Ok(())
}

/// A merge as a pair or, in older files, as a text with a blank in it.
fn pair(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' '),
        _ => Some((merge[0].as_str()?, merge[1].as_str()?)),
    }
}

/// No merge may give more than the longest token, or lack the prefix that is taken off it.
pub(super) fn merges<'a>(
    tokens: impl Iterator<Item = &'a str>,
    mut merges: impl Iterator<Item = (&'a str, &'a str)>,
    prefix: &str,
) -> Result<(), String> {
    let longest = tokens.map(str::len).max().unwrap_or(0);
    let bad = merges.find(|(left, right)| match right.strip_prefix(prefix) {
        Some(right) => left.len() + right.len() > longest,
        None => true,
    });
    match bad {
        None => Ok(()),
        Some((left, right)) => Err(format!(
            "the merge of `{}` and `{}` makes no token",
            left.escape_debug(),
            right.escape_debug()
        )),
    }
}
