//! Commands as they go over the wire. Several in one question go out together and are answered in
//! their order.

/// One command or several.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    bytes: Vec<u8>,
    commands: usize,
    has_script: bool,
    is_wordy: bool,
}

impl Question {
    /// With room for so many bytes.
    pub(super) fn with_room(room: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(room),
            ..Self::default()
        }
    }

    /// In which each script goes along with all of its text, so that none can be missing.
    pub(super) fn wordy() -> Self {
        Self {
            is_wordy: true,
            ..Self::default()
        }
    }

    /// One command made of words.
    pub(super) fn of(words: &[&str]) -> Self {
        let room = words.iter().map(|word| word.len() + 16).sum();
        let mut question = Self::with_room(room);
        question.add(words);
        question
    }

    /// Adds a command made of words.
    pub(super) fn add(&mut self, words: &[&str]) {
        self.begin(words.len());
        for word in words {
            self.arg(word.as_bytes());
        }
    }

    /// Begins a command of so many arguments, its name among them. They must follow.
    pub(super) fn begin(&mut self, args: usize) {
        self.commands += 1;
        self.head(b'*', args);
    }

    /// The next argument.
    pub(super) fn arg(&mut self, arg: &[u8]) {
        self.head(b'$', arg.len());
        self.bytes.extend_from_slice(arg);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// The next argument, a number.
    pub(super) fn int(&mut self, number: i64) {
        let mut digits = Digits::new();
        let start = digits.write(number.unsigned_abs(), number < 0);
        self.arg(&digits.0[start..]);
    }

    /// Adds what another question asks.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
    }

    /// Notes that the text of a script goes along. True if it did before, and need not again.
    pub(super) fn bring_script(&mut self) -> bool {
        std::mem::replace(&mut self.has_script, true) && !self.is_wordy
    }

    /// How many answers it gets.
    pub(super) fn commands(&self) -> usize {
        self.commands
    }

    /// What goes out.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn head(&mut self, kind: u8, number: usize) {
        let mut digits = Digits::new();
        let start = digits.write(number as u64, false);
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&digits.0[start..]);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// A sign and the digits of 64 bits.
struct Digits([u8; 21]);

impl Digits {
    fn new() -> Self {
        Self([b'0'; 21])
    }

    /// Writes to the end and tells where it begins.
    fn write(&mut self, mut number: u64, negative: bool) -> usize {
        let mut start = self.0.len();
        loop {
            start -= 1;
            self.0[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        if negative {
            start -= 1;
            self.0[start] = b'-';
        }
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_out_with_their_lengths() {
        let mut question = Question::of(&["GET", "a\r\nb"]);
        question.begin(4);
        question.arg(b"");
        for number in [0, i64::MIN, i64::MAX] {
            question.int(number);
        }
        let text = String::from_utf8_lossy(question.bytes());
        let expected = "*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*4\r\n$0\r\n\r\n$1\r\n0\r\n\
                        $20\r\n-9223372036854775808\r\n$19\r\n9223372036854775807\r\n";
        assert_eq!(text, expected);
        assert_eq!(question.commands(), 2);
    }
}
