//! Templates such as `{text}It was {mask}.`: literal text, fields of the row, at most one mask.

use std::ops::Range;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error(
        "template: the brace at byte {at} has no partner; write {{{{ or }}}} for a brace in the text"
    )]
    Brace {
        /// Byte offset of the brace in the template.
        at: usize,
    },
    /// `{}`.
    #[error("template: the braces at byte {at} are empty; name a field, as in {{text}}")]
    EmptyField {
        /// Byte offset of the opening brace.
        at: usize,
    },
    /// No field at all: every row would look the same to the model.
    #[error("template: it names no field; put one in braces, as in {{text}}It was")]
    NoField,
    /// More fields than anybody writes.
    #[error(
        "template: it names more than {MOST_FIELDS} fields; name those that the answer depends on"
    )]
    TooManyFields,
    /// Two places to answer at.
    #[error("template: it has more than one {{mask}}; a row has one answer")]
    TwoMasks,
    /// A decoder answers at the end, so it would never see this field.
    #[error(
        "template: field `{field}` comes after {{mask}}, where a causal model cannot see it; move it in front"
    )]
    FieldAfterMask {
        /// The field's name.
        field: String,
    },
}

/// Each name is looked for among those before it.
const MOST_FIELDS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(usize),
    Mask,
}

/// A parsed template. `{mask}` marks the answer; without it the answer follows the last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    fields: Vec<String>,
}

/// One row put into a template, with the places that truncation and the head need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// What the tokenizer reads.
    pub text: String,
    /// Byte ranges in `text` that came from the row, in order.
    pub fields: Vec<Range<usize>>,
    /// Byte range of the mask token, for masked models.
    pub mask: Option<Range<usize>>,
}

impl Template {
    /// Reads `{field}`, `{mask}`, and `{{` and `}}` for literal braces.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut template = Self {
            pieces: Vec::new(),
            fields: Vec::new(),
        };
        let mut literal = String::new();
        let mut rest = source;
        while let Some(brace) = rest.find(['{', '}']) {
            let at = source.len() - rest.len() + brace;
            literal.push_str(&rest[..brace]);
            let tail = &rest[brace..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                literal.push_str(&tail[..1]);
                rest = &tail[2..];
                continue;
            }
            let name = braced(tail, at)?;
            template.push_literal(std::mem::take(&mut literal));
            template.push_name(name.trim())?;
            rest = &tail[name.len() + 2..];
        }
        literal.push_str(rest);
        template.push_literal(literal);
        if template.fields.is_empty() {
            return Err(TemplateError::NoField);
        }
        Ok(template)
    }

    /// Names of the fields, each once, in order of first use.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// For a causal model: everything before the mask, without trailing space, because label
    /// words bring their own leading space. `values` holds one text for each of [`Self::fields`].
    ///
    /// # Errors
    /// [`TemplateError::FieldAfterMask`] where a part of the row would never be seen.
    pub fn causal<S: AsRef<str>>(&self, values: &[S]) -> Result<Rendered, TemplateError> {
        let mask = self.pieces.iter().position(|p| *p == Piece::Mask);
        let (seen, unseen) = self.pieces.split_at(mask.unwrap_or(self.pieces.len()));
        for piece in unseen {
            if let Piece::Field(index) = piece {
                let field = self.fields[*index].clone();
                return Err(TemplateError::FieldAfterMask { field });
            }
        }
        let mut rendered = render(seen, values, "");
        if let Some(Piece::Literal(last)) = seen.last() {
            let trailing = last.len() - last.trim_end().len();
            rendered.text.truncate(rendered.text.len() - trailing);
        }
        Ok(rendered)
    }

    /// For a masked model: the whole template; where it names no mask, ` {mask}.` ends it, as in
    /// the paper's code. `mask` is the tokenizer's mask token.
    pub fn masked<S: AsRef<str>>(&self, values: &[S], mask: &str) -> Rendered {
        if self.pieces.contains(&Piece::Mask) {
            return render(&self.pieces, values, mask);
        }
        let mut pieces = self.pieces.clone();
        pieces.push(Piece::Literal(" ".into()));
        pieces.push(Piece::Mask);
        pieces.push(Piece::Literal(".".into()));
        render(&pieces, values, mask)
    }

    fn push_literal(&mut self, literal: String) {
        if !literal.is_empty() {
            self.pieces.push(Piece::Literal(literal));
        }
    }

    fn push_name(&mut self, name: &str) -> Result<(), TemplateError> {
        if name == "mask" {
            if self.pieces.contains(&Piece::Mask) {
                return Err(TemplateError::TwoMasks);
            }
            self.pieces.push(Piece::Mask);
            return Ok(());
        }
        let known = self.fields.iter().position(|field| field == name);
        if known.is_none() && self.fields.len() == MOST_FIELDS {
            return Err(TemplateError::TooManyFields);
        }
        let index = known.unwrap_or_else(|| {
            self.fields.push(name.to_owned());
            self.fields.len() - 1
        });
        self.pieces.push(Piece::Field(index));
        Ok(())
    }
}

