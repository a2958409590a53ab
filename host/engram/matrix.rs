//! The vectors of stored states as unit rows, scanned by dot product.
//!
//! Rows lie in blocks, contiguous within each, so that growing never copies
//! what is there. A row belongs to one state as long as the state is held,
//! visible or not: a rollback that brings a state back finds its row in place.
//! Memory of freed rows is used again, not returned.

use super::entry::Entry;
use super::store::Projection;

/// Rows a block.
const BLOCK: usize = 256;

/// Numbers that are summed side by side: four registers of four lanes.
const LANES: usize = 16;

/// Unit rows of one width, by number.
pub(super) struct Matrix {
    width: usize,
    blocks: Vec<Box<[f32]>>,
    free: Vec<usize>,
    /// Rows that were ever used at the same time.
    rows: usize,
}

impl Matrix {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            blocks: Vec::new(),
            free: Vec::new(),
            rows: 0,
        }
    }

    /// Cosine of the angle between a row and a unit vector.
    pub(super) fn cosine(&self, row: usize, unit: &[f32]) -> Option<f32> {
        let start = row % BLOCK * self.width;
        let block = self.blocks.get(row / BLOCK)?;
        let row = block.get(start..start + self.width)?;
        Some(dot(row, unit))
    }

    fn row_mut(&mut self, row: usize) -> Option<&mut [f32]> {
        let start = row % BLOCK * self.width;
        if self.blocks.len() == row / BLOCK {
            self.blocks.push(vec![0.0; BLOCK * self.width].into());
        }
        let block = self.blocks.get_mut(row / BLOCK)?;
        block.get_mut(start..start + self.width)
    }
}

impl Projection for Matrix {
    fn attach(&mut self, entry: &Entry) -> usize {
        let row = self.free.pop().unwrap_or_else(|| {
            self.rows += 1;
            self.rows - 1
        });
        if let Some(vector) = &entry.embedding
            && let Some(numbers) = self.row_mut(row)
        {
            write_unit(vector, numbers);
        }
        row
    }

    fn detach(&mut self, row: usize) {
        self.free.push(row);
    }
}

/// The vector of length 1 in the same direction.
pub(super) fn unit(vector: &[f32]) -> Vec<f32> {
    let mut row = vec![0.0; vector.len()];
    write_unit(vector, &mut row);
    row
}

/// Squares are summed in 64 bits, where no finite `f32` overflows or vanishes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a part of a unit vector is at most 1"
)]
fn write_unit(vector: &[f32], row: &mut [f32]) {
    let mut sums = [0.0_f64; LANES];
    let (chunks, rest) = vector.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, number) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*number) * f64::from(*number);
        }
    }
    let squares = rest.iter().map(|number| f64::from(*number).powi(2));
    let norm = (sums.iter().sum::<f64>() + squares.sum::<f64>()).sqrt();
    let scale = if norm > 0.0 { norm.recip() } else { 0.0 };
    for (part, number) in row.iter_mut().zip(vector) {
        *part = (f64::from(*number) * scale) as f32;
    }
}

/// Sum of products, written so that the compiler keeps it in vector registers.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += a * b;
        }
    }
    let rest = left_rest.iter().zip(right_rest);
    sums.iter().sum::<f32>() + rest.map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dot_product_takes_every_number_once() {
        for width in [1, 7, LANES, LANES + 3, 3 * LANES] {
            let ones = vec![1.0; width];
            let twos = vec![2.0; width];
            let expected: f32 = twos.iter().sum();
            assert!((dot(&ones, &twos) - expected).abs() < f32::EPSILON);
        }
    }

    #[test]
    fn unit_vectors_survive_the_ends_of_the_number_range() {
        for number in [f32::MAX, 1.0, f32::MIN_POSITIVE, 1e-45] {
            let row = unit(&[number; 4]);
            assert!(row.iter().all(|part| (part - 0.5).abs() < 1e-6), "{row:?}");
        }
    }
}
