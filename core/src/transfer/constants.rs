//! What a public example contributes to the loss and never changes: computed once.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use sha2::{Digest as _, Sha256};

use super::TransferError;
use crate::model::{Lm, TokenBatch};
use crate::optim::{State, read};
use crate::prompt::SoftPrompt;
use crate::task::Example;

const KIND: &str = "post.transfer.constants";
const STATES: &str = "post.transfer.states";

/// z_t, z_s and z_s^p of the public examples (method §3), kept as last hidden states.
///
/// The head makes logits of a hidden state whenever they are needed: d numbers are kept where the
/// vocabulary has V (576 instead of 49 152 for SmolLM2), and one product with the head is small
/// beside the teacher's forward pass. With the public examples shortest first as the teacher reads
/// them, so that batches of neighbours pad little. An example has a place for each token of its answer,
/// and one where that is a class or not known.
pub struct Constants {
    read_by_student: Texts,
    read_by_teacher: Texts,
    /// Places of the examples before each one, and of all.
    starts: Vec<usize>,
    /// h_t, `[places, d]` of the teacher, without prompt or behind that of `since`.
    teacher: Vec<f32>,
    /// h_s, `[places, d]` of the student, without prompt or behind that of `since`.
    student: Vec<f32>,
    /// h_s^p, `[places, d]` of the student, with its prompt.
    prompted: Vec<f32>,
    /// h_t of all examples, where an earlier run left them; empty otherwise.
    recalled: Vec<f32>,
    done: usize,
    since: Option<Since>,
}

/// What z_s and z_t are answers behind, where a prompt's change is not counted from none.
struct Since {
    student: SoftPrompt,
    teacher: SoftPrompt,
}

/// The public examples in one model's tokens.
struct Texts {
    ids: Vec<Vec<u32>>,
    places: Vec<Range<usize>>,
}

impl Texts {
    fn new(examples: &[Example], order: &[usize]) -> Self {
        let sorted = || order.iter().map(|&index| &examples[index]);
        Self {
            ids: sorted().map(Example::read).collect(),
            places: sorted().map(Example::places).collect(),
        }
    }

    /// Tokens and answer places of some examples.
    fn batch(&self, indices: &[usize]) -> (TokenBatch, Vec<Range<usize>>) {
        let ids: Vec<&[u32]> = indices.iter().map(|&i| self.ids[i].as_slice()).collect();
        let places = indices.iter().map(|&i| self.places[i].clone()).collect();
        (TokenBatch::padded(&ids, 0), places)
    }

    /// Last hidden states at the answer places of some examples, `[places, d]`, behind a prompt or none.
    async fn hidden(
        &self,
        lm: &Lm,
        behind: Option<&SoftPrompt>,
        indices: &[usize],
    ) -> Result<Vec<f32>, TransferError> {
        let (tokens, places) = self.batch(indices);
        let input = match behind {
            None => lm.embed(&tokens),
            Some(prompt) => {
                let shape = [prompt.num_virtual_tokens(), prompt.token_dim()];
                let data = TensorData::new(prompt.embeddings().to_vec(), shape);
                let virtual_tokens = Tensor::<2>::from_data(data, lm.device());
                lm.embed_with_prompt(virtual_tokens, prompt.place(), &tokens)
            }
        };
        Ok(read(lm.hidden_within(&input, &places)).await?)
    }

    /// Whether the prompt is one of the model's, and the longest example fits behind it.
    fn fits_behind(
        &self,
        prompt: Option<&SoftPrompt>,
        lm: &Lm,
        name: &str,
    ) -> Result<(), TransferError> {
        if let Some(prompt) = prompt {
            prompt.fits(name, lm.config().embedding_size)?;
        }
        self.fits(lm, prompt.map_or(0, SoftPrompt::num_virtual_tokens))
    }

    /// Whether the longest example fits behind `n` virtual tokens.
    fn fits(&self, lm: &Lm, n: usize) -> Result<(), TransferError> {
        let longest = self.ids.iter().map(Vec::len).max().unwrap_or(0);
        match lm.room(n) {
            Some(room) if longest > room => Err(TransferError::TooLong {
                needed: longest + n,
                room: room + n,
            }),
            _ => Ok(()),
        }
    }
}

/// The constants of some examples, on the device, place after place.
pub(super) struct Rows {
    pub(super) teacher: Tensor<2>,
    pub(super) student: Tensor<2>,
    pub(super) prompted: Tensor<2>,
    /// What each place counts for its example, `[places, 1]`: all of it, or its part of a mean.
    pub(super) shares: Tensor<2>,
}

