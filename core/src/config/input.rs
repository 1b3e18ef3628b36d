//! A JavaScript value as configuration sees it.

/// A JavaScript value as configuration sees it. `undefined` never appears: such keys are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number, `NaN` and infinities included.
    Number(f64),
    /// A string.
    Text(String),
    /// A Buffer or another array of bytes.
    Bytes(Vec<u8>),
    /// A function, of which nothing more is known.
    Function,
    /// An array.
    List(Vec<Input>),
    /// A plain object, its own enumerable keys in order.
    Map(Vec<(String, Input)>),
    /// Something configuration has no use for (symbol, bigint, class instance); holds its name for messages.
    Other(String),
}
