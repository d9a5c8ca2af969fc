//! What the page's own thread does, and how long each piece of it takes, by the browser's trace.

use std::fmt;

use serde_json::Value;

use super::browser::Browser;

/// What the browser calls one turn of a thread's loop.
const TASK: &str = "ThreadControllerImpl::RunTask";

/// Marks in the trace, made on the page's thread.
const BEGIN: &str = "journey-begins";
const END: &str = "journey-ends";

/// One turn of the loop of the page's thread: until it is over, nobody is listened to.
#[derive(Debug)]
pub(crate) struct Task {
    /// Milliseconds on the processor: what the page itself is to blame for.
    pub(crate) cpu: f64,
    /// Milliseconds by the clock, those in which somebody else had the processor among them.
    pub(crate) wall: f64,
    /// What asked for it.
    what: String,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, wall, what } = self;
        write!(
            f,
            "{cpu:.1} ms of the processor, {wall:.1} ms by the clock: {what}"
        )
    }
}

/// All tasks between two marks.
#[derive(Debug)]
pub(crate) struct Tasks(pub(crate) Vec<Task>);

impl Tasks {
    /// The one that took the processor longest.
    pub(crate) fn longest(&self) -> &Task {
        let longest = self.0.iter().max_by(|a, b| a.cpu.total_cmp(&b.cpu));
        longest.expect("a page does something")
    }

    /// How many took longer than `milliseconds` by the clock.
    pub(crate) fn longer(&self, milliseconds: f64) -> usize {
        self.0
            .iter()
            .filter(|task| task.wall > milliseconds)
            .count()
    }
}

impl Browser {
    /// What the browser has told of what it does since it was last asked: events of the debugger.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let told = self
            .wire
            .post("se/log", &serde_json::json!({ "type": "performance" }));
        let told = self.good("the log of what it does", told);
        let event = |line: &Value| {
            let mut said: Value = serde_json::from_str(line["message"].as_str()?).ok()?;
            Some(said["message"].take())
        };
        told.as_array()
            .into_iter()
            .flatten()
            .filter_map(event)
            .collect()
    }

    /// What the page's thread does while `act` is done. The browser was started `watched`.
    #[track_caller]
    pub(crate) fn tasks_of(&self, act: impl FnOnce()) -> Tasks {
        // What was before would fill the trace.
        self.events();
        self.mark(BEGIN);
        act();
        self.mark(END);
        let mut events = Vec::new();
        // The driver hands out what it has, which isn't always all.
        self.until("the whole trace", || {
            events.extend(self.events());
            let traced = |event: &Value| event["params"]["name"] == END;
            events.iter().any(traced).then_some(())
        });
        tasks(&events)
    }

    #[track_caller]
    fn mark(&self, name: &str) {
        self.script("performance.mark(arguments[0])", &[name.into()]);
    }
}

fn tasks(events: &[Value]) -> Tasks {
    let traced: Vec<_> = events
        .iter()
        .filter(|event| event["method"] == "Tracing.dataCollected")
        .map(|event| &event["params"])
        .collect();
    let mark = |name: &str| {
        let mark = traced.iter().find(|event| event["name"] == name);
        mark.unwrap_or_else(|| panic!("the trace has no {name} in {} events", traced.len()))
    };
    let (begin, end) = (mark(BEGIN), mark(END));
    let at = |event: &Value| event["ts"].as_f64().unwrap_or_default();
    let here = |event: &Value| event["pid"] == begin["pid"] && event["tid"] == begin["tid"];
    let milliseconds = |duration: &Value| Some(duration.as_f64()? / 1000.0);
    let task = |event: &Value| {
        let wall = milliseconds(&event["dur"]).expect("the trace has the time by the clock");
        Task {
            // Left out where it is too short to be told; it is no longer than the clock has it.
            cpu: milliseconds(&event["tdur"]).unwrap_or(wall),
            wall,
            what: format!(
                "{} in {}",
                event["args"]["src_func"], event["args"]["src_file"]
            ),
        }
    };
    let tasks = traced.iter().filter(|event| {
        let during = at(begin) < at(event) && at(event) < at(end);
        event["name"] == TASK && event["ph"] == "X" && here(event) && during
    });
    Tasks(tasks.map(|event| task(event)).collect())
}