impl Constants {
    /// Takes public examples in, the same rows as each model reads them. Their classes are not looked at;
    /// an answer of text is what both models read on, and what it says is no goal. The models may have
    /// tokenizers of their own: each row only needs as many answer places in both.
    ///
    /// # Errors
    /// [`TransferError::NoExamples`], [`TransferError::Pairs`] where one model has more of them, or
    /// [`TransferError::Places`] where their answers take unlike numbers of tokens.
    pub fn new(student: &[Example], teacher: &[Example]) -> Result<Self, TransferError> {
        if teacher.is_empty() {
            return Err(TransferError::NoExamples);
        }
        if student.len() != teacher.len() {
            return Err(TransferError::Pairs {
                student: student.len(),
                teacher: teacher.len(),
            });
        }
        let mut order: Vec<usize> = (0..teacher.len()).collect();
        order.sort_by_key(|&index| teacher[index].len());
        let read_by_student = Texts::new(student, &order);
        let read_by_teacher = Texts::new(teacher, &order);
        Ok(Self {
            starts: starts(&read_by_student.places, &read_by_teacher.places)?,
            read_by_student,
            read_by_teacher,
            teacher: Vec::new(),
            student: Vec::new(),
            prompted: Vec::new(),
            recalled: Vec::new(),
            done: 0,
            since: None,
        })
    }

    /// Counts what the prompt changes from what the models say behind these, instead of from what they say without
    /// a prompt: z_s and z_t of L2 are answers behind `student` and `teacher`. They are public, as the task's
    /// sentence is in each model's tokens, behind which tuning began.
    ///
    /// The paper counts from no prompt. A sentence tells both models what the task is; counted from there, the
    /// teacher keeps what the sentence alone makes it say, and is asked for what private rows changed.
    ///
    /// # Panics
    /// If constants were computed already.
    #[must_use]
    pub fn since(mut self, student: SoftPrompt, teacher: SoftPrompt) -> Self {
        assert!(self.done == 0, "constants are all counted from one place");
        self.since = Some(Since { student, teacher });
        self
    }

    /// Number of examples.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // `new` refuses to make an empty one.
    pub fn len(&self) -> usize {
        self.read_by_teacher.ids.len()
    }

    /// Examples whose constants are known.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Computes the constants of the next at most `rows` examples; call it until
    /// [`done`](Self::done) is [`len`](Self::len).
    ///
    /// # Errors
    /// A prompt that isn't the student's, texts too long for either model, a failing device.
    pub async fn extend(
        &mut self,
        student: &Lm,
        teacher: &Lm,
        prompt: &SoftPrompt,
        rows: usize,
    ) -> Result<(), TransferError> {
        let since = self.since.as_ref();
        let [small, large] = [
            since.map(|since| &since.student),
            since.map(|since| &since.teacher),
        ];
        self.read_by_student
            .fits_behind(Some(prompt), student, "student")?;
        self.read_by_student
            .fits_behind(small, student, "student")?;
        self.read_by_teacher
            .fits_behind(large, teacher, "teacher")?;
        let next = self.done..self.len().min(self.done + rows);
        let indices: Vec<usize> = next.clone().collect();
        if indices.is_empty() {
            return Ok(());
        }
        let of_teacher = match self.recalled(&next, teacher) {
            Some(known) => known.to_vec(),
            None => {
                self.read_by_teacher
                    .hidden(teacher, large, &indices)
                    .await?
            }
        };
        let texts = &self.read_by_student;
        let of_student = texts.hidden(student, small, &indices).await?;
        let of_prompted = texts.hidden(student, Some(prompt), &indices).await?;

        self.teacher.extend(of_teacher);
        self.student.extend(of_student);
        self.prompted.extend(of_prompted);
        self.done = next.end;
        Ok(())
    }

    fn recalled(&self, examples: &Range<usize>, teacher: &Lm) -> Option<&[f32]> {
        let d = teacher.config().embedding_size;
        let places = self.starts[examples.start]..self.starts[examples.end];
        self.recalled.get(places.start * d..places.end * d)
    }

