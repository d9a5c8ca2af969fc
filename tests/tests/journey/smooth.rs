//! While workers compute, the page listens: no task of its thread takes long.

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tasks::Tasks;
use super::tiny::Tiny;

/// Milliseconds that a person doesn't notice, and that browsers call long beyond.
const LONG: f64 = 50.0;

/// Starts a run and waits for its end; the page's own work on the way takes no longer than it may.
///
/// What counts is the time on the processor: by the clock a task is as long as the machine is busy, and the
/// workers keep it busy. What the clock says is kept as `<test>-tasks.txt`.
#[track_caller]
pub(crate) fn run_smoothly(browser: &Browser) {
    browser.script(
        "self.long = [];
         new PerformanceObserver(list => self.long.push(...list.getEntries().map(task => task.duration)))
           .observe({ type: 'longtask' });",
        &[],
    );
    let tasks = browser.tasks_of(|| {
        browser.start_run();
        browser.finish_run();
    });
    let observed = browser.script("return self.long", &[]);
    let longest = tasks.longest();
    let report = format!(
        "{} tasks, {} over {LONG} ms by the clock (the page saw {observed}); longest: {longest}\n",
        tasks.0.len(),
        tasks.longer(LONG)
    );
    browser.keep("tasks.txt", report.as_bytes());
    assert!(longest.cpu <= LONG, "{report}");
}

/// A browser whose every task is written down.
pub(crate) fn watched() -> Options {
    Options {
        watched: true,
        ..Options::default()
    }
}

#[test]
fn a_run_of_many_steps_never_holds_the_page_up() {
    let tiny = Tiny::new(60);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = Browser::start("smooth", &watched());
    browser.arrive(&served.url(""));
    browser.load_student();
    browser.choose_table(&tiny.table());
    browser.set("set-steps", "1000");
    run_smoothly(&browser);
}

/// The instrument itself sees what it is there for.
#[test]
fn what_holds_the_page_up_is_seen() {
    let served = Served::start(&[], None);
    let browser = Browser::start("held-up", &watched());
    browser.goto(&served.url(""));
    let busy = |milliseconds: u32| -> Tasks {
        browser.tasks_of(|| {
            browser.script(
                "const end = performance.now() + arguments[0]; while (performance.now() < end);",
                &[milliseconds.into()],
            );
        })
    };
    let (idle, held_up) = (busy(0), busy(1000));
    assert!(idle.longest().cpu <= LONG, "{}", idle.longest());
    assert!(held_up.longest().cpu > LONG, "{}", held_up.longest());
    assert!(held_up.longest().wall >= 1000.0, "{}", held_up.longest());
}
