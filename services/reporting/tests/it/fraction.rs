//! Fractions of whole numbers, for the oracle.

use std::cmp::Ordering;

use num_bigint::BigInt;

/// A fraction; the denominator is positive.
#[derive(Clone, Debug)]
pub struct Fraction(pub BigInt, pub BigInt);

pub fn big(n: i128) -> BigInt {
    BigInt::from(n)
}

impl Fraction {
    pub fn whole(n: i128) -> Self {
        Self(big(n), big(1))
    }
    /// Billionths.
    pub fn nanos(n: i128) -> Self {
        Self(big(n), big(1_000_000_000))
    }
    pub fn plus(&self, o: &Self) -> Self {
        Self(&self.0 * &o.1 + &o.0 * &self.1, &self.1 * &o.1)
    }
    pub fn times(&self, o: &Self) -> Self {
        Self(&self.0 * &o.0, &self.1 * &o.1)
    }
    pub fn over(&self, o: &Self) -> Option<Self> {
        match o.0.cmp(&big(0)) {
            Ordering::Equal => None,
            Ordering::Greater => Some(Self(&self.0 * &o.1, &self.1 * &o.0)),
            Ordering::Less => Some(Self(-(&self.0 * &o.1), -(&self.1 * &o.0))),
        }
    }
    pub fn at_least(&self, o: &Self) -> bool {
        &self.0 * &o.1 >= &o.0 * &self.1
    }
    /// The nearest billionth; of two equally near the even one.
    pub fn rounded(&self) -> i128 {
        let scaled = &self.0 * big(1_000_000_000);
        let mut low = &scaled / &self.1;
        if &low * &self.1 > scaled {
            low -= 1;
        }
        let twice: BigInt = (&scaled - &low * &self.1) * 2;
        let up = match twice.cmp(&self.1) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => &low % 2 != big(0),
        };
        i128::try_from(if up { low + 1 } else { low }).unwrap()
    }
}
