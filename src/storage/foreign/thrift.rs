//! Thrift's compact protocol, as far as it takes to look at a foreign header before a decoder
//! believes it. Source: apache/thrift, doc/specs/thrift-compact-protocol.md.
//!
//! The decoder goes by field numbers and not by the types that the bytes claim, so a number whose
//! type is known must have it: else the two would see different things in the same bytes.

/// How deep anything may be nested that is passed over.
const SKIP_DEPTH: usize = 64;

/// A type, as the bytes claim it and as a known field must have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List,
    Struct,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// A value of this type, or a list of what nobody looks at.
    Plain(Kind),
    /// A struct with these fields, and others that are passed over.
    Struct(Known),
}

/// The known fields of a struct.
pub(super) type Known = &'static [(i16, Shape)];

/// Reads one value after the other; `None` is a damaged document.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Kind {
    fn new(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::I16,
            5 => Self::I32,
            6 => Self::I64,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

impl<'a> Compact<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        let left = self.bytes.len() - self.at;
        let bytes = usize::try_from(bytes).ok().filter(|&n| n <= left)?;
        self.at += bytes;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number of 32 bits; what exceeds them is lost, as it is to the decoder.
    pub(super) fn int(&mut self) -> Option<i32> {
        let value = self.varint()?;
        Some(((value >> 1) as i64 ^ -((value & 1) as i64)) as i32)
    }

    /// Reads a string's length and passes over the string.
    pub(super) fn length(&mut self) -> Option<u64> {
        let length = self.varint()?;
        self.pass(length)?;
        Some(length)
    }

    /// How many items of which type follow.
    pub(super) fn list(&mut self) -> Option<(usize, Kind)> {
        let head = self.byte()?;
        if head == 0 {
            return Some((0, Kind::Byte));
        }
        let kind = Kind::new(head & 0x0f)?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            count => usize::from(count),
        };
        (count <= self.bytes.len() - self.at).then_some((count, kind))
    }

    /// Reads a struct. `field` is given each known field's number and must read its value; it says
    /// `false` to have it passed over.
    pub(super) fn fields(
        &mut self,
        known: Known,
        mut field: impl FnMut(&mut Self, i16) -> Option<bool>,
    ) -> Option<()> {
        self.each(known, SKIP_DEPTH, &mut field)
    }

    fn each(
        &mut self,
        known: Known,
        depth: usize,
        field: &mut dyn FnMut(&mut Self, i16) -> Option<bool>,
    ) -> Option<()> {
        let mut last = 0_i16;
        loop {
            let head = self.byte()?;
            let (delta, code) = (head >> 4, head & 0x0f);
            if code == 0 {
                return Some(());
            }
            let kind = Kind::new(code)?;
            last = match delta {
                0 => self.int()? as i16,
                delta => last.checked_add(i16::from(delta))?,
            };
            match known.iter().find(|(id, _)| *id == last) {
                None => self.skip(kind, depth)?,
                Some((_, Shape::Plain(wanted))) if *wanted != kind => return None,
                Some((_, Shape::Struct(_))) if kind != Kind::Struct => return None,
                Some((id, shape)) => {
                    if !field(self, *id)? {
                        self.pass_over(*shape, kind, depth)?;
                    }
                }
            }
        }
    }

    fn pass_over(&mut self, shape: Shape, kind: Kind, depth: usize) -> Option<()> {
        match shape {
            Shape::Plain(_) => self.skip(kind, depth),
            Shape::Struct(known) => {
                self.each(known, depth.checked_sub(1)?, &mut |_, _| Some(false))
            }
        }
    }

    /// Passes over a field's value.
    fn skip(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // Its value is in the type.
            Kind::Bool => Some(()),
            Kind::Byte => self.pass(1),
            Kind::I16 | Kind::I32 | Kind::I64 => self.varint().map(|_| ()),
            Kind::Double => self.pass(8),
            Kind::Binary => self.length().map(|_| ()),
            Kind::Struct => self.each(&[], depth, &mut |_, _| Some(false)),
            Kind::List => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| match kind {
                    Kind::Bool => self.pass(1),
                    kind => self.skip(kind, depth),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = &[(1, Shape::Plain(Kind::I32)), (2, Shape::Plain(Kind::Binary))];

    /// Field 1, or zero if there is none.
    fn first(bytes: &[u8]) -> Option<i32> {
        let (mut reader, mut found) = (Compact::new(bytes), 0);
        reader.fields(KNOWN, |reader, id| {
            if id == 1 {
                found = reader.int()?;
            }
            Some(id == 1)
        })?;
        Some(found)
    }

    #[test]
    fn numbers_strings_and_unknown_fields() {
        // 1: i32 = -3, 2: "ab", 5: list of 2 booleans, 6: struct of one double.
        let bytes = [&[0x15, 5, 0x18, 2, b'a', b'b', 0x39, 0x21, 1, 2, 0x1c, 0x17][..], &[0; 8]];
        let bytes = [&bytes.concat()[..], &[0, 0]].concat();
        assert_eq!(first(&bytes), Some(-3));
        for length in 0..bytes.len() {
            assert_eq!(first(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_known_field_of_another_type_is_damage() {
        assert_eq!(first(&[0x16, 5, 0]), None);
        assert_eq!(first(&[0x28, 1, b'a', 0]), Some(0));
        assert_eq!(first(&[0x25, 1, 0]), None);
    }

    #[test]
    fn lies_about_lengths_and_endless_nesting_are_damage() {
        assert_eq!(first(&[0x28, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), None);
        assert_eq!(first(&[0x39, 0xf5, 0xff, 0xff, 0xff, 0x0f, 0]), None);
        assert_eq!(first(&[0x3c; 1000]), None);
        assert_eq!(first(&[0x39; 1000]), None);
    }
}