/// The name between the brace that starts `tail` and its partner.
fn braced(tail: &str, at: usize) -> Result<&str, TemplateError> {
    let inner = tail.strip_prefix('{').ok_or(TemplateError::Brace { at })?;
    let end = inner.find(['{', '}']).unwrap_or(inner.len());
    if !inner[end..].starts_with('}') {
        return Err(TemplateError::Brace { at });
    }
    if inner[..end].trim().is_empty() {
        return Err(TemplateError::EmptyField { at });
    }
    Ok(&inner[..end])
}

fn render<S: AsRef<str>>(pieces: &[Piece], values: &[S], mask: &str) -> Rendered {
    let mut out = Rendered::default();
    for piece in pieces {
        let start = out.text.len();
        match piece {
            Piece::Literal(text) => out.text.push_str(text),
            Piece::Field(index) => {
                out.text.push_str(values[*index].as_ref());
                out.fields.push(start..out.text.len());
            }
            Piece::Mask => {
                out.text.push_str(mask);
                out.mask = Some(start..out.text.len());
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_template_serves_both_heads() {
        let template = Template::parse("{text}It was {mask}.").unwrap();
        assert_eq!(template.causal(&["Fine. "]).unwrap().text, "Fine. It was");
        let masked = template.masked(&["Fine. "], "<mask>");
        assert_eq!(masked.text, "Fine. It was <mask>.");
        assert_eq!(&masked.text[masked.mask.unwrap()], "<mask>");
    }

    #[test]
    fn a_mask_is_appended_where_none_is_named() {
        let template = Template::parse("{text}It was").unwrap();
        assert_eq!(template.masked(&["x"], "[MASK]").text, "xIt was [MASK].");
    }

    #[test]
    fn fields_keep_their_ranges_and_braces_can_be_escaped() {
        let template = Template::parse("{{T}}:{title}E:{excerpt} {title}").unwrap();
        assert_eq!(template.fields(), ["title", "excerpt"]);
        let rendered = template.causal(&["é", "b"]).unwrap();
        assert_eq!(rendered.text, "{T}:éE:b é");
        let parts: Vec<_> = rendered
            .fields
            .iter()
            .map(|r| &rendered.text[r.clone()])
            .collect();
        assert_eq!(parts, ["é", "b", "é"]);
    }

    #[test]
    fn only_the_templates_own_trailing_space_is_trimmed() {
        let template = Template::parse("Q: {text}").unwrap();
        assert_eq!(template.causal(&["a "]).unwrap().text, "Q: a ");
    }

    #[test]
    fn defects_are_named() {
        let parse = |s| Template::parse(s).unwrap_err();
        assert_eq!(parse("It was"), TemplateError::NoField);
        assert_eq!(parse("a {text"), TemplateError::Brace { at: 2 });
        assert_eq!(parse("{text} }"), TemplateError::Brace { at: 7 });
        assert_eq!(parse("{ }"), TemplateError::EmptyField { at: 0 });
        assert_eq!(parse("{text}{mask}{mask}"), TemplateError::TwoMasks);
        let fields = |count: usize| (0..count).map(|field| format!("{{f{field}}}"));
        let most = fields(64).collect::<String>();
        assert_eq!(Template::parse(&most.repeat(2)).unwrap().fields().len(), 64);
        let more = fields(65).collect::<String>();
        let error = Template::parse(&more).unwrap_err();
        assert_eq!(error, TemplateError::TooManyFields);
        let after = Template::parse("{mask}: {text}").unwrap();
        assert!(matches!(
            after.causal(&["x"]),
            Err(TemplateError::FieldAfterMask { field }) if field == "text"
        ));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_an_error(source in ".*") {
            if let Ok(template) = Template::parse(&source) {
                let values = vec!["v"; template.fields().len()];
                let rendered = template.masked(&values, "<mask>");
                prop_assert!(rendered.fields.iter().all(|r| &rendered.text[r.clone()] == "v"));
            }
        }
    }
}
