//! Which of the teacher's blocks a student is made of.

/// `count` of `total` blocks: the first two, the last two, and the others evenly between them.
///
/// The paper takes the first and last one or two (method §1); blocks in between are for students
/// that may be larger. With fewer than four, the first ones come first: 0; 0 and last; 0, 1 and last.
#[must_use]
pub fn default_blocks(total: usize, count: usize) -> Vec<usize> {
    let count = count.min(total);
    let (front, back) = (count.div_ceil(2).min(2), (count / 2).min(2));
    let middle = count - front - back;
    let span = total - front - back;
    let between = (0..middle).map(|i| front + (2 * i + 1) * span / (2 * middle));
    (0..front)
        .chain(between)
        .chain(total - back..total)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::default_blocks;

    #[test]
    fn ends_first_then_evenly_between() {
        assert_eq!(default_blocks(30, 6), [0, 1, 8, 21, 28, 29]);
        assert_eq!(default_blocks(30, 4), [0, 1, 28, 29]);
        assert_eq!(default_blocks(12, 3), [0, 1, 11]);
        assert_eq!(default_blocks(12, 2), [0, 11]);
        assert_eq!(default_blocks(12, 1), [0]);
        assert_eq!(default_blocks(3, 9), [0, 1, 2]);
    }

    #[test]
    fn blocks_are_distinct_and_in_order() {
        for total in 1..40 {
            for count in 1..=total {
                let blocks = default_blocks(total, count);
                assert_eq!(blocks.len(), count);
                assert!(
                    blocks.windows(2).all(|pair| pair[0] < pair[1]),
                    "{blocks:?}"
                );
                assert!(blocks[count - 1] < total);
            }
        }
    }
}
