//! One session: what is loaded, and what is done with it, one request after the other.

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use post_core::dp::account::Event;
use post_core::prompt::{SoftPrompt, archive, peft};
use web_sys::Blob;

use super::device::{self, Devices};
use super::library::{self, Cancelled, Library};
use super::port::{Inbox, Message, Port};
use super::runs::{Begin, Ended, Run, finished, is_lost};
use super::storage::Storage;
use super::student::{self, Student};
use super::tables::{self, Data};
use super::{evaluate, exclusive, files, handover, kept, suggest};
use crate::protocol::{
    Answer, Choice, Cost, DeviceKind, From, Mapping, Past, Request, Settings, Stage,
};

/// What a tab holds.
struct Session {
    port: Port,
    storage: Storage,
    unstorable: Option<String>,
    library: Library,
    devices: Devices,
    choice: Choice,
    student: Option<Student>,
    table: Option<tables::Opened>,
    data: Option<Data>,
    prompt: Option<SoftPrompt>,
    /// The zip of a prompt that was taken up and may be gone on from.
    imported: Option<Vec<u8>>,
    /// Whether no other tab can start a run.
    alone: bool,
}

/// Listens and answers until the tab is closed.
pub(super) async fn serve(port: Port, mut inbox: Inbox) {
    let (storage, unstorable) = Storage::open().await;
    let mut session = Session {
        library: Library::open(&storage).await,
        devices: Devices::look().await,
        choice: Choice::Auto,
        port,
        storage,
        unstorable,
        student: None,
        table: None,
        data: None,
        prompt: None,
        imported: None,
        alone: false,
    };
    session.say_ready().await;
    while let Some((request, file)) = inbox.next().await {
        let during = stage(&request);
        if let Err(error) = session.answer((request, file)).await {
            let answer = if error.is::<Cancelled>() {
                Answer::Cancelled
            } else {
                let message = format!("{error:#}");
                Answer::Error { during, message }
            };
            session.port.say(&answer);
        }
    }
}

fn stage(request: &Request) -> Stage {
    match request {
        Request::Device { .. } => Stage::Device,
        Request::Load { .. } | Request::Cancel | Request::Forget { .. } => Stage::Load,
        Request::Open { .. } | Request::Map { .. } => Stage::Data,
        Request::Discard => Stage::Store,
        Request::Try { .. } => Stage::Try,
        Request::Test => Stage::Test,
        Request::Export => Stage::Export,
        Request::Import => Stage::Import,
        Request::Cost { .. }
        | Request::Start { .. }
        | Request::Pause
        | Request::Resume
        | Request::Stop => Stage::Run,
    }
}

impl Session {
    async fn answer(&mut self, (request, file): Message) -> Result<()> {
        match request {
            Request::Device { choice } => self.choose(choice).await,
            Request::Load { from, keep } => self.load(from, keep, file).await,
            Request::Forget { hash } => self.forget(&hash).await,
            Request::Open { name } => self.open(name, file).await,
            Request::Map { mapping } => self.map(mapping).await,
            Request::Cost {
                number,
                settings,
                cap,
            } => {
                self.cost(number, &settings, cap).await;
                Ok(())
            }
            Request::Start {
                settings,
                resume,
                cap,
                from_prompt,
            } => {
                let begin = Begin {
                    cap,
                    initial: self.imported.clone().filter(|_| from_prompt),
                    entered: resume,
                    checkpoint: None,
                };
                self.start(settings, begin).await
            }
            Request::Discard => {
                kept::discard(&self.storage).await?;
                self.port.say(&Answer::Discarded);
                Ok(())
            }
            Request::Try { texts } => self.attempt(texts).await,
            Request::Test => self.test().await,
            Request::Export => self.export().await,
            Request::Import => self.import(file).await,
            // Heard when they came; what they were about is over.
            Request::Pause | Request::Resume | Request::Stop | Request::Cancel => Ok(()),
        }
    }

