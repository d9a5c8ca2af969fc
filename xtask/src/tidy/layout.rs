//! Files that must be where tools look for them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::Finding;
use super::source::line_of;

/// Where people read.
const PAGES: [&str; 3] = [".", "docs", "tasks"];

/// Every relative link in the documentation leads to a file.
///
/// # Errors
/// When a page cannot be read.
pub(super) fn links(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for folder in PAGES {
        let folder = root.join(folder);
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "md") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                findings.extend(dead_links(&path, &text, |link| folder.join(link).exists()));
            }
        }
    }
    Ok(findings)
}

fn dead_links(page: &Path, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let targets = text.match_indices("](").filter_map(|(at, _)| {
        let target = text[at + 2..].split([')', '#', ' ']).next()?;
        Some((at, target))
    });
    let local = targets.filter(|(_, target)| !target.is_empty() && !target.contains("://"));
    local
        .filter(|(_, target)| !exists(target))
        .map(|(at, target)| Finding {
            path: page.display().to_string(),
            line: line_of(text, at),
            message: format!(
                "links to {target}, which isn't there: correct the link or write the page"
            ),
        })
        .collect()
}

/// Trunk reads only `Trunk.toml`; the settings are in `Trunkfile`.
///
/// # Errors
/// When the one is no link to the other.
pub(super) fn trunk_link() -> Result<()> {
    let target = std::fs::read_link("Trunk.toml").ok();
    ensure!(
        target.as_deref() == Some(Path::new("Trunkfile")),
        "Trunk.toml is no link to Trunkfile: trunk refuses a file without extension, so the link must be \
         committed; ln -sf Trunkfile Trunk.toml"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text = "[a](there.md#part) [b](https://example.org)\n[c](gone.md) [d](#here)\n";
        let found = dead_links(Path::new("x.md"), text, |link| link == "there.md");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
        assert!(found[0].message.contains("gone.md"));
    }
}
