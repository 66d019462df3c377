//! The fence around decoders of foreign bytes: a panic inside becomes an answer, and is not printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, or gives `None` if it panics. What it wrote to is in no known state then: keep
/// nothing of it.
pub(crate) fn fence<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = INSIDE.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(before);
    done.ok()
}

/// From now on a panic inside of a fence prints nothing; any other is reported as before. For
/// programs: a library leaves the process's hook alone.
pub(crate) fn hush() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !INSIDE.get() {
            before(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_at_its_fence() {
        assert_eq!(fence(|| 1), Some(1));
        assert_eq!(fence(|| -> i32 { panic!("inside") }), None);
        let inner = fence(|| {
            let inner = fence(|| -> i32 { panic!("deeper") });
            (inner, INSIDE.get())
        });
        assert_eq!(inner, Some((None, true)));
        assert!(!INSIDE.get());
    }
}
