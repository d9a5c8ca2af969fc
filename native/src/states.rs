//! The teacher's hidden states of a text, computed once: kept in the run folder, or in one that several runs share.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use post_core::distill::{Corpus, TeacherStates, teacher_states};
use post_core::dp::receipt::sha256;
use post_core::model::Lm;
use post_core::transfer::Constants;

use crate::dtype::Dtype;
use crate::failure::Hint;
use crate::files;
use crate::models;
use crate::progress::Progress;
use crate::run::RunFolder;
use crate::source::ModelSource;
use crate::term::Terminal;

/// Digits of a shared file's name.
const DIGITS: usize = 16;

/// The teacher that the states are of.
pub(crate) struct Of<'a> {
    /// Its file.
    pub(crate) source: &'a ModelSource,
    /// What its weights are kept in.
    pub(crate) dtype: Dtype,
}

impl Of<'_> {
    /// What tells states of this teacher and this text from others.
    fn mark(&self, text: &str) -> Result<String> {
        let hash = models::hash(self.source)?;
        Ok(match self.dtype {
            Dtype::F32 => format!("{hash} {text}\n"),
            half => format!("{hash} {} {text}\n", half.name()),
        })
    }
}

/// The files of some states.
struct Place {
    states: PathBuf,
    /// Says of which teacher and text they are.
    of: PathBuf,
    /// Held while they are computed, where others may want to.
    _lock: Option<File>,
}

impl Place {
    /// In `shared`, once nobody else computes the same, or else in the run folder.
    fn new(run: &RunFolder, shared: Option<&Path>, mark: &str) -> Result<Self> {
        let Some(folder) = shared else {
            return Ok(Self {
                states: run.path("states.bin"),
                of: run.path("states.sha256"),
                _lock: None,
            });
        };
        let name = &sha256(mark.as_bytes())[..DIGITS];
        let file = |ending: &str| folder.join(format!("states-{name}.{ending}"));
        fs::create_dir_all(folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        let lock = file("lock");
        let held =
            File::create(&lock).with_context(|| format!("could not write {}", lock.display()))?;
        held.lock()
            .with_context(|| format!("could not lock {}", lock.display()))
            .hint("leave --states out: two runs at once would tear what they share")?;
        Ok(Self {
            states: file("bin"),
            of: file("sha256"),
            _lock: Some(held),
        })
    }
}

/// The states, those of an interrupted run included, `rows` texts at a time on each device; `teachers` are the
/// teacher, once on each. They are kept in `shared`, or else in the run folder.
///
/// # Errors
/// When the device fails or the disk is full; what was computed is kept.
pub(crate) fn of(
    teachers: &[Lm],
    of: &Of<'_>,
    corpus: &Corpus,
    rows: usize,
    (run, shared): (&RunFolder, Option<&Path>),
    term: &Terminal,
) -> Result<TeacherStates> {
    let (mark, width) = (
        of.mark(&corpus.fingerprint())?,
        teachers[0].config().embedding_size,
    );
    let place = Place::new(run, shared, &mark)?;
    let path = &place.states;
    let rows = rows.max(1);
    let known = files::read_text(&place.of).is_ok_and(|kept| kept == mark);
    let mut file = open(path)?;
    let kept = if known { file.metadata()?.len() } else { 0 };
    let mut done = corpus.whole_texts(kept as usize / (2 * width));
    file.set_len((corpus.start(done) * width * 2) as u64)?;
    files::write_atomic(&place.of, mark.as_bytes())?;

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
        Arc::new(files::map(path)?),
        corpus,
        width,
    )?)
}

fn open(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("could not write {}", path.display()))
}

/// The file for h_t of the public rows in a folder that transfers share.
fn of_rows(folder: &Path, of: &Of<'_>, constants: &Constants) -> Result<PathBuf> {
    let mark = of.mark(&constants.fingerprint())?;
    let name = &sha256(mark.as_bytes())[..DIGITS];
    Ok(folder.join(format!("rows-{name}.bin")))
}

/// Takes up what an earlier transfer left of the teacher's states of the same rows, if one did.
///
/// # Errors
/// When it is damaged.
pub(crate) fn recall(
    constants: &mut Constants,
    of: &Of<'_>,
    width: usize,
    folder: &Path,
) -> Result<()> {
    let path = of_rows(folder, of, constants)?;
    if !path.is_file() {
        return Ok(());
    }
    constants
        .recall(&files::read(&path)?, width)
        .with_context(|| path.display().to_string())
        .hint("remove it: it is computed again")
}

/// Leaves the teacher's states of the rows for later transfers.
///
/// # Errors
/// See [`files::write_atomic`].
pub(crate) fn leave(constants: &Constants, of: &Of<'_>, folder: &Path) -> Result<()> {
    let path = of_rows(folder, of, constants)?;
    match constants.teacher_states() {
        Some(bytes) if !path.is_file() => files::write_atomic(&path, &bytes),
        _ => Ok(()),
    }
}
