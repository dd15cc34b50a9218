//! Replaces secrets in output, across the borders of chunks, before anything is cut, stored or shown.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use bytes::Bytes;

use super::forms::{MIN_FORM, forms};
use crate::{Error, Result};

/// What stands in the place of a secret.
pub const MASK: &str = "***";
/// The most bytes of a secret.
pub const MAX_SECRET_BYTES: usize = 16 * 1024;
/// The most bytes of all secrets of an execution. To prepare the search takes up to a kilobyte for each of them, and
/// at this bound 0.3 s.
pub const MAX_SECRETS_BYTES: usize = 64 * 1024;

/// Finds secrets. Cheap to clone.
///
/// Looked for are each value, each value without surrounding white space, each line of at least eight bytes of a
/// value that has several, and of the first two: base64 (both alphabets, whatever stands before and after), hex,
/// percent-encoding, and the escapes of JSON, XML and shell quotes.
#[derive(Clone, Default)]
pub struct SecretMasker(Option<Arc<Automata>>);

struct Automata {
    nfa: NFA,
    start: StateID,
    /// By state: how many of the bytes read last begin some form.
    depths: Vec<u32>,
    /// The first two bytes of every form, as a bit set: most of a text is passed over by it.
    pairs: Box<[u64; 1024]>,
}

impl SecretMasker {
    /// Prepares the search for some values. Without values masking costs nothing.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` if a value has less than four bytes (it would garble every output) or if there is too much
    /// to look for.
    pub fn new(values: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self> {
        let mut wanted = BTreeSet::new();
        let mut total = 0;
        for (index, value) in values.into_iter().enumerate() {
            let value = value.as_ref();
            let size = value.len();
            if value.trim_ascii().len() < MIN_FORM {
                let message = format!(
                    "number {} has less than {MIN_FORM} bytes and cannot be masked; use a longer one",
                    index + 1
                );
                return Err(Error::invalid("secrets", message));
            }
            total += size;
            if size > MAX_SECRET_BYTES || total > MAX_SECRETS_BYTES {
                let message = format!(
                    "number {} has {size} bytes; at most {MAX_SECRET_BYTES} are allowed, and {MAX_SECRETS_BYTES} for all",
                    index + 1
                );
                return Err(Error::invalid("secrets", message));
            }
            wanted.extend(forms(value));
        }
        if wanted.is_empty() {
            return Ok(Self(None));
        }
        let built = Automata::build(&wanted);
        built
            .map(|it| Self(Some(Arc::new(it))))
            .ok_or_else(|| Error::internal("the search for secrets cannot be built"))
    }

    /// Starts on a stream of its own.
    #[must_use]
    pub fn stream(&self) -> MaskStream {
        MaskStream { scan: self.0.clone().map(Scan::new) }
    }

    /// Masks bytes that are whole: an error text, a file.
    #[must_use]
    pub fn mask_once(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut masked = stream.push(Bytes::copy_from_slice(bytes)).to_vec();
        masked.extend_from_slice(&stream.finish());
        masked
    }

    /// Masks a text that is whole.
    #[must_use]
    pub fn mask_str(&self, text: &str) -> String {
        // A secret that is no text may begin inside of a character.
        String::from_utf8_lossy(&self.mask_once(text.as_bytes())).into_owned()
    }

    /// Masks every string in a JSON value, names included.
    #[must_use]
    pub fn mask_json(&self, value: &serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(number) => {
                let text = number.to_string();
                let masked = self.mask_str(&text);
                if masked == text { value.clone() } else { Value::String(masked) }
            }
            Value::String(text) => Value::String(self.mask_str(text)),
            Value::Array(items) => items.iter().map(|it| self.mask_json(it)).collect(),
            Value::Object(map) => map.iter().map(|(name, it)| (self.mask_str(name), self.mask_json(it))).collect(),
        }
    }
}

impl fmt::Debug for SecretMasker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.0.as_ref().map_or(0, |it| it.nfa.patterns_len());
        f.debug_struct("SecretMasker").field("patterns", &patterns).finish()
    }
}

impl Automata {
    fn build(wanted: &BTreeSet<Vec<u8>>) -> Option<Self> {
        let mut builder = NFA::builder();
        let nfa = builder.match_kind(MatchKind::Standard).prefilter(false).build(wanted).ok()?;
        let start = nfa.start_state(Anchored::No).ok()?;
        let mut depths = Vec::new();
        let mut pairs = Box::new([0; 1024]);
        for form in wanted {
            let mut state = start;
            for (depth, byte) in (1..).zip(form) {
                state = nfa.next_state(Anchored::No, state, *byte);
                if depths.len() <= state.as_usize() {
                    depths.resize(state.as_usize() + 1, 0);
                }
                depths[state.as_usize()] = depth;
            }
            let pair = pair_of(form[0], form[1]);
            pairs[pair / 64] |= 1 << (pair % 64);
        }
        Some(Self { nfa, start, depths, pairs })
    }