    async fn say_ready(&mut self) {
        let finished = kept::finished(&self.storage).await;
        if let Some((_, zip)) = &finished {
            // One that doesn't read can still be exported as it is.
            let adapter = archive::unpack(zip).map(|files| peft::read(&files));
            self.prompt = adapter
                .ok()
                .and_then(Result::ok)
                .map(|adapter| adapter.prompt);
        }
        self.port.say(&Answer::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bundles: self.library.listed(),
            sample: self.library.sample().map(|sample| sample.bytes),
            kept: kept::run(&self.storage).await,
            finished: finished.map(|(finished, _)| finished),
            unstorable: self.unstorable.clone(),
        });
        self.say_devices();
    }

    fn say_bundles(&self) {
        let bundles = self.library.listed();
        self.port.say(&Answer::Bundles { bundles });
    }

    fn say_devices(&self) {
        self.port.say(&Answer::Devices {
            devices: self.devices.reports(),
            chosen: self.student.as_ref().map(|student| student.kind),
        });
    }

    async fn choose(&mut self, choice: Choice) -> Result<()> {
        self.choice = choice;
        match self.student.take() {
            Some(student) => self.replace(student.file, student.card.hash).await,
            None => {
                self.say_devices();
                Ok(())
            }
        }
    }

    async fn load(&mut self, from: From, keep: bool, file: Option<Blob>) -> Result<()> {
        self.port.reset();
        let loaded = match from {
            From::File { .. } => self.load_own(file, keep).await,
            From::Listed { hash } => self.load_listed(hash, keep).await,
        };
        // Good or bad, more may be stored now.
        self.say_bundles();
        self.settle(loaded?).await
    }

    async fn load_own(&mut self, file: Option<Blob>, keep: bool) -> Result<student::Opened> {
        let file = file.context("no file came with the message")?;
        let opened = student::open(file.clone(), None, &self.port).await?;
        if keep {
            let stored = self.library.keep(&self.storage, &file, opened.card()).await;
            self.warn(stored.err());
        }
        Ok(opened)
    }

    async fn load_listed(&mut self, hash: String, keep: bool) -> Result<student::Opened> {
        let (storage, port) = (&self.storage, &self.port);
        let file = self.library.obtain(&hash, keep, storage, port).await?;
        let opened = student::open(file, Some(&hash), port).await;
        if opened.is_err() {
            // A damaged file must not be found again.
            self.library.forget(&hash, storage).await?;
        }
        opened.context("the stored copy was deleted; load it again")
    }

    /// Puts the student in use, read again from its file, on the device that is chosen now.
    async fn replace(&mut self, file: Blob, hash: String) -> Result<()> {
        let opened = student::open(file, Some(&hash), &self.port).await?;
        self.settle(opened).await
    }

    async fn settle(&mut self, opened: student::Opened) -> Result<()> {
        let placed = opened
            .place(self.choice, &mut self.devices, &self.port)
            .await;
        self.say_devices();
        let student = placed?;
        // Another student may read the same table otherwise.
        if self
            .student
            .as_ref()
            .is_some_and(|old| old.card.hash != student.card.hash)
        {
            self.data = None;
            self.imported = None;
        }
        self.port.say(&Answer::Loaded {
            card: student.card.clone(),
            tasks: tables::tasks(&student.tasks),
        });
        self.student = Some(student);
        self.say_devices();
        Ok(())
    }

    async fn forget(&mut self, hash: &str) -> Result<()> {
        self.library.forget(hash, &self.storage).await?;
        self.say_bundles();
        Ok(())
    }

    async fn open(&mut self, name: Option<String>, file: Option<Blob>) -> Result<()> {
        let (name, bytes, wanted) = match (file, self.library.sample()) {
            (Some(file), _) => (name, files::read(&file).await?, None),
            (None, Some(sample)) => {
                let bytes = library::fetch_sample(sample).await?;
                (Some(sample.file.clone()), bytes, sample.task.clone())
            }
            (None, None) => bail!("there is no sample set on this server; choose a file"),
        };
        let opened = tables::open(name, &bytes)?;
        let own = self
            .student
            .as_ref()
            .map_or(&[][..], |student| &student.tasks);
        let tasks = tables::tasks(own);
        let task = tasks
            .iter()
            .find(|task| Some(&task.name) == wanted.as_ref())
            .or_else(|| tasks.first())
            .context("there is no task to read a table by")?;
        let mapping = Mapping {
            task: opened.guess(task.clone()),
            test_share: 0.2,
            drop_duplicates: true,
        };
        self.port.say(&Answer::Table {
            table: opened.summary(),
            mapping,
        });
        self.table = Some(opened);
        self.data = None;
        Ok(())
    }

    async fn map(&mut self, mapping: Mapping) -> Result<()> {
        let student = self.student.as_ref().context("load a student first")?;
        let table = self.table.as_ref().context("open a table first")?;
        let (data, summary) = table.map(mapping, student)?;
        let mut settings = suggest::settings(summary.public_size);
        let mut resumable = false;
        if let Some(kept) = kept::run(&self.storage).await
            && kept.bundle == student.card.hash
            && kept.mapping == data.mapping
            && kept::fits(&self.storage, &kept, &data.train).await
        {
            resumable = true;
            settings = kept.settings;
        }
        self.data = Some(data);
        self.port.say(&Answer::Data {
            data: summary,
            settings,
            resumable,
        });
        Ok(())
    }

    async fn cost(&self, number: u64, settings: &Settings, cap: f64) {
        let answer = match self.priced(settings, cap).await {
            Ok(cost) => Answer::Cost { number, cost },
            Err(error) => Answer::Refused {
                number,
                reason: format!("{error:#}"),
            },
        };
        self.port.say(&answer);
    }

    async fn priced(&self, settings: &Settings, cap: f64) -> Result<Cost> {
        let plan = suggest::plan(settings)?;
        let rows = self.data.as_ref().map_or(&[][..], |data| &data.train);
        let quoted = kept::quote(&self.storage, rows, &plan, cap).await?;
        let (quote, cap) = (quoted.quote, quoted.cap);
        let past = |(event, epsilon): (Event, f64)| Past {
            steps: event.steps,
            epsilon,
        };
        let odds = post_core::dp::Odds::of(plan.epsilon(), plan.delta());
        let both = self.student.as_ref().zip(self.data.as_ref());
        if let Some((student, data)) = both {
            student.fits(data.longest + settings.num_virtual_tokens)?;
        }
        let seconds = both.map(|(student, data)| {
            let places = data.mean + settings.num_virtual_tokens as f64;
            plan.steps() as f64 * plan.expected_batch() * places / student.places
        });
        Ok(Cost {
            epsilon: plan.epsilon(),
            delta: plan.delta(),
            statement: quote.statement,
            odds: odds.factor,
            right: odds.right,
            noise_multiplier: plan.noise_multiplier(),
            sample_rate: plan.sample_rate(),
            steps: plan.steps(),
            expected_batch: plan.expected_batch(),
            seconds,
            earlier: quote.earlier.into_iter().map(past).collect(),
            spent: quote.spent,
            total: quote.total,
            cap: cap.is_finite().then_some(cap),
            cap_fixed: quoted.fixed,
        })
    }

    async fn start(&mut self, settings: Settings, mut begin: Begin) -> Result<()> {
        self.port.reset();
        self.alone = self.alone || exclusive::hold().await;
        ensure!(
            self.alone,
            "this page is open in another tab, which has a run; close it, so that both don't spend at once"
        );
        if begin.entered {
            let checkpoint = kept::checkpoint(&self.storage).await?;
            begin.checkpoint =
                Some(checkpoint.context("the run's checkpoint is gone; start anew")?);
            begin.initial = kept::initial(&self.storage).await?;
        }
        loop {
            let error = match self.drive(settings, &begin).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let graphics = |student: &Student| student.kind == DeviceKind::WebGpu;
            if !(is_lost(&error) && self.student.as_ref().is_some_and(graphics)) {
                return Err(error);
            }
            // The processor takes over at the last checkpoint, or at the start where there is none yet: the
            // run was entered before the device had its first task.
            self.devices.lose(&format!("{error:#}"));
            self.choice = Choice::Only(DeviceKind::Cpu);
            let student = self.student.take().context("the student is gone")?;
            self.replace(student.file, student.card.hash).await?;
            begin.entered = true;
            begin.checkpoint = kept::checkpoint(&self.storage).await?;
        }
    }

    async fn drive(&mut self, settings: Settings, begin: &Begin) -> Result<()> {
        let run = Run {
            student: self.student.as_ref().context("load a student first")?,
            data: self.data.as_ref().context("open a table first")?,
            settings,
            storage: &self.storage,
            port: &self.port,
            begin,
        };
        match run.drive().await? {
            Ended::Stopped => {
                let kept = kept::run(&self.storage).await;
                self.port.say(&Answer::Stopped { kept });
            }
            Ended::Done(done) => {
                let (finished, zip) = finished(&done)?;
                let stored = kept::finish(&self.storage, &finished, &zip).await;
                self.prompt = Some(done.prompt);
                self.port.say(&Answer::Done { finished });
                self.warn(stored.err());
            }
        }
        Ok(())
    }

    async fn attempt(&self, texts: Vec<String>) -> Result<()> {
        let student = self.student.as_ref().context("load a student first")?;
        let data = self.data.as_ref().context("open a table first")?;
        let tried = evaluate::attempt(student, data, self.prompt.as_ref(), texts).await?;
        device::sound(student.kind)?;
        self.port.say(&Answer::Tried { tried });
        Ok(())
    }

    async fn test(&self) -> Result<()> {
        let student = self.student.as_ref().context("load a student first")?;
        let data = self.data.as_ref().context("open a table first")?;
        let evaluation = evaluate::test(student, data, self.prompt.as_ref(), &self.port).await?;
        device::sound(student.kind)?;
        self.port.say(&Answer::Tested { evaluation });
        Ok(())
    }

    async fn export(&self) -> Result<()> {
        let finished = kept::finished(&self.storage).await;
        let (_, zip) = finished.context("there is no finished prompt to export")?;
        let task = self.data.as_ref().map_or("post", |data| data.task.name());
        let name = handover::file_name(task);
        self.port.say_with(&Answer::Exported { name }, &zip);
        Ok(())
    }

    async fn import(&mut self, file: Option<Blob>) -> Result<()> {
        let student = self.student.as_ref().context("load a student first")?;
        let file = file.context("no file came with the message")?;
        let zip = files::read(&file).await?;
        let (earlier, summary) = handover::import(&zip, student)?;
        let prompt = earlier.adapter.prompt.clone();
        let tokens = prompt.num_virtual_tokens();
        let goes_on = earlier.is_private().then_some(tokens);
        self.imported = goes_on.map(|_| zip);
        self.prompt = Some(prompt);
        self.port.say(&Answer::Imported { summary, goes_on });
        Ok(())
    }

    /// Something went wrong that the session can do without.
    fn warn(&self, error: Option<anyhow::Error>) {
        if let Some(error) = error {
            self.port.say(&Answer::Error {
                during: Stage::Store,
                message: format!("{error:#}"),
            });
        }
    }
}
