//! The teacher's hidden states of a corpus, computed once and kept in the run folder.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use post_core::distill::{Corpus, TeacherStates, teacher_states};
use post_core::model::Lm;

use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::files;
use crate::models;
use crate::progress::Progress;
use crate::run::RunFolder;
use crate::source::ModelSource;
use crate::term::Terminal;

const STATES: &str = "states.bin";
/// Says of which teacher and corpus the states are.
const OF: &str = "states.sha256";

/// The teacher that the states are of.
pub(crate) struct Of<'a> {
    /// Its file.
    pub(crate) source: &'a ModelSource,
    /// What its weights are kept in.
    pub(crate) dtype: Dtype,
}

impl Of<'_> {
    /// What tells states of this teacher from others.
    fn mark(&self) -> Result<String> {
        let hash = models::hash(self.source)?;
        Ok(match self.dtype {
            Dtype::F32 => hash,
            half => format!("{hash} {}", half.name()),
        })
    }
}

/// The states, those of an interrupted run included, `rows` texts at a time on each device; `teachers` are the
/// teacher, once on each.
///
/// # Errors
/// When the device fails or the disk is full; what was computed is kept.
pub(crate) fn of(
    teachers: &[Lm],
    of: &Of<'_>,
    corpus: &Corpus,
    rows: usize,
    run: &RunFolder,
    term: &Terminal,
) -> Result<TeacherStates> {
    let (path, width) = (run.path(STATES), teachers[0].config().embedding_size);
    let of = format!("{} {}\n", of.mark()?, corpus.fingerprint());
    let rows = rows.max(1);
    let known = files::read_text(&run.path(OF)).is_ok_and(|kept| kept == of);
    let mut file = open(&path)?;
    let kept = if known { file.metadata()?.len() } else { 0 };
    let mut done = corpus.whole_texts(kept as usize / (2 * width));
    file.set_len((corpus.start(done) * width * 2) as u64)?;
    run.write(OF, of.as_bytes())?;

    let mut progress = Progress::new(*term, "teacher", corpus.len() as u64, done as u64);
    while done < corpus.len() {
        let piece = |start: usize| start..corpus.len().min(start + rows);
        let starts = (done..corpus.len()).step_by(rows);
        let pieces: Vec<_> = starts.take(teachers.len()).map(piece).collect();
        let bytes = pollster::block_on(teacher_states(teachers, corpus, &pieces))?;
        file.write_all(&bytes)
            .with_context(|| format!("could not write {}", path.display()))
            .hint("free some space and run the same command again with --resume")?;
        done = pieces.last().map_or(corpus.len(), |piece| piece.end);
        progress.set(done as u64, "");
    }
    progress.finish();
    file.sync_all()
        .with_context(|| format!("could not write {}", path.display()))?;
    drop(file);
    Ok(TeacherStates::new(
        Arc::new(files::map(&path)?),
        corpus,
        width,
    )?)
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("could not write {}", path.display()))
}
