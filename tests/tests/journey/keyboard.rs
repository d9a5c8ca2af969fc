//! The whole path with the keyboard alone, and the eye always knows where it is.

use serde_json::{Value, json};

use super::browser::Browser;
use super::options::Options;
use super::server::Served;
use super::tiny::Tiny;

/// Keys by the protocol's numbers.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const CONTROL: &str = "\u{e009}";
const LEFT: &str = "\u{e012}";
const UP: &str = "\u{e013}";
/// The page has fewer places where the keyboard stops.
const STOPS: usize = 80;

/// Where the keyboard is; whether a line is around that place, and it is seen.
const FOCUS: &str = "
    const at = document.activeElement;
    const around = at.matches('.hidden') ? at.closest('label') : at;
    const { outlineStyle, outlineWidth } = getComputedStyle(around);
    const { top, bottom } = around.getBoundingClientRect();
    return {
      here: at.matches(arguments[0]),
      what: at.outerHTML.slice(0, 100),
      seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && bottom > 0 && top < innerHeight,
    };";

impl Browser {
    /// Presses keys together and lets them go.
    #[track_caller]
    fn press(&self, keys: &[&str]) {
        let key = |kind: &str, key: &str| json!({ "type": kind, "value": key });
        let down = keys.iter().map(|name| key("keyDown", name));
        let up = keys.iter().rev().map(|name| key("keyUp", name));
        let actions: Vec<Value> = down.chain(up).collect();
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        let pressed = self.wire.post("actions", &json!({ "actions": [source] }));
        self.good("pressing a key", pressed);
    }

    /// Goes on with the tab key until it is at an element. Each place on the way is seen, at once or when the page
    /// has scrolled there.
    #[track_caller]
    fn tab_to(&self, css: &str) {
        for _ in 0..STOPS {
            self.press(&[TAB]);
            let focus = || self.script(FOCUS, &[css.into()]);
            let at = focus();
            let what = format!("the eye to find {} on the way to {css}", at["what"]);
            self.until(&what, || (focus()["seen"] == true).then_some(()));
            if at["here"] == true {
                return;
            }
        }
        self.fail(&format!("the tab key does not lead to {css}"));
    }
}

#[test]
fn from_arrival_to_the_prompt_without_a_mouse() {
    let tiny = Tiny::new(40);
    let served = Served::start(&[&tiny.bundle()], None);
    let browser = Browser::start("keyboard", &Options::default());
    browser.arrive(&served.url(""));
    browser.tab_to("header summary");
    browser.press(&[ENTER]);
    assert!(browser.shows(".check ul"));
    browser.tab_to("#bundles [data-part=load]");
    browser.press(&[ENTER]);
    browser.until("the student", || browser.shows("#loaded").then_some(()));

    browser.tab_to("#table-file");
    // What the key would open is the system's own.
    browser.choose_table(&tiny.table());
    browser.tab_to("#unit-row");
    browser.press(&[UP]);
    assert_eq!(browser.property("#unit-person", "checked"), true);
    browser.tab_to("#epsilon");
    browser.press(&[LEFT]);
    browser.until_text("#epsilon-value", |said| said == "ε = 6");
    browser.tab_to("#privacy-controls > details > summary");
    browser.press(&[" "]);
    browser.tab_to("#set-steps");
    browser.press(&[CONTROL, "a"]);
    browser.press(&["3"]);
    assert_eq!(browser.property("#set-steps", "value"), "3");
    browser.until_allowed();
    browser.tab_to("#start");
    browser.screenshot("start");
    browser.press(&[" "]);
    browser.finish_run();
    browser.tab_to("#export");
    browser.press(&[ENTER]);
    assert!(!browser.downloaded("prompt-toy.zip").is_empty());
    let statement = browser.text("#result-statement");
    assert!(statement.contains("for each person"), "{statement}");
}
