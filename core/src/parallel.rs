//! Several micro-batches at once, where the device is the host itself.
//!
//! A pass over one micro-batch is long stretches of one thread (element-wise steps, small products,
//! bookkeeping) between products that use all cores. Two passes side by side fill each other's gaps.
//! A GPU does that by itself, and a tab has no threads: there they run one after the other.

use std::num::NonZeroUsize;
use std::{panic, thread};

use burn::tensor::Device;

/// How many passes are worth making at once.
pub(crate) fn width(device: &Device) -> usize {
    if is_host(device) {
        thread::available_parallelism().map_or(1, NonZeroUsize::get)
    } else {
        1
    }
}

/// `work` on each of `items`, [`width`] at a time; results in the order of the items, so that what is
/// added up from them does not depend on the number of threads.
pub(crate) fn map<T, R>(device: &Device, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let width = width(device).min(items.len());
    if width < 2 {
        return items.iter().map(work).collect();
    }
    // Threads of our own, not tasks of the pool that the products run on: a task that waits for a
    // product could be given another of these to do meanwhile, in the middle of a locked graph.
    let together = |items: &[T]| -> Vec<R> {
        thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = items
                .iter()
                .map(|item| scope.spawn(move || work(item)))
                .collect();
            let result = |thread: thread::ScopedJoinHandle<'_, R>| {
                thread
                    .join()
                    .unwrap_or_else(|panic| panic::resume_unwind(panic))
            };
            threads.into_iter().map(result).collect()
        })
    };
    items.chunks(width).flat_map(together).collect()
}

/// Whether the device is the host's own cores.
fn is_host(device: &Device) -> bool {
    format!("{device:?}").contains("Flex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        let squares = map(&Device::flex(), &items, |x| x * x);
        assert_eq!(squares, items.iter().map(|x| x * x).collect::<Vec<_>>());
        assert!(map(&Device::flex(), &[], |x: &u64| *x).is_empty());
    }

    #[test]
    fn a_panic_is_not_lost() {
        let caught = panic::catch_unwind(|| {
            map(&Device::flex(), &[1, 2, 3], |&x| assert_ne!(x, 2));
        });
        assert!(caught.is_err());
    }
}
