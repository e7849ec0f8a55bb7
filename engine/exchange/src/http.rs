//! Requests and answers without a socket.

/// A request as it came: nothing decoded, because signatures cover the bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: String,
    /// Path without the query, beginning with a slash.
    pub path: String,
    /// What follows the question mark, as sent; empty without one.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body, as sent.
    pub body: String,
    /// Address that it came from: what limits per address count by.
    pub peer: String,
}

impl Request {
    /// Returns a request without headers and body; `target` is a path with or without a query.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            peer: "127.0.0.1".to_owned(),
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Returns a header's value by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers; the body's type is added where none is given.
    pub headers: Vec<(String, String)>,
    /// Body: JSON, unless a header says otherwise.
    pub body: String,
}

impl Response {
    /// Returns an answer with a JSON body.
    #[must_use]
    pub const fn json(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// Returns a header's value by its name, whatever the case of its letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }
}
