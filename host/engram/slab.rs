//! Numbered places for values, in blocks, so that growing never moves what is
//! there: a push costs the same with ten values as with ten million.

const BLOCK: usize = 1024;

/// Values under stable numbers. A freed number is given out again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    blocks: Vec<Vec<Option<T>>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, value: T) -> usize {
        if let Some(number) = self.free.pop() {
            if let Some(place) = self.place(number) {
                *place = Some(value);
            }
            return number;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let full = (self.blocks.len() - 1) * BLOCK;
        self.blocks.last_mut().map_or(full, |block| {
            block.push(Some(value));
            full + block.len() - 1
        })
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.blocks
            .get(number / BLOCK)?
            .get(number % BLOCK)?
            .as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.place(number)?.as_mut()
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        let value = self.place(number)?.take();
        if value.is_some() {
            self.free.push(number);
        }
        value
    }

    fn place(&mut self, number: usize) -> Option<&mut Option<T>> {
        self.blocks.get_mut(number / BLOCK)?.get_mut(number % BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_number_is_given_out_again_and_others_stay() {
        let mut slab = Slab::new();
        let numbers: Vec<_> = (0..3 * BLOCK).map(|value| slab.insert(value)).collect();
        assert_eq!(numbers, (0..3 * BLOCK).collect::<Vec<_>>());
        assert_eq!(slab.remove(BLOCK + 1), Some(BLOCK + 1));
        assert_eq!(slab.remove(BLOCK + 1), None);
        assert_eq!(slab.get(BLOCK + 1), None);
        assert_eq!(slab.insert(7), BLOCK + 1);
        assert_eq!(slab.get(BLOCK + 1), Some(&7));
        assert_eq!(slab.get(BLOCK + 2), Some(&(BLOCK + 2)));
        assert_eq!(slab.get(3 * BLOCK), None);
    }
}
