//! `CPython`'s random draws, which the reference implementation makes and this program repeats.

use std::collections::HashSet;

use rand_mt::Mt;

/// `CPython`'s `random.Random(seed)`.
pub(crate) struct PythonRandom(Mt);

impl PythonRandom {
    pub(crate) fn new(seed: u64) -> Self {
        // The seed's 32-bit digits, the lowest first, without leading zeros.
        let [low, high] =
            [seed & u64::from(u32::MAX), seed >> 32].map(|word| u32::try_from(word).unwrap_or(0));
        Self(if high == 0 { Mt::new_with_key([low]) } else { Mt::new_with_key([low, high]) })
    }

    /// `sample(range(population), count)`: positions in the order in which they are drawn. At most `population`.
    pub(crate) fn sample(&mut self, population: u64, count: u64) -> Vec<u64> {
        let count = count.min(population);
        if population <= pool_size(count) {
            let mut pool: Vec<u64> = (0..population).collect();
            return (0..count)
                .map(|drawn| {
                    let left = population - drawn;
                    let place = self.below(left);
                    // What was drawn gives its place to the last one.
                    let last = pool[index(left - 1)];
                    std::mem::replace(&mut pool[index(place)], last)
                })
                .collect();
        }
        let mut seen = HashSet::new();
        (0..count)
            .map(|_| {
                loop {
                    let position = self.below(population);
                    if seen.insert(position) {
                        return position;
                    }
                }
            })
            .collect()
    }

    /// `random()`: 53 bits in [0, 1).
    pub(crate) fn random(&mut self) -> f64 {
        let high = f64::from(self.0.next_u32() >> 5);
        let low = f64::from(self.0.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// One draw of `choices(range(length))`: the floor of a random number times the length.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "this is the reference's own arithmetic; the product is in [0, n)"
    )]
    pub(crate) fn index(&mut self, length: usize) -> usize {
        (self.random() * length as f64).floor() as usize
    }

    /// A number below `bound`, which is not 0: as many bits as it has, drawn anew until they are below.
    fn below(&mut self, bound: u64) -> u64 {
        let bits = u64::BITS - bound.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < bound {
                return number;
            }
        }
    }

    /// `getrandbits(bits)`, 1 to 64: the highest bits of a word; of two words the first is the lower.
    fn bits(&mut self, bits: u32) -> u64 {
        let low = self.0.next_u32();
        if bits <= u32::BITS {
            return u64::from(low >> (u32::BITS - bits));
        }
        let high = self.0.next_u32() >> (2 * u32::BITS - bits);
        u64::from(high) << u32::BITS | u64::from(low)
    }
}

/// Up to this size the population is copied; above it, what was drawn is remembered.
fn pool_size(count: u64) -> u64 {
    if count <= 5 {
        return 21;
    }
    // 4 to the power of ceil(log4(3 · count)): three times a count is never a power of four itself.
    let mut power: u64 = 1;
    while power < count.saturating_mul(3) {
        power = power.saturating_mul(4);
    }
    power.saturating_add(21)
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::PythonRandom;

    #[test]
    fn random_numbers_are_pythons() {
        // python3 -c 'import random; r = random.Random(0); print(r.random(), r.random())', and seed 7.
        let mut generator = PythonRandom::new(0);
        assert_eq!(generator.random(), 0.844_421_851_525_048_1);
        assert_eq!(generator.random(), 0.757_954_402_940_302_5);
        assert_eq!(PythonRandom::new(7).random(), 0.323_832_764_833_162_37);
    }

    #[test]
    fn samples_are_those_of_python() {
        // Python 3.11: r = random.Random(1234); r.sample(range(10), 3) and so on, one stream.
        let mut random = PythonRandom::new(1234);
        let mut sample = |population, count| random.sample(population, count);
        for expected in [[7, 1, 0], [1, 0, 9], [1, 5, 3]] {
            assert_eq!(sample(10, 3), expected);
        }
        assert_eq!(sample(100, 5), [2, 3, 44, 82, 79]);
        assert_eq!(sample(100, 5), [61, 78, 59, 19, 11]);
        assert_eq!(sample(40, 6), [11, 7, 0, 32, 31, 15]);
        assert_eq!(sample(40, 6), [4, 34, 29, 39, 5, 32]);
        assert_eq!(sample(5, 5), [4, 0, 1, 3, 2]);
        assert_eq!(sample(70_000, 2), [63_050, 46_561]);
        assert_eq!(sample(1, 1), [0]);
    }

    #[test]
    fn seeds_and_numbers_of_more_than_32_bits_are_those_of_python() {
        let mut random = PythonRandom::new((1 << 40) + 5);
        assert_eq!(random.sample(1000, 4), [516, 529, 275, 679]);
        assert_eq!(random.sample(1 << 33, 2), [3_976_222_944, 3_829_167_211]);
    }

    #[test]
    fn no_more_is_drawn_than_there_is() {
        assert_eq!(PythonRandom::new(1).sample(2, 5).len(), 2);
        assert!(PythonRandom::new(1).sample(0, 5).is_empty());
    }
}
