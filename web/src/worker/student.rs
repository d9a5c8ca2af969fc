//! The student: out of its bundle, checked, and put on the faster device.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use post_core::bundle::Bundle;
use post_core::checkpoint::Checkpoint;
use post_core::model::Lm;
use post_core::prompt::peft::BaseModel;
use post_core::prompt::{PromptPlace, SoftPrompt};
use post_core::task::{Encoder, Task};
use post_core::tune::{self, Probe};
use tokenizers::Tokenizer;
use web_sys::Blob;

use super::device::{self, Devices};
use super::files;
use super::helpers::{self, Crew};
use super::port::{Port, now};
use super::{suggest, tables};
use crate::protocol::{Answer, BundleCard, Choice, DeviceKind, Loading};

/// Examples and tokens of the quick measurement.
const PROBE: (usize, usize) = (2, 54);

/// A student on a device.
pub(super) struct Student {
    pub(super) lm: Arc<Lm>,
    pub(super) tokenizer: Tokenizer,
    /// Where prompts are tuned on it.
    pub(super) place: PromptPlace,
    pub(super) card: BundleCard,
    /// Task files that came with it.
    pub(super) tasks: Vec<String>,
    pub(super) kind: DeviceKind,
    /// Where it came from, to be read again when the device is lost.
    pub(super) file: Blob,
    /// Places (tokens of prompt and text) a second, by the quick measurement.
    pub(super) places: f64,
    /// Workers that share a run on the processor, where there are any.
    pub(super) crew: Option<Rc<Crew>>,
}

/// A bundle that was read and checked.
pub(super) struct Opened {
    checkpoint: Checkpoint,
    card: BundleCard,
    tasks: Vec<String>,
    file: Blob,
}

/// Reads a bundle and checks its content hash, against `expected` too where that is known.
///
/// # Errors
/// Whatever is wrong with the file.
pub(super) async fn open(file: Blob, expected: Option<&str>, port: &Port) -> Result<Opened> {
    port.say(&Answer::Loading {
        loading: Loading::Checking,
    });
    port.breathe().await;
    let bytes = files::read(&file).await?;
    let bundle = Bundle::open(Arc::new(bytes))?;
    let hash = bundle.hash().to_owned();
    if let Some(expected) = expected {
        ensure!(
            hash == expected,
            "this file is another student than the list says (content hash {hash}, not {expected}); do not use it"
        );
    }
    let (about, config) = (bundle.card().clone(), bundle.config());
    let card = BundleCard {
        name: about.name,
        teacher: about.teacher,
        license: about.license,
        layers: config.num_hidden_layers(),
        hidden_size: config.hidden_size,
        hash,
    };
    Ok(Opened {
        checkpoint: bundle.into_checkpoint()?,
        card,
        tasks: about.tasks,
        file,
    })
}

impl Opened {
    /// What it says of itself.
    pub(super) fn card(&self) -> &BundleCard {
        &self.card
    }

    /// Puts the student on a device, the faster one where that is left open.
    ///
    /// # Errors
    /// When its tasks can't be tuned here, a tensor is missing, or no device works.
    pub(super) async fn place(
        self,
        choice: Choice,
        devices: &mut Devices,
        port: &Port,
    ) -> Result<Student> {
        tables::can_be_tuned(&self.tasks)?;
        let (lm, kind, places) = match choice {
            Choice::Only(kind) => self.on(kind, devices, port).await?,
            Choice::Auto if devices.promising() => {
                match self.on(DeviceKind::WebGpu, devices, port).await {
                    Ok(graphics) => {
                        let processor = self.on(DeviceKind::Cpu, devices, port).await?;
                        if graphics.2 > processor.2 {
                            graphics
                        } else {
                            processor
                        }
                    }
                    Err(error) => {
                        devices.lose(&format!("{error:#}"));
                        self.on(DeviceKind::Cpu, devices, port).await?
                    }
                }
            }
            Choice::Auto => self.on(DeviceKind::Cpu, devices, port).await?,
        };
        let tokenizer = self.checkpoint.tokenizer()?.clone();
        let crew = crew(&lm, kind).await;
        Ok(Student {
            lm,
            tokenizer,
            place: self.checkpoint.about.prompt_place,
            card: self.card,
            tasks: self.tasks,
            kind,
            file: self.file,
            places,
            crew,
        })
    }

