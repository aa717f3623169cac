//! The progress bar on standard error, which stands below what is printed there.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

/// How long a thread that panics waits until another has told so.
const BRIEFLY: Duration = Duration::from_millis(300);

/// The bar that is drawn.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

/// A bar of so many steps, hidden until it is shown.
pub(crate) fn hidden_bar(steps: u64, style: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(style).expect("the template is fixed");
    ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::hidden()).with_style(style)
}

/// Draws `bar` on standard error from now on, if that is a terminal.
pub(crate) fn show(bar: &ProgressBar) {
    bar.set_draw_target(ProgressDrawTarget::stderr());
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// Takes `bar` away; what is said afterwards stands where it was.
pub(crate) fn take_away(bar: &ProgressBar) {
    bar.finish_and_clear();
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Does something while the bar is not there.
pub(super) fn above<R>(print: impl FnOnce() -> R) -> R {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(WeakProgressBar::upgrade);
    match bar.filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Waits for a thread, but not for long: it may wait for what this one holds.
pub(super) fn wait_briefly(thread: &JoinHandle<()>) {
    let deadline = Instant::now() + BRIEFLY;
    while !thread.is_finished() && Instant::now() < deadline {
        std::thread::sleep(BRIEFLY / 100);
    }
}
