//! The part of Python's pickle protocol that `torch.save` writes for a state dict, read without
//! running anything. Opcodes: Python's Lib/pickletools.py, protocols 2 to 5. A file can name only
//! the globals of [`Global`]; anything else is refused by name.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::PytorchError;

/// Everything that a file may name. None of it is called: each has one meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    pub(super) const fn bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, PytorchError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(Element::F64),
            ("torch", "FloatStorage") => Self::Storage(Element::F32),
            ("torch", "HalfStorage") => Self::Storage(Element::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Element::Bf16),
            ("torch", "LongStorage") => Self::Storage(Element::I64),
            ("torch", "IntStorage") => Self::Storage(Element::I32),
            ("torch", "ShortStorage") => Self::Storage(Element::I16),
            ("torch", "CharStorage") => Self::Storage(Element::I8),
            ("torch", "ByteStorage") => Self::Storage(Element::U8),
            ("torch", "BoolStorage") => Self::Storage(Element::Bool),
            _ => return Err(PytorchError::Global(format!("{module}.{name}"))),
        })
    }
}

/// A tensor as the pickle describes it; its values are in the archive under `storage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorView {
    pub(super) storage: Rc<str>,
    pub(super) element: Element,
    /// Elements of the storage, not of the tensor.
    pub(super) storage_elements: u64,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) stride: Vec<u64>,
}

/// A value on the machine's stack. Dictionaries and lists change after others refer to them and
/// may contain themselves, so they are numbers into the machine's tables.
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Int(i64),
    Text(Rc<str>),
    Tuple(Tuple),
    Dict(usize),
    List(usize),
    Global(Global),
    Storage(Rc<str>, Element, u64),
    Tensor(Rc<TensorView>),
    Bool(bool),
    /// A number that no weight needs: a float of an optimiser's state.
    Scalar,
}

/// An immutable sequence. Its depth is bounded, because it is dropped recursively.
#[derive(Debug, Clone)]
pub(super) struct Tuple {
    items: Rc<[Value]>,
    depth: u8,
}

/// What a pickle describes: the value at the top, and the dictionaries that it refers to.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) top: Value,
    dicts: Vec<Vec<(Value, Value)>>,
    lists: Vec<Vec<Value>>,
    storages: BTreeMap<Rc<str>, Element>,
}

impl Pickle {
    /// The keys of all storages that it names, and what each holds.
    pub(super) const fn storages(&self) -> &BTreeMap<Rc<str>, Element> {
        &self.storages
    }

    /// The entries of a dictionary whose keys are text, in the file's order.
    pub(super) fn entries(&self, value: &Value) -> Option<Vec<(Rc<str>, Value)>> {
        let Value::Dict(index) = value else { return None };
        self.dicts
            .get(*index)?
            .iter()
            .map(|(key, value)| match key {
                Value::Text(key) => Some((Rc::clone(key), value.clone())),
                _ => None,
            })
            .collect()
    }

    /// The items of a list of text.
    pub(super) fn texts(&self, value: &Value) -> Option<Vec<Rc<str>>> {
        let Value::List(index) = value else { return None };
        let text = |item: &Value| match item {
            Value::Text(text) => Some(Rc::clone(text)),
            _ => None,
        };
        self.lists.get(*index)?.iter().map(text).collect()
    }
}

/// Values that one file may make. Each takes at least a byte, and some 32 here.
const VALUES_MAX: usize = 2_000_000;
const DEPTH_MAX: u8 = 32;
const DIMENSIONS_MAX: usize = 8;

pub(super) fn read(bytes: &[u8]) -> Result<Pickle, PytorchError> {
    read_first(&mut &*bytes)
}

/// Reads one pickle and leaves what comes behind it.
pub(super) fn read_first(bytes: &mut &[u8]) -> Result<Pickle, PytorchError> {
    let mut machine = Machine { input: bytes, ..Machine::default() };
    let top = machine.run()?;
    *bytes = machine.input;
    let Machine { dicts, lists, storages, .. } = machine;
    Ok(Pickle { top, dicts, lists, storages })
}

#[derive(Default)]
struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value>,
    /// Heights of the stack at the open MARKs.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    dicts: Vec<Vec<(Value, Value)>>,
    lists: Vec<Vec<Value>>,
    storages: BTreeMap<Rc<str>, Element>,
    made: usize,
}

