//! The footer of a foreign Parquet file, looked at before the decoder builds anything from it.
//!
//! The decoder makes room for as many children as a schema claims and descends as deep as it goes.
//! Source: apache/parquet-format, parquet.thrift.

use super::limits::Limits;
use super::thrift::{Compact, Kind, Known, Shape};
use crate::error::{Error, ErrorKind, Result};

/// How deep columns may be nested. A list costs two levels.
const MAX_DEPTH: usize = 100;

/// The bytes of all columns' full names together; a short footer can claim far more.
const MAX_NAMES: u64 = 16 << 20;

const I32: Shape = Shape::Plain(Kind::I32);
const LIST: Shape = Shape::Plain(Kind::List);
const BINARY: Shape = Shape::Plain(Kind::Binary);
const EMPTY: Shape = Shape::Struct(&[]);

/// `FileMetaData`.
const FILE: Known = &[
    (1, I32),
    (2, LIST),
    (3, Shape::Plain(Kind::I64)),
    (4, LIST),
    (5, LIST),
    (6, BINARY),
    (7, LIST),
    (8, EMPTY),
    (9, BINARY),
];

/// `SchemaElement`.
const ELEMENT: Known = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, BINARY),
    (5, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, Shape::Struct(LOGICAL)),
];

/// `LogicalType`.
const LOGICAL: Known = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Shape::Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, Shape::Struct(TIME)),
    (8, Shape::Struct(TIME)),
    (10, Shape::Struct(&[(1, Shape::Plain(Kind::Byte)), (2, Shape::Plain(Kind::Bool))])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Shape::Struct(&[(1, Shape::Plain(Kind::Byte))])),
    (17, Shape::Struct(&[(1, BINARY)])),
    (18, Shape::Struct(&[(1, BINARY), (2, I32)])),
];

/// `TimeType` and `TimestampType`.
const TIME: Known =
    &[(1, Shape::Plain(Kind::Bool)), (2, Shape::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))];

/// Holds the schema in a footer against the limits.
///
/// # Errors
/// `LimitExceeded` if it is too deep or has too many columns, `InvalidInput` if it is damaged.
pub(in crate::storage) fn check(footer: &[u8], limits: &Limits) -> Result<()> {
    let mut reader = Compact::new(footer);
    let (mut elements, mut seen) = (Vec::new(), false);
    let read = reader.fields(FILE, |reader, id| {
        // Writers put the schema first, after the version. The decoder ignores a second one.
        if id != 2 || seen {
            return (id == 1 || seen).then_some(false);
        }
        seen = true;
        let (count, kind) = reader.list()?;
        for _ in 0..count {
            elements.push(element(reader, kind)?);
        }
        Some(true)
    });
    read.ok_or_else(|| Error::input("the footer is damaged"))?;
    tree(&elements, limits)
}

/// One node of the schema.
struct Element {
    children: usize,
    /// The bytes of its name.
    name: u64,
}

fn element(reader: &mut Compact<'_>, kind: Kind) -> Option<Element> {
    let mut element = Element { children: 0, name: 0 };
    if kind != Kind::Struct {
        return None;
    }
    reader.fields(ELEMENT, |reader, id| {
        match id {
            4 => element.name = reader.length()?,
            5 => element.children = usize::try_from(reader.int()?).ok()?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(element)
}

/// Walks the nodes, which stand in the order of a depth-first search.
fn tree(elements: &[Element], limits: &Limits) -> Result<()> {
    // For each open group its children to come, and the bytes of the names on the way to it.
    let mut open: Vec<(usize, u64)> = Vec::new();
    let (mut columns, mut names) = (0, 0_u64);
    for (index, element) in elements.iter().enumerate() {
        let above = open.last().map_or(0, |group| group.1);
        if let Some(group) = open.last_mut() {
            group.0 -= 1;
        }
        let path = above.saturating_add(element.name);
        if element.children > elements.len() - index - 1 {
            return Err(Error::input("the footer is damaged: a column claims too many children"));
        }
        if element.children == 0 {
            columns += 1;
            names = names.saturating_add(path);
        } else {
            open.push((element.children, path));
        }
        if open.len() > MAX_DEPTH {
            let message =
                format!("columns are nested more than {MAX_DEPTH} levels deep; flatten them");
            return Err(limit(message));
        }
        while open.last().is_some_and(|group| group.0 == 0) {
            open.pop();
        }
    }
    if columns > limits.columns {
        return Err(limit(format!(
            "it has {columns} columns, more than data.max_columns = {}; raise that limit, or write \
             the file with fewer columns",
            limits.columns
        )));
    }
    if names > MAX_NAMES {
        return Err(limit(format!(
            "the full names of its columns have {names} bytes, more than {MAX_NAMES}; shorten them"
        )));
    }
    Ok(())
}

fn limit(message: String) -> Error {
    Error::new(ErrorKind::LimitExceeded, message)
}