    /// What tells the examples, as the teacher reads them and behind what, from others.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        let texts = &self.read_by_teacher;
        for (ids, places) in texts.ids.iter().zip(&texts.places) {
            for number in [ids.len(), places.start, places.end] {
                hasher.update((number as u64).to_le_bytes());
            }
            ids.iter().for_each(|id| hasher.update(id.to_le_bytes()));
        }
        if let Some(Since { teacher, .. }) = &self.since {
            hasher.update(teacher.place().name());
            let numbers = teacher.embeddings().iter();
            numbers.for_each(|number| hasher.update(number.to_le_bytes()));
        }
        format!("{:x}", hasher.finalize())
    }

    /// h_t of all examples once all are known, for a later run with the same teacher and examples, whatever its
    /// student and prompt.
    #[must_use]
    pub fn teacher_states(&self) -> Option<Vec<u8>> {
        (self.done == self.len()).then(|| {
            let state = State::new(STATES).with_field("examples", self.fingerprint());
            state
                .with_tensor("teacher", self.teacher.clone())
                .to_bytes()
        })
    }

    /// Takes up [`teacher_states`](Self::teacher_states) of the same teacher, whose width is `width`.
    ///
    /// # Errors
    /// [`TransferError::State`] when the bytes are damaged or belong to other examples.
    pub fn recall(&mut self, bytes: &[u8], width: usize) -> Result<(), TransferError> {
        let mut state = State::from_bytes(bytes, STATES)?;
        if state.field::<String>("examples")? != self.fingerprint() {
            return Err(crate::optim::StateError::Settings.into());
        }
        self.recalled = state.take("teacher", self.starts[self.len()] * width)?;
        Ok(())
    }

    /// Tokens and answer places of some examples, the teacher's.
    pub(super) fn batch(&self, indices: &[usize]) -> (TokenBatch, Vec<Range<usize>>) {
        self.read_by_teacher.batch(indices)
    }

    /// Hidden states of some examples, uploaded.
    pub(super) fn rows(&self, indices: &[usize], student: &Lm, teacher: &Lm) -> Rows {
        let places = |&i: &usize| self.starts[i]..self.starts[i + 1];
        let pick = |all: &[f32], lm: &Lm| {
            let d = all.len() / self.starts[self.done];
            let rows = indices.iter().map(places);
            let rows = rows.map(|places| &all[places.start * d..places.end * d]);
            let values = rows.collect::<Vec<_>>().concat();
            let count = values.len() / d;
            Tensor::from_data(TensorData::new(values, [count, d]), lm.device())
        };
        let counts = indices.iter().map(|index| places(index).len());
        let shares = counts.flat_map(|count| std::iter::repeat_n(1.0 / count as f32, count));
        let shares: Vec<f32> = shares.collect();
        let shape = [shares.len(), 1];
        Rows {
            teacher: pick(&self.teacher, teacher),
            student: pick(&self.student, student),
            prompted: pick(&self.prompted, student),
            shares: Tensor::from_data(TensorData::new(shares, shape), teacher.device()),
        }
    }

    /// Whether the teacher has room for the longest example behind `n` virtual tokens.
    pub(super) fn fits(&self, teacher: &Lm, n: usize) -> Result<(), TransferError> {
        self.read_by_teacher.fits(teacher, n)
    }

    /// What is known so far, to go on after an interruption.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        State::new(KIND)
            .with_field("examples", self.len())
            .with_field("done", self.done)
            .with_tensor("teacher", self.teacher.clone())
            .with_tensor("student", self.student.clone())
            .with_tensor("prompted", self.prompted.clone())
            .to_bytes()
    }

    /// Takes up a [`checkpoint`](Self::checkpoint) made with the same examples, models and prompt;
    /// `widths` are d of student and teacher.
    ///
    /// # Errors
    /// [`TransferError::State`] when the bytes are damaged or belong to other examples or widths.
    pub fn resume(&mut self, bytes: &[u8], widths: [usize; 2]) -> Result<(), TransferError> {
        let mut state = State::from_bytes(bytes, KIND)?;
        let done: usize = state.field("done")?;
        if state.field::<usize>("examples")? != self.len() || done > self.len() {
            return Err(crate::optim::StateError::Settings.into());
        }
        let ([student, teacher], places) = (widths, self.starts[done]);
        self.teacher = state.take("teacher", places * teacher)?;
        self.student = state.take("student", places * student)?;
        self.prompted = state.take("prompted", places * student)?;
        self.done = done;
        Ok(())
    }
}

/// Places of the examples before each one, and of all: the same in both models' tokens.
fn starts(student: &[Range<usize>], teacher: &[Range<usize>]) -> Result<Vec<usize>, TransferError> {
    let mut starts = vec![0];
    for (student, teacher) in student.iter().zip(teacher) {
        let (student, teacher) = (student.len(), teacher.len());
        if student != teacher {
            return Err(TransferError::Places { student, teacher });
        }
        starts.push(starts[starts.len() - 1] + teacher);
    }
    Ok(starts)
}
