use burn::tensor::{Device, Int, Tensor, TensorData};
use proptest::prelude::*;

use crate::dp::{
    Clip, ClipError, Clipping, Entropy,
    clip::{Clipper, GRID, aside, device, host, is_host, target},
    sample::{PoissonBatch, Step},
};

const STEP: Step = Step { run: 0, number: 1 };

fn tensor(rows: &[Vec<f32>]) -> Tensor<2> {
    let (b, d) = (rows.len(), rows[0].len());
    Tensor::from_data(TensorData::new(rows.concat(), [b, d]), &Device::default())
}

fn threshold(max_grad_norm: f64) -> Clip {
    let clipping = Clipping::Threshold;
    Clip {
        max_grad_norm,
        clipping,
    }
}

fn automatic(max_grad_norm: f64) -> Clip {
    let gamma = Clipping::GAMMA;
    let clipping = Clipping::Automatic { gamma };
    Clip {
        max_grad_norm,
        clipping,
    }
}

fn on_host(rows: &[Vec<f32>], clip: Clip) -> Vec<i64> {
    let mut sum = vec![0; rows[0].len()];
    host::add(&rows.concat(), rows.len(), clip, &mut sum);
    sum
}

fn on_device(rows: &[Vec<f32>], clip: Clip) -> Vec<i64> {
    device::add(tensor(rows), rows.len(), clip)
        .into_data()
        .iter::<i64>()
        .collect()
}

fn square(x: &[i64]) -> i128 {
    x.iter().map(|&x| i128::from(x).pow(2)).sum()
}

/// Gradients made to break a clipper, of `d` numbers each.
fn adversarial(d: usize) -> Vec<Vec<f32>> {
    let mut rows: Vec<Vec<f32>> = [
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        1e19,
        -1e30,
        0.0,
        -0.0,
        1.0,
        1e-7,
        0.5,
        3e38,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ]
    .map(|x| vec![x; d])
    .into();
    // One entry at, just above and far above the bound; one that is not a number among good ones.
    for (x, rest) in [
        (1.0, 0.0),
        (1.000_000_1, 0.0),
        (1e20, 1e19),
        (f32::NAN, 1.0),
        (f32::INFINITY, 0.1),
    ] {
        let mut row = vec![rest; d];
        row[d / 2] = x;
        rows.push(row);
    }
    // Every coordinate half way between two grid points, at the norm bound.
    let each = (target(d) / (d as f64).sqrt()).floor() + 0.5;
    rows.push(vec![(each / GRID as f64) as f32; d]);
    rows.push(
        (0..d)
            .map(|i| if i % 2 == 0 { f32::MAX } else { -f32::MAX })
            .collect(),
    );
    rows
}

#[test]
fn one_example_moves_the_sum_by_at_most_c() {
    for (d, c) in [(1, 1.0), (3, 0.1), (64, 1.0), (5000, 1e-6), (11_520, 1e6)] {
        let base: Vec<Vec<f32>> = (0..4)
            .map(|i| (0..d).map(|j| ((i * 7 + j) as f32).sin()).collect())
            .collect();
        for (sum, clip) in [on_host, on_device]
            .into_iter()
            .flat_map(|sum| [threshold(c), automatic(c)].map(|clip| (sum, clip)))
        {
            let before = sum(&base, clip);
            for row in adversarial(d) {
                for at in [0, base.len()] {
                    let mut with = base.clone();
                    with.insert(at, row.clone());
                    let change: Vec<_> = sum(&with, clip)
                        .iter()
                        .zip(&before)
                        .map(|(a, b)| a - b)
                        .collect();
                    assert!(
                        square(&change) <= i128::from(GRID * GRID),
                        "d {d} {clip:?} {:?}",
                        row[0]
                    );
                    let finite = row.iter().all(|x| x.is_finite());
                    assert!(finite || square(&change) == 0);
                }
            }
        }
    }
}

#[test]
fn an_unchecked_rounding_would_break_the_bound() {
    // The defect: scale to C itself, round, trust it.
    let d = 11_520;
    let row = vec![1.0f64; d];
    let scale = GRID as f64 / (d as f64).sqrt();
    let rounded: Vec<i64> = row.iter().map(|g| (g * scale).round() as i64).collect();
    assert!(square(&rounded) > i128::from(GRID * GRID));
}