    async fn on(
        &self,
        kind: DeviceKind,
        devices: &mut Devices,
        port: &Port,
    ) -> Result<(Arc<Lm>, DeviceKind, f64)> {
        let say = |loading| port.say(&Answer::Loading { loading });
        say(Loading::Placing);
        port.breathe().await;
        let device = devices.open(kind).await?;
        let lm = Lm::load(
            &self.checkpoint.config,
            self.checkpoint.tensors.as_ref(),
            &device,
        );
        let lm = Arc::new(lm.context("the student's weights don't fit its configuration")?);
        say(Loading::Measuring);
        port.breathe().await;
        let (rows, width) = PROBE;
        let width = width.min(lm.text_room(Probe::places(0)));
        let probe = Probe::new(Arc::clone(&lm), rows, width)?;
        if kind == DeviceKind::WebGpu {
            // The first pass compiles the shaders.
            probe.pass().await?;
        }
        let start = now();
        probe.pass().await?;
        device::sound(kind)?;
        // A run on the processor has helpers.
        let hands = match kind {
            DeviceKind::Cpu => helpers::worth(&lm).max(1),
            DeviceKind::WebGpu => 1,
        };
        let examples = (rows * hands) as f64 / (now() - start).max(1e-6);
        let places = examples * Probe::places(width) as f64;
        devices.measured(kind, examples, hands);
        Ok((lm, kind, places))
    }
}

/// Helpers for a student on the processor; without any a run is slower and otherwise the same.
async fn crew(lm: &Lm, kind: DeviceKind) -> Option<Rc<Crew>> {
    let count = helpers::worth(lm);
    if kind != DeviceKind::Cpu || count < 2 {
        return None;
    }
    match Crew::hire(count).await {
        Ok(crew) => Some(Rc::new(crew)),
        Err(error) => {
            web_sys::console::warn_1(&format!("no helpers: {error:#}").into());
            None
        }
    }
}

impl Student {
    /// Rows of a task as this student reads them.
    ///
    /// # Errors
    /// When template or label words don't fit the tokenizer.
    pub(super) fn encoder<'a>(
        &'a self,
        task: &'a Task,
        virtual_tokens: usize,
    ) -> Result<Encoder<'a>> {
        Ok(tune::encoder(
            &self.lm,
            &self.tokenizer,
            task,
            virtual_tokens,
        )?)
    }

    /// The prompt that repeats the task's sentence.
    ///
    /// # Errors
    /// When the sentence has no tokens.
    pub(super) fn text_init(&self, encoder: &Encoder<'_>, length: usize) -> Result<SoftPrompt> {
        let sentence = tune::text_init(&self.lm, encoder, length)?;
        Ok(sentence.with_place(self.place))
    }

    /// Whether an example of so many places, prompt included, can go through it.
    ///
    /// # Errors
    /// When it is too much for a graphics card.
    pub(super) fn fits(&self, longest: usize) -> Result<()> {
        if self.kind == DeviceKind::WebGpu {
            let places = suggest::places(self.lm.config());
            ensure!(
                longest <= places,
                "prompt and longest text take {longest} places, and a graphics card has buffers for {places}; \
                 let the longest text have fewer tokens, or compute on the processor"
            );
        }
        Ok(())
    }

    /// Examples of so many places, prompt included, that go through it together.
    ///
    /// # Errors
    /// As [`fits`](Self::fits).
    pub(super) fn micro_batch(&self, longest: usize) -> Result<usize> {
        self.fits(longest)?;
        Ok(suggest::micro_batch(longest, self.lm.config()))
    }

    /// What PEFT wants to know of the model.
    pub(super) fn base(&self) -> BaseModel {
        BaseModel::of(self.card.name.clone(), self.lm.config())
    }
}
