//! Where commands are written: a send buffer, a request over HTTP, a pipeline of the redis crate.

use redis::{Cmd, Pipeline};

use super::keys::Key;

/// Takes commands one argument after the other.
pub trait CommandWriter {
    /// Begins a command of so many arguments, its name included.
    fn begin(&mut self, arguments: usize);

    /// The command's next argument.
    fn argument(&mut self, bytes: &[u8]);

    /// A key as the command's next argument.
    fn key(&mut self, key: &Key<'_>);
}

impl CommandWriter for Pipeline {
    fn begin(&mut self, arguments: usize) {
        self.add_command(Cmd::with_capacity(arguments, 0));
    }

    fn argument(&mut self, bytes: &[u8]) {
        self.arg(bytes);
    }

    fn key(&mut self, key: &Key<'_>) {
        self.arg(*key);
    }
}

/// Writes nothing: for those who only count.
pub struct Counter;

impl CommandWriter for Counter {
    fn begin(&mut self, _arguments: usize) {}

    fn argument(&mut self, _bytes: &[u8]) {}

    fn key(&mut self, _key: &Key<'_>) {}
}

/// A number in decimal, without an allocation.
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// The digits of a number.
    pub fn new(mut number: u64) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    /// The digits as text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 99, 100, 2500, u64::MAX / 10, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