#[test]
fn clipping_keeps_direction_and_almost_all_of_the_norm() {
    let row: Vec<f32> = (0..11_520).map(|i| (i as f32 * 0.37).sin() * 5.0).collect();
    for clip in [threshold(1.0), automatic(1.0)] {
        let x = on_host(std::slice::from_ref(&row), clip);
        assert_eq!(x, on_device(std::slice::from_ref(&row), clip));
        let norm = (square(&x) as f64).sqrt();
        assert!(norm > 0.996 * GRID as f64, "{norm}");
        let length = row
            .iter()
            .map(|g| f64::from(*g).powi(2))
            .sum::<f64>()
            .sqrt();
        let dot: f64 = x
            .iter()
            .zip(&row)
            .map(|(&x, &g)| x as f64 * f64::from(g))
            .sum();
        assert!(dot / norm / length > 0.999_99);
    }
}

#[test]
fn short_gradients_are_only_rounded() {
    let row = vec![0.25f32, -0.5, 1e-9];
    for sum in [on_host, on_device] {
        assert_eq!(
            sum(std::slice::from_ref(&row), threshold(1.0)),
            [GRID / 4, -GRID / 2, 0]
        );
    }
}

/// C·g/(‖g‖ + γ), on both sides of the bound, whatever C is.
#[test]
fn automatic_clipping_gives_every_gradient_nearly_the_same_norm() {
    for (length, c) in [(0.05f32, 1.0), (0.05, 1e-3), (5.0, 1.0), (1e-4, 1.0)] {
        let row = vec![0.6 * length, -0.8 * length];
        let share = f64::from(length) / (f64::from(length) + 0.01) * target(2);
        for sum in [on_host, on_device] {
            let x = sum(std::slice::from_ref(&row), automatic(c));
            for (x, expected) in x.iter().zip([0.6 * share, -0.8 * share]) {
                assert!((*x as f64 - expected).abs() < 0.51, "{x} {expected}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn host_and_device_choose_the_same_integers(
        // Sixteenths: their norm is exact in whatever order a device adds.
        rows in prop::collection::vec(prop::collection::vec(-500i16..500, 37), 1..6),
        scale in -60i32..60,
        c in 1e-3f64..1e3,
    ) {
        let unit = f32::from_bits(((127 + scale) as u32) << 23);
        let largest = |row: &[i16]| row.iter().map(|g| g.abs()).max().unwrap().max(1);
        // By the largest entry, so that dividing by it is exact too.
        let rows: Vec<Vec<f32>> = rows.iter().map(|row| {
            let power = f32::from(largest(row)).log2().ceil().exp2();
            let mut row: Vec<f32> = row.iter().map(|&g| f32::from(g) * unit).collect();
            row[0] = power * unit;
            row
        }).collect();
        for clip in [threshold(c), automatic(c)] {
            prop_assert_eq!(on_host(&rows, clip), on_device(&rows, clip));
        }
    }

    #[test]
    fn the_integer_norm_check_is_exact(
        mut x in prop::collection::vec(-130i32..=130, 1..20_000),
        lift in -3i64..=3,
    ) {
        // Put the norm next to the bound, then ask both.
        let rest = GRID * GRID - x.iter().map(|&x| i64::from(x).pow(2)).sum::<i64>();
        let last = ((rest.max(0) as f64).sqrt() as i64 + lift).clamp(-GRID, GRID) as i32;
        x.push(last);
        let exact = x.iter().map(|&x| i64::from(x).pow(2)).sum::<i64>() > GRID * GRID;
        prop_assert_eq!(over(x), exact);
    }
}

fn over(x: Vec<i32>) -> bool {
    let d = x.len();
    let grid = Tensor::<2, Int>::from_data(TensorData::new(x, [1, d]), &Device::default());
    device::exceeds(&grid)
        .into_data()
        .iter::<bool>()
        .next()
        .unwrap()
}

#[test]
fn the_integer_norm_check_holds_at_its_ends() {
    let g = GRID as i32;
    for (x, expected) in [
        (vec![g], false),
        (vec![g, 1], true),
        (vec![-g, 0, 0], false),
        (vec![16; 1 << 20], false),
        ([vec![16; 1 << 20], vec![]].concat(), false),
        ([vec![16; (1 << 20) - 1], vec![17]].concat(), true),
        (vec![g; 1 << 20], true),
        (vec![-g; 4097], true),
        ([vec![0; 4096], vec![g, 1]].concat(), true),
    ] {
        assert_eq!(over(x.clone()), expected, "{} × {}", x.len(), x[0]);
    }
}

#[test]
fn the_cpu_is_exact_and_read_without_copies() {
    let device = Device::default();
    assert!(is_host(&device));
    for dimension in [1, 4095, 4096, 11_520] {
        assert!(pollster::block_on(device::is_exact(&device, dimension)).unwrap());
    }
}

fn clipper(rows: usize, dimension: usize) -> Clipper {
    Clipper::new(
        PoissonBatch {
            rows: (0..rows).collect(),
            step: STEP,
        },
        threshold(1.0),
        dimension,
    )
}

fn gradients(batch: usize, d: usize) -> Tensor<3> {
    Tensor::from_data(
        TensorData::new(vec![0.5f32; batch * d], [batch, 1, d]),
        &Device::default(),
    )
}

#[test]
fn padding_adds_nothing_whatever_its_gradient() {
    pollster::block_on(async {
        let mut clipper = clipper(5, 1);
        let mut sizes = vec![];
        while let Some(micro) = clipper.next_micro(4) {
            assert_eq!((micro.indices().len(), micro.weights().len()), (4, 4));
            sizes.push(micro.weights().iter().sum::<f32>());
            clipper.add(micro, gradients(4, 1)).await.unwrap();
        }
        assert_eq!(sizes, [4.0, 1.0]);
        assert_eq!(clipper.finish().await.unwrap().sum, [5 * GRID / 2]);
    });
}

fn beside(number: f32) -> f32 {
    let tensor = Tensor::<1>::from_data([number], &Device::default());
    let integers: Vec<i64> = aside::integers(tensor).into_data().iter().collect();
    aside::number(&integers).unwrap()
}

#[test]
fn a_number_beside_the_sum_keeps_its_digits() {
    for number in [0.0, 0.25, 1.0, 1.000_000_1, 45.123_46, 1e6 + 0.0625, 1e9] {
        assert_eq!(beside(number), number);
    }
    assert!((beside(1e-3) - 1e-3).abs() < 6e-8);
    assert_eq!(beside(-1e-9), 0.0);
    assert_eq!(beside(f32::MAX), (1 << 30) as f32);
    assert!(
        [f32::NAN, f32::INFINITY]
            .iter()
            .all(|&x| beside(x).is_nan())
    );
    assert_eq!(aside::number(&[]), None);
}

#[test]
fn dropped_examples_foreign_steps_and_wrong_shapes_are_errors() {
    pollster::block_on(async {
        let mut one = clipper(5, 2);
        let first = one.next_micro(4).unwrap();
        one.add(first, gradients(4, 2)).await.unwrap();
        let dropped = one.next_micro(4).unwrap();
        drop(dropped);
        assert!(matches!(
            one.finish().await,
            Err(ClipError::Missing {
                missing: 1,
                drawn: 5
            })
        ));

        let mut one = clipper(5, 2);
        let micro = one.next_micro(4).unwrap();
        let wrong = one.add(micro, gradients(1, 2)).await;
        assert!(matches!(wrong, Err(ClipError::Shape { .. })));

        let step = Step { number: 2, ..STEP };
        let mut other = Clipper::new(
            PoissonBatch {
                rows: vec![0],
                step,
            },
            threshold(1.0),
            2,
        );
        let foreign = clipper(5, 2).next_micro(4).unwrap();
        assert!(matches!(
            other.add(foreign, gradients(4, 2)).await,
            Err(ClipError::Foreign)
        ));
    });
}

#[test]
fn an_empty_batch_has_no_micro_batch_and_a_zero_sum() {
    let mut empty = clipper(0, 3);
    assert!(empty.next_micro(4).is_none());
    assert_eq!(pollster::block_on(empty.finish()).unwrap().sum, [0; 3]);
    assert!(!Entropy::insecure(0).is_private());
}
