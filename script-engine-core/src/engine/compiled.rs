//! The stored form of what a language made of a source (format 2). Its readers trust nothing: a
//! shared cache may hold what another version wrote.

use bytes::Bytes;

use crate::contract::Prepared;
use crate::wire::{Reader, WireError, Writer};
use crate::{Error, JobFile, RelPath, Result};

const FORMAT: u8 = 2;

pub(super) fn encode(prepared: &Prepared) -> Bytes {
    let mut w = Writer::default();
    w.u8(FORMAT);
    w.list(&prepared.files, |w, it| {
        w.text(it.path.as_str()).bool(it.executable).bytes(&it.content);
    });
    w.list(&prepared.argv, |w, it| {
        w.text(it);
    });
    w.list(&prepared.env, |w, (name, value)| {
        w.text(name).text(value);
    });
    w.bool(prepared.with_packages);
    w.0.into()
}

pub(super) fn decode(value: &[u8]) -> Result<Prepared> {
    let mut r = Reader::new(value);
    let broken = |error: WireError| {
        Error::new(crate::ErrorKind::Corrupted, "a cached compilation can't be read").with_source(error)
    };
    if r.u8().map_err(broken)? != FORMAT {
        return Err(broken(WireError::Value("format")));
    }
    let files = r.list(|r| Ok((r.text()?, r.bool()?, r.bytes()?))).map_err(broken)?;
    let argv = r.list(Reader::text).map_err(broken)?;
    let env = r.list(|r| Ok((r.text()?, r.text()?))).map_err(broken)?;
    let with_packages = r.bool().map_err(broken)?;
    r.end().map_err(broken)?;
    let files = files
        .into_iter()
        .map(|(path, executable, content)| {
            Ok(JobFile { path: RelPath::parse(&path)?, content: content.into(), executable })
        })
        .collect::<Result<_>>()?;
    Ok(Prepared { files, argv, env, with_packages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_and_garbage_is_refused() {
        let prepared = Prepared {
            files: vec![JobFile {
                path: RelPath::parse("main.mjs").unwrap(),
                content: Bytes::from_static(b"1"),
                executable: false,
            }],
            argv: vec!["node".into(), "/scripts/main.mjs".into()],
            env: vec![("A".into(), "b".into())],
            with_packages: true,
        };
        let bytes = encode(&prepared);
        assert_eq!(decode(&bytes).unwrap(), prepared);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err());
        }
        assert!(decode(&[&bytes[..], b"x"].concat()).is_err());
    }
}
