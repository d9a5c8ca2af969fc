//! What a public example contributes to the loss and never changes: computed once.

use burn::tensor::{Tensor, TensorData};

use super::TransferError;
use crate::model::{Lm, TokenBatch};
use crate::optim::{State, read};
use crate::prompt::SoftPrompt;
use crate::task::Example;

const KIND: &str = "post.transfer.constants";

/// z_t, z_s and z_s^p of the public examples (method §3), kept as last hidden states.
///
/// The head makes logits of a hidden state whenever they are needed: d numbers are kept where the
/// vocabulary has V (576 instead of 49 152 for SmolLM2), and one product with the head is small
/// beside the teacher's forward pass. With the public examples shortest first as the teacher reads
/// them, so that batches of neighbours pad little.
pub struct Constants {
    read_by_student: Texts,
    read_by_teacher: Texts,
    /// h_t, `[done, d]` of the teacher, without prompt.
    teacher: Vec<f32>,
    /// h_s, `[done, d]` of the student, without prompt.
    student: Vec<f32>,
    /// h_s^p, `[done, d]` of the student, with its prompt.
    prompted: Vec<f32>,
    done: usize,
}

/// The public examples in one model's tokens.
struct Texts {
    ids: Vec<Vec<u32>>,
    answers: Vec<usize>,
}

impl Texts {
    fn new(examples: &[Example], order: &[usize]) -> Self {
        let sorted = || order.iter().map(|&index| &examples[index]);
        Self {
            ids: sorted().map(|example| example.ids.clone()).collect(),
            answers: sorted().map(|example| example.answer).collect(),
        }
    }

    /// Tokens and answer positions of some examples.
    fn batch(&self, indices: &[usize]) -> (TokenBatch, Vec<usize>) {
        let ids: Vec<&[u32]> = indices.iter().map(|&i| self.ids[i].as_slice()).collect();
        let answers = indices.iter().map(|&i| self.answers[i]).collect();
        (TokenBatch::padded(&ids, 0), answers)
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

/// The constants of some examples, on the device.
pub(super) struct Rows {
    pub(super) teacher: Tensor<2>,
    pub(super) student: Tensor<2>,
    pub(super) prompted: Tensor<2>,
}

impl Constants {
    /// Takes public examples in, the same rows as each model reads them; their labels are not looked
    /// at. The models may have tokenizers of their own: each row only needs an answer position in both.
    ///
    /// # Errors
    /// [`TransferError::NoExamples`], or [`TransferError::Pairs`] where one model has more of them.
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
        order.sort_by_key(|&index| teacher[index].ids.len());
        Ok(Self {
            read_by_student: Texts::new(student, &order),
            read_by_teacher: Texts::new(teacher, &order),
            teacher: Vec::new(),
            student: Vec::new(),
            prompted: Vec::new(),
            done: 0,
        })
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
        let n = prompt.num_virtual_tokens();
        prompt.fits("student", student.config().embedding_size)?;
        self.read_by_student.fits(student, n)?;
        self.read_by_teacher.fits(teacher, 0)?;
        let next = self.done..self.len().min(self.done + rows);
        let indices: Vec<usize> = next.clone().collect();
        if indices.is_empty() {
            return Ok(());
        }
        let data = TensorData::new(prompt.embeddings().to_vec(), [n, prompt.token_dim()]);
        let virtual_tokens = Tensor::<2>::from_data(data, student.device());

        let (tokens, answers) = self.read_by_teacher.batch(&indices);
        let input = teacher.embed(&tokens);
        let of_teacher = read(teacher.hidden_at(&input, &answers)).await?;
        let (tokens, answers) = self.read_by_student.batch(&indices);
        let input = student.embed(&tokens);
        let of_student = read(student.hidden_at(&input, &answers)).await?;
        let input = student.embed_behind(virtual_tokens, &tokens);
        let of_prompted = read(student.hidden_at(&input, &answers)).await?;

        self.teacher.extend(of_teacher);
        self.student.extend(of_student);
        self.prompted.extend(of_prompted);
        self.done = next.end;
        Ok(())
    }

    /// Tokens and answer positions of some examples, the teacher's.
    pub(super) fn batch(&self, indices: &[usize]) -> (TokenBatch, Vec<usize>) {
        self.read_by_teacher.batch(indices)
    }

    /// Hidden states of some examples, uploaded.
    pub(super) fn rows(&self, indices: &[usize], student: &Lm, teacher: &Lm) -> Rows {
        let pick = |all: &[f32], lm: &Lm| {
            let d = all.len() / self.done;
            let row = |&i: &usize| all[i * d..(i + 1) * d].iter().copied();
            let values: Vec<f32> = indices.iter().flat_map(row).collect();
            Tensor::from_data(TensorData::new(values, [indices.len(), d]), lm.device())
        };
        Rows {
            teacher: pick(&self.teacher, teacher),
            student: pick(&self.student, student),
            prompted: pick(&self.prompted, student),
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
        let [student, teacher] = widths;
        self.teacher = state.take("teacher", done * teacher)?;
        self.student = state.take("student", done * student)?;
        self.prompted = state.take("prompted", done * student)?;
        self.done = done;
        Ok(())
    }
}
