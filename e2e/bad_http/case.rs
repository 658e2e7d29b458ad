//! A case: the bytes of a request or a few, and what must come back.

/// What every case builds on.
pub struct Ground {
    /// The event that is sold.
    pub event: String,
    /// Token of a buyer who has an order already: each of their presses that runs is a 409 `already-bought`.
    pub token: String,
    /// A whole press, hidden in other requests, of somebody who never pressed: if it runs, they have an order.
    pub hidden: String,
}

/// One distinct request (or a pipeline of them) and its expectation.
pub struct Case {
    /// Unique, for people.
    pub name: String,
    /// What is sent, all at once.
    pub bytes: Vec<u8>,
    /// What must come back.
    pub want: Want,
}

/// Name, text and expectation of a case.
pub type Row = (&'static str, &'static str, Want);

/// The answers in order, and what then becomes of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// Statuses of the answers, in order. An interim 100 counts as one.
    pub statuses: &'static [u16],
    /// What comes after them.
    pub after: After,
    /// Whether the answers have no bodies, as those to HEAD.
    pub head: bool,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The next request on it is answered as itself.
    Kept,
    /// It is closed, and nothing more is answered.
    Closed,
    /// Either of the two: it depends on how the bytes arrive, and both are safe.
    Either,
}

/// Answered in order, and closed.
pub const fn closes(statuses: &'static [u16]) -> Want {
    Want { statuses, after: After::Closed, head: false }
}

/// Closed without an answer.
pub const fn silent() -> Want {
    closes(&[])
}

/// Answered, and open for more.
pub const fn keeps(statuses: &'static [u16]) -> Want {
    Want { statuses, after: After::Kept, head: false }
}

/// Answered, and open for more or not.
pub const fn either(statuses: &'static [u16]) -> Want {
    Want { statuses, after: After::Either, head: false }
}

impl Want {
    /// Without bodies.
    pub const fn without_bodies(self) -> Self {
        Self { head: true, ..self }
    }
}

impl Ground {
    /// `text` with `{page}`, `{orders}`, `{mine}`, `{cold}`, `{auth}`, `{json}`, `{hidden}` and `{hidden_len}` filled in.
    /// `{cold}` is a page of the control API, which reads any body and answers 200.
    pub fn fill(&self, text: &str) -> String {
        let page = format!("/api/v1/spike/events/{}", self.event);
        [
            ("{orders}", format!("{page}/orders")),
            ("{mine}", format!("{page}/orders/mine")),
            ("{page}", page),
            ("{cold}", "/api/v1/products".to_owned()),
            ("{auth}", format!("Authorization: Bearer {}\r\n", self.token)),
            ("{json}", "Content-Type: application/json\r\n".to_owned()),
            ("{hidden_len}", self.hidden.len().to_string()),
            ("{hidden}", self.hidden.clone()),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(name, &value))
    }

    /// A case of text.
    pub fn case(&self, name: impl Into<String>, text: &str, want: Want) -> Case {
        Case { name: name.into(), bytes: self.fill(text).into_bytes(), want }
    }

    /// A case of bytes: `{}` in the text stands for them.
    pub fn bytes(&self, name: impl Into<String>, text: &str, bytes: &[u8], want: Want) -> Case {
        let (before, after) = text.split_once("{}").expect("a place for the bytes");
        let bytes = [self.fill(before).as_bytes(), bytes, self.fill(after).as_bytes()].concat();
        Case { name: name.into(), bytes, want }
    }

    /// Rows of name, text and expectation.
    pub fn table(&self, rows: &[(&str, &str, Want)]) -> Vec<Case> {
        rows.iter().map(|&(name, text, want)| self.case(name, text, want)).collect()
    }
}