    fn depth(&self, state: StateID) -> usize {
        self.depths.get(state.as_usize()).map_or(0, |it| *it as usize)
    }

    /// The first place at or after `from` where a form may begin.
    fn candidate(&self, bytes: &[u8], from: usize) -> usize {
        let rest = &bytes[from..];
        let is_candidate = |two: &[u8]| {
            let pair = pair_of(two[0], two[1]);
            self.pairs[pair / 64] & (1 << (pair % 64)) != 0
        };
        // The last byte has no successor yet.
        let found = rest.windows(2).position(is_candidate);
        from + found.unwrap_or(rest.len().saturating_sub(1))
    }
}

fn pair_of(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

/// One stream that is being masked.
#[derive(Debug)]
pub struct MaskStream {
    scan: Option<Scan>,
}

impl MaskStream {
    /// Takes the next bytes and gives what is decided: all but the last bytes if they begin a form, which are held
    /// back until the next call. Bytes without a secret are passed on without being copied.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.scan {
            None => bytes,
            Some(scan) => scan.push(bytes),
        }
    }

    /// Gives what was held back: the stream has ended. What comes afterwards is a new stream.
    pub fn finish(&mut self) -> Bytes {
        match &mut self.scan {
            None => Bytes::new(),
            Some(scan) => scan.finish(),
        }
    }
}

/// Positions count the bytes of the stream. A form found later never begins before `read - depth(state)`: up to
/// there everything is decided, and what follows is held back.
struct Scan {
    automata: Arc<Automata>,
    state: StateID,
    /// Bytes that the automaton has seen.
    read: u64,
    /// Bytes that are passed on, or replaced.
    done: u64,
    /// Whether the byte before `done` was replaced: a secret that touches it belongs to the same mask.
    masking: bool,
    /// The bytes from `done` to `read`.
    held: Vec<u8>,
    /// Parts after `done` that have to be replaced, in order, apart from each other.
    parts: Vec<(u64, u64)>,
}

impl Scan {
    fn new(automata: Arc<Automata>) -> Self {
        let state = automata.start;
        Self { automata, state, read: 0, done: 0, masking: false, held: Vec::new(), parts: Vec::new() }
    }

    fn push(&mut self, bytes: Bytes) -> Bytes {
        self.search(&bytes);
        let open = self.automata.depth(self.state) as u64;
        let decided = self.read - open;
        if self.held.is_empty() && self.parts.is_empty() && self.done <= decided {
            // The usual case. Nothing is held, so `bytes` begins at `done`.
            let passed = bytes.len() - open as usize;
            self.held.extend_from_slice(&bytes[passed..]);
            self.masking &= passed == 0;
            self.done = decided;
            return bytes.slice(..passed);
        }
        self.held.extend_from_slice(&bytes);
        self.emit(decided)
    }

    fn finish(&mut self) -> Bytes {
        let masked = self.emit(self.read);
        *self = Self::new(self.automata.clone());
        masked
    }

    fn search(&mut self, bytes: &[u8]) {
        let automata = self.automata.clone();
        let mut at = 0;
        while at < bytes.len() {
            if self.state == automata.start {
                at = automata.candidate(bytes, at);
            }
            self.state = automata.nfa.next_state(Anchored::No, self.state, bytes[at]);
            at += 1;
            if automata.nfa.is_special(self.state) && automata.nfa.is_match(self.state) {
                // The first pattern of a state is its longest: the others are suffixes of it.
                let length = automata.nfa.pattern_len(automata.nfa.match_pattern(self.state, 0));
                let end = self.read + at as u64;
                self.add_part(end - length as u64, end);
            }
        }
        self.read += bytes.len() as u64;
    }

    // Ends only grow, so a new part can only swallow or touch the last ones.
    fn add_part(&mut self, mut start: u64, end: u64) {
        while let Some((last_start, last_end)) = self.parts.last().copied() {
            if last_end < start {
                break;
            }
            start = start.min(last_start);
            self.parts.pop();
        }
        self.parts.push((start, end));
    }

    fn emit(&mut self, decided: u64) -> Bytes {
        let mut masked = Vec::new();
        let first = self.done;
        let parts = std::mem::take(&mut self.parts);
        for (start, end) in parts {
            if start > decided {
                self.parts.push((start, end));
                continue;
            }
            if start > self.done {
                masked.extend_from_slice(&self.held[(self.done - first) as usize..(start - first) as usize]);
                self.masking = false;
            }
            if !self.masking {
                masked.extend_from_slice(MASK.as_bytes());
            }
            (self.masking, self.done) = (true, self.done.max(end));
        }
        if decided > self.done {
            masked.extend_from_slice(&self.held[(self.done - first) as usize..(decided - first) as usize]);
            (self.masking, self.done) = (false, decided);
        }
        self.held.drain(..(self.done - first) as usize);
        masked.into()
    }
}

impl fmt::Debug for Scan {
    // What is held may be half a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("read", &self.read).field("done", &self.done).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
