//! What no run can have left in a ledger: read as it stands, it might count as nothing spent.

use super::super::account::MAX_STEPS;
use super::{DataId, Event, Ledger, LedgerError, SKETCH, slack};

/// # Errors
/// [`LedgerError::Field`] with the first field that is so.
pub(super) fn check(ledger: &Ledger) -> Result<(), LedgerError> {
    let delta = ledger.cap_delta > 0.0 && ledger.cap_delta < 1.0;
    let caps = [
        ("version".to_owned(), ledger.version == 1),
        ("cap_epsilon".to_owned(), ledger.cap_epsilon >= 0.0),
        ("cap_delta".to_owned(), delta),
    ];
    let runs = ledger.runs.iter().enumerate().flat_map(|(at, run)| {
        let (event, data) = (possible(&run.event), is_sketch(&run.data));
        [
            (format!("runs[{at}].event"), event),
            (format!("runs[{at}].data"), data),
        ]
    });
    let wrong = caps.into_iter().chain(runs).find(|(_, holds)| !holds);
    wrong.map_or(Ok(()), |(field, _)| Err(LedgerError::Field(field)))
}

/// Whether a plan can have led to the event. Calibrated noise may end a little above what can be asked for.
fn possible(event: &Event) -> bool {
    (0.0..=1.0).contains(&event.sample_rate)
        && (*slack::NOISE.start()..=2.0 * slack::NOISE.end()).contains(&event.noise_multiplier)
        && (1..=MAX_STEPS).contains(&event.steps)
}

/// Up to 1024 fingerprints of 16 hexadecimal digits.
fn is_sketch(data: &DataId) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fingerprint = |text: &String| text.len() == 16 && text.bytes().all(digit);
    data.0.len() <= SKETCH && data.0.iter().all(fingerprint)
}
