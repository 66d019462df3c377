//! Texts as numbers, so that a row of a long table takes few bytes.

use std::collections::HashMap;

/// Distinct texts, numbered from 0 as they come. Nothing depends on the order of the map.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Names {
    /// The number of `text`, which is new or not.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        if let Some(number) = self.find(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    /// The number of `text`, if it has one.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// The texts, by their numbers.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The numbers in the order of `key` of their texts.
    pub(super) fn sorted_by<K: Ord>(&self, key: impl Fn(&str) -> K) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_by_cached_key(|number| key(&self.texts[*number as usize]));
        order
    }
}

/// For each number its place in `order`.
pub(super) fn places(order: &[u32]) -> Vec<u32> {
    let mut places = vec![0; order.len()];
    for (place, number) in (0..).zip(order) {
        places[*number as usize] = place;
    }
    places
}
