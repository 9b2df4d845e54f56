//! Server-sent events (WHATWG HTML, section 9.2) as they arrive in pieces.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` where it has none.
    pub name: String,
    /// Its lines of data, joined.
    pub data: String,
}

/// The stream is longer than anybody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events are too long")]
pub struct TooLong;

/// Puts events together from pieces of a stream.
#[derive(Debug)]
pub struct Events {
    line: Vec<u8>,
    name: String,
    data: String,
    /// Whether the last piece ended with a carriage return, whose line feed may follow.
    after_return: bool,
    left: usize,
}

impl Events {
    /// Listens to a stream of at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            name: String::new(),
            data: String::new(),
            after_return: false,
            left: bytes_max,
        }
    }

    /// Takes the next piece and gives the events that are complete with it.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<Event>, TooLong> {
        self.left = self.left.checked_sub(piece.len()).ok_or(TooLong)?;
        let mut events = Vec::new();
        for byte in piece {
            match byte {
                b'\n' if std::mem::take(&mut self.after_return) => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => {
                    self.after_return = false;
                    self.line.push(*byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = std::mem::take(&mut self.data);
            let name = if name.is_empty() { "message".to_owned() } else { name };
            return data.strip_suffix('\n').map(|data| Event { name, data: data.to_owned() });
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let stream = "event: heartbeat\ndata: null\n\n: a comment\r\nevent:complete\r\ndata: [1,\r\ndata: 2]\r\n\r\ndata\n\nevent: lost\n";
        let expected = [
            Event { name: "heartbeat".into(), data: "null".into() },
            Event { name: "complete".into(), data: "[1,\n2]".into() },
            Event { name: "message".into(), data: String::new() },
        ];
        for size in [1, 2, 3, 7, stream.len()] {
            let mut events = Events::new(1000);
            let heard: Vec<Event> =
                stream.as_bytes().chunks(size).flat_map(|piece| events.push(piece).unwrap()).collect();
            assert_eq!(heard, expected, "in pieces of {size}");
        }
        assert_eq!(Events::new(3).push(b"data: x"), Err(TooLong));
    }
}
