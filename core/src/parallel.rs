//! Several micro-batches at once, where the device is the host itself.
//!
//! A pass over one micro-batch is stretches of one thread (element-wise steps, small products,
//! bookkeeping) between products that could use all cores. Passes side by side, each with cores of its
//! own, wait for nobody. A GPU does that by itself, and a tab has no threads: there they run one after
//! the other.

use std::num::NonZeroUsize;
use std::thread;

use burn::tensor::Device;

/// How many passes are worth making at once.
pub(crate) fn width(device: &Device) -> usize {
    if is_host(device) { cores() } else { 1 }
}

/// `work` on each of `items`, as many at a time as there are cores; results in the order of the items.
/// For numbers in the host's memory.
pub(crate) fn each<T, R>(items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R>
where
    T: Send,
    R: Send,
{
    teams::each(items, work)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
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
    teams::map(width, items, &work)
}

/// `work` on each of `items`, shared out among devices that work side by side: item i goes to device i modulo
/// their number, which `work` is told. Results come in the order of the items.
pub(crate) fn shared<T, R>(
    devices: &[&Device],
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let one = |number: usize| {
        let share: Vec<&T> = items.iter().skip(number).step_by(devices.len()).collect();
        map(devices[number], &share, |item| work(number, item)).into_iter()
    };
    let mut shares = teams::each_alone(devices.len(), one);
    (0..items.len())
        .filter_map(|item| shares[item % devices.len()].next())
        .collect()
}

/// What [`shared`] work comes to, added up on each device in the order of its items: a sum for each device that
/// had any. Only what is computed side by side is held beside the sums.
pub(crate) fn sums<T, R>(
    devices: &[&Device],
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
    add: impl Fn(R, R) -> R,
) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let mut sums: Vec<Option<R>> = devices.iter().map(|_| None).collect();
    let at_once = devices.iter().map(|device| width(device)).sum();
    for together in items.chunks(at_once) {
        for (number, part) in shared(devices, together, &work).into_iter().enumerate() {
            let sum = &mut sums[number % devices.len()];
            *sum = sum.take().into_iter().chain([part]).reduce(&add);
        }
    }
    sums.into_iter().flatten().collect()
}

#[cfg(not(target_family = "wasm"))]
mod teams {
    use std::{panic, thread};

    use rayon::prelude::*;
    use rayon::{ThreadPool, ThreadPoolBuilder};

    pub(super) fn each<T, R>(items: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R>
    where
        T: Send,
        R: Send,
    {
        items.into_par_iter().map(work).collect()
    }

    /// `work` on the numbers up to `count`, each on a thread of its own.
    pub(super) fn each_alone<R: Send>(count: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        if count == 1 {
            return vec![work(0)];
        }
        let work = &work;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .map(|number| scope.spawn(move || work(number)))
                .collect();
            threads.into_iter().map(result).collect()
        })
    }

    /// What a thread came to; its panic is the caller's.
    fn result<R>(thread: thread::ScopedJoinHandle<'_, R>) -> R {
        thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    }

    /// `work` on `width` items at a time. A team is a pool that a pass's products run on, instead of
    /// one that all passes share: there a pass would wait until the others' products leave it a core.
    pub(super) fn map<T, R>(width: usize, items: &[T], work: &(impl Fn(&T) -> R + Sync)) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        let cores = super::cores();
        let team = |_| ThreadPoolBuilder::new().num_threads(cores / width).build();
        let Ok(teams) = (0..width).map(team).collect::<Result<Vec<_>, _>>() else {
            return items.iter().map(work).collect();
        };
        let together = |items: &[T]| match items {
            // Nobody is beside it: it may have all cores.
            [item] => vec![work(item)],
            items => side_by_side(&teams, items, work),
        };
        items.chunks(width).flat_map(together).collect()
    }

    fn side_by_side<T, R>(
        teams: &[ThreadPool],
        items: &[T],
        work: &(impl Fn(&T) -> R + Sync),
    ) -> Vec<R>
    where
        T: Sync,
        R: Send,
    {
        thread::scope(|scope| {
            let threads: Vec<_> = teams
                .iter()
                .zip(items)
                .map(|(team, item)| scope.spawn(move || team.install(|| work(item))))
                .collect();
            threads.into_iter().map(result).collect()
        })
    }
}

#[cfg(target_family = "wasm")]
mod teams {
    pub(super) fn each<T, R>(items: Vec<T>, work: impl Fn(T) -> R) -> Vec<R> {
        items.into_iter().map(work).collect()
    }

    pub(super) fn each_alone<R>(count: usize, work: impl Fn(usize) -> R) -> Vec<R> {
        (0..count).map(work).collect()
    }

    pub(super) fn map<T, R>(_: usize, items: &[T], work: &impl Fn(&T) -> R) -> Vec<R> {
        items.iter().map(work).collect()
    }
}

/// Whether the device is the host's own cores.
pub(crate) fn is_host(device: &Device) -> bool {
    format!("{device:?}").contains("Flex")
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        let squares = map(&Device::flex(), &items, |x| x * x);
        assert_eq!(squares, items.iter().map(|x| x * x).collect::<Vec<_>>());
        assert!(map(&Device::flex(), &[], |x: &u64| *x).is_empty());
        assert_eq!(each(items, |x| x * x), squares);
    }

    #[test]
    fn devices_take_items_in_turn() {
        let device = Device::flex();
        let items: Vec<usize> = (0..11).collect();
        for count in 1..4 {
            let found = shared(&vec![&device; count], &items, |number, &item| {
                (number, item)
            });
            let expected = items.iter().map(|&item| (item % count, item));
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
        let none = shared(&[&device, &device], &[], |_, &item: &usize| item);
        assert!(none.is_empty());
    }

    #[test]
    fn each_device_adds_up_its_own() {
        let device = Device::flex();
        let items: Vec<usize> = (0..100).collect();
        for count in 1..4 {
            let work = |number, &item: &usize| vec![(number, item)];
            let join = |a: Vec<_>, b| [a, b].concat();
            let found = sums(&vec![&device; count], &items, work, join);
            assert_eq!(found.len(), count);
            for (number, sum) in found.iter().enumerate() {
                assert!(sum.iter().all(|part| part.0 == number));
                assert!(sum.is_sorted_by_key(|part| part.1));
            }
            assert_eq!(found.concat().len(), items.len());
            let few = sums(&vec![&device; count], &items[..1], work, join);
            assert_eq!(few, [[(0, 0)]]);
        }
    }

    #[test]
    fn a_panic_is_not_lost() {
        let device = Device::flex();
        let caught = panic::catch_unwind(|| {
            map(&device, &[1, 2, 3], |&x| assert_ne!(x, 2));
        });
        assert!(caught.is_err());
        let caught = panic::catch_unwind(|| {
            shared(&[&device, &device], &[1, 2, 3], |_, &x| assert_ne!(x, 2));
        });
        assert!(caught.is_err());
    }
}