fn malformed(detail: impl Into<String>) -> PytorchError {
    PytorchError::Pickle(detail.into())
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value, PytorchError> {
        loop {
            let [opcode] = self.array()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => {
                    let [version] = self.array()?;
                    if !(2..=5).contains(&version) {
                        return Err(malformed(format!("protocol {version}: expected 2 to 5")));
                    }
                }
                0x95 => self.take(8).map(drop)?, // FRAME: a hint for streams
                b'(' => {
                    self.count()?;
                    self.marks.push(self.stack.len());
                }
                b'N' => self.push(Value::None)?,
                0x88 | 0x89 => self.push(Value::Bool(opcode == 0x88))?,
                b'G' => {
                    self.take(8)?;
                    self.push(Value::Scalar)?;
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                b'K' => {
                    let [number] = self.array()?;
                    self.push(Value::Int(number.into()))?;
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(number.into()))?;
                }
                0x8a => self.long()?,
                b'U' => {
                    let [length] = self.array()?;
                    self.text(length.into())?;
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.text(length.into())?;
                }
                0x8c => {
                    let [length] = self.array()?;
                    self.text(length.into())?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(Global::named(module, name)?))?;
                }
                0x93 => {
                    let (name, module) = (self.pop_text()?, self.pop_text()?);
                    self.push(Value::Global(Global::named(&module, &name)?))?;
                }
                b')' => self.push_tuple(Vec::new())?,
                0x85..=0x87 => {
                    let length = usize::from(opcode - 0x84);
                    let start = self.stack.len().checked_sub(length);
                    let start = start.ok_or_else(|| malformed("a tuple of too few values"))?;
                    let items = self.stack.split_off(self.above_mark(start)?);
                    self.push_tuple(items)?;
                }
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push_tuple(items)?;
                }
                b'}' => self.push_dict()?,
                b']' => {
                    self.lists.push(Vec::new());
                    self.push(Value::List(self.lists.len().saturating_sub(1)))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(vec![key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(items)?;
                }
                b'b' => self.pop().map(drop)?, // BUILD: attributes, such as a state dict's _metadata
                b'q' => {
                    let [index] = self.array()?;
                    self.remember(index.into())?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.remember(index)?;
                }
                0x94 => self.remember(u32::try_from(self.memo.len()).unwrap_or(u32::MAX))?,
                b'h' => {
                    let [index] = self.array()?;
                    self.recall(index.into())?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.array()?);
                    self.recall(index)?;
                }
                b'Q' => self.persistent()?,
                b'R' => self.reduce()?,
                other => return Err(malformed(format!("opcode {other:#04x} is not for weights"))),
            }
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], PytorchError> {
        let (taken, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.input.split_at_checked(length))
            .ok_or_else(|| malformed("it ends in the middle"))?;
        self.input = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PytorchError> {
        let (taken, rest) =
            self.input.split_first_chunk().ok_or_else(|| malformed("it ends in the middle"))?;
        self.input = rest;
        Ok(*taken)
    }

    /// Text up to a line feed.
    fn line(&mut self) -> Result<&'a str, PytorchError> {
        let length = self.input.iter().take(512).position(|byte| *byte == b'\n');
        let length = length.ok_or_else(|| malformed("a name that does not end"))?;
        let line = self.take(u64::try_from(length).unwrap_or(u64::MAX))?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| malformed("a name that is not UTF-8"))
    }

    fn text(&mut self, length: u64) -> Result<(), PytorchError> {
        let text = std::str::from_utf8(self.take(length)?)
            .map_err(|_| malformed("text that is not UTF-8"))?;
        self.push(Value::Text(text.into()))
    }

    /// LONG1: little-endian two's complement; of more than 8 bytes it is nothing that is needed.
    fn long(&mut self) -> Result<(), PytorchError> {
        let [length] = self.array()?;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return self.push(Value::Scalar);
        }
        let fill = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
        let mut number = [fill; 8];
        for (to, from) in number.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.push(Value::Int(i64::from_le_bytes(number)))
    }

    fn count(&mut self) -> Result<(), PytorchError> {
        self.made = self.made.saturating_add(1);
        if self.made > VALUES_MAX {
            return Err(malformed(format!("more than {VALUES_MAX} values")));
        }
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), PytorchError> {
        self.count()?;
        self.stack.push(value);
        Ok(())
    }

    fn push_tuple(&mut self, items: Vec<Value>) -> Result<(), PytorchError> {
        let inner = items.iter().map(|item| match item {
            Value::Tuple(tuple) => tuple.depth,
            _ => 0,
        });
        let depth = inner.max().unwrap_or(0).saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(malformed(format!("tuples nested more than {DEPTH_MAX} deep")));
        }
        self.push(Value::Tuple(Tuple { items: items.into(), depth }))
    }

    fn push_dict(&mut self) -> Result<(), PytorchError> {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len().saturating_sub(1)))
    }

    /// Nothing below an open MARK belongs to what comes after it.
    fn above_mark(&self, height: usize) -> Result<usize, PytorchError> {
        if self.marks.last().is_some_and(|mark| height < *mark) {
            return Err(malformed("values taken from below a mark"));
        }
        Ok(height)
    }

    fn pop(&mut self) -> Result<Value, PytorchError> {
        let height = self.stack.len().checked_sub(1);
        self.above_mark(height.ok_or_else(|| malformed("an empty stack"))?)?;
        self.stack.pop().ok_or_else(|| malformed("an empty stack"))
    }

    fn pop_text(&mut self) -> Result<Rc<str>, PytorchError> {
        match self.pop()? {
            Value::Text(text) => Ok(text),
            _ => Err(malformed("a name that is not text")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, PytorchError> {
        let mark = self.marks.pop().ok_or_else(|| malformed("no mark"))?;
        if mark > self.stack.len() {
            return Err(malformed("a mark above the stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), PytorchError> {
        let Some(Value::List(index)) = self.stack.last() else {
            return Err(malformed("items for what is not a list"));
        };
        let list = self.lists.get_mut(*index).ok_or_else(|| malformed("no such list"))?;
        list.extend(items);
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Result<(), PytorchError> {
        let Some(Value::Dict(index)) = self.stack.last() else {
            return Err(malformed("items for what is not a dictionary"));
        };
        let dict = self.dicts.get_mut(*index).ok_or_else(|| malformed("no such dictionary"))?;
        let mut items = items.into_iter();
        while let Some(key) = items.next() {
            let value = items.next().ok_or_else(|| malformed("a key without a value"))?;
            dict.push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), PytorchError> {
        self.count()?;
        let value = self.stack.last().ok_or_else(|| malformed("an empty stack"))?;
        self.memo.insert(index, value.clone());
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PytorchError> {
        let value = self.memo.get(&index).cloned();
        self.push(value.ok_or_else(|| malformed("a reference to nothing"))?)
    }

    /// BINPERSID: `("storage", type, key, location, number of elements)`, before 1.6 with None for
    /// a view behind it.
    fn persistent(&mut self) -> Result<(), PytorchError> {
        let Value::Tuple(tuple) = self.pop()? else {
            return Err(malformed("a persistent id that is not a tuple"));
        };
        match &*tuple.items {
            [
                Value::Text(kind),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(elements),
                rest @ ..,
            ] if &**kind == "storage" && matches!(rest, [] | [Value::None]) => {
                let elements = unsigned(&Value::Int(*elements))?;
                self.storages.insert(Rc::clone(key), *element);
                self.push(Value::Storage(Rc::clone(key), *element, elements))
            }
            _ => Err(malformed("a persistent id that is not a storage")),
        }
    }

    fn reduce(&mut self) -> Result<(), PytorchError> {
        let (arguments, global) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Global(global)) = (arguments, global) else {
            return Err(malformed("a call of what is not a known global"));
        };
        match (global, &*arguments.items) {
            (Global::OrderedDict, []) => self.push_dict(),
            (
                Global::RebuildTensor,
                [Value::Storage(key, element, elements), offset, shape, stride, _, _, ..],
            ) => {
                let tensor = TensorView {
                    storage: Rc::clone(key),
                    element: *element,
                    storage_elements: *elements,
                    offset: unsigned(offset)?,
                    shape: dimensions(shape)?,
                    stride: dimensions(stride)?,
                };
                self.push(Value::Tensor(Rc::new(tensor)))
            }
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), _, _]) => {
                self.push(tensor.clone())
            }
            (global, _) => Err(malformed(format!("{global:?} with arguments that do not fit"))),
        }
    }
}

fn unsigned(value: &Value) -> Result<u64, PytorchError> {
    match value {
        Value::Int(number) => u64::try_from(*number)
            .map_err(|_| malformed(format!("{number} where a size was expected"))),
        _ => Err(malformed("a size that is not a number")),
    }
}

fn dimensions(value: &Value) -> Result<Vec<u64>, PytorchError> {
    match value {
        Value::Tuple(tuple) if tuple.items.len() <= DIMENSIONS_MAX => {
            tuple.items.iter().map(unsigned).collect()
        }
        Value::Tuple(_) => {
            Err(malformed(format!("a tensor of more than {DIMENSIONS_MAX} dimensions")))
        }
        _ => Err(malformed("dimensions that are not a tuple")),
    }
}
