//! A small NuGet feed on loopback, and the packages in it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// A package before it is packed.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    id: String,
    version: String,
    groups: Vec<(String, String, String)>,
    files: Vec<(String, Vec<u8>)>,
    listed: bool,
}

impl Package {
    pub(crate) fn new(id: &str, version: &str) -> Self {
        Self { id: id.into(), version: version.into(), groups: Vec::new(), files: Vec::new(), listed: true }
    }

    pub(crate) fn needing(mut self, framework: &str, id: &str, range: &str) -> Self {
        self.groups.push((framework.into(), id.into(), range.into()));
        self
    }

    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.push((path.into(), content.to_vec()));
        self
    }

    pub(crate) fn taken_back(mut self) -> Self {
        self.listed = false;
        self
    }

    fn packed(&self) -> Vec<u8> {
        let Self { id, version, .. } = self;
        let group = |(framework, id, range): &(String, String, String)| {
            format!("<group targetFramework=\"{framework}\"><dependency id=\"{id}\" version=\"{range}\" /></group>")
        };
        let groups: String = self.groups.iter().map(group).collect();
        let nuspec = format!(
            "<?xml version=\"1.0\"?><package xmlns=\"http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd\"><metadata>\
             <id>{id}</id><version>{version}</version><dependencies>{groups}</dependencies></metadata></package>"
        );
        let mut files = vec![(format!("{id}.nuspec"), nuspec.into_bytes())];
        files.extend(self.files.iter().cloned());
        zip(&files)
    }
}

/// Packs without compressing: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut head = Vec::new();
        head.extend([20u16, 0, 0, 0, 0x21].iter().flat_map(|it| it.to_le_bytes()));
        let size = u32::try_from(content.len()).unwrap();
        head.extend([crc32(content), size, size].iter().flat_map(|it| it.to_le_bytes()));
        head.extend([u16::try_from(name.len()).unwrap(), 0].iter().flat_map(|it| it.to_le_bytes()));
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0u8; 10]);
        directory.extend(u32::try_from(out.len()).unwrap().to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(content);
    }
    let (count, start) = (u16::try_from(files.len()).unwrap(), u32::try_from(out.len()).unwrap());
    let length = u32::try_from(directory.len()).unwrap();
    out.extend(directory);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend([count, count].iter().flat_map(|it| it.to_le_bytes()));
    out.extend([length, start].iter().flat_map(|it| it.to_le_bytes()));
    out.extend([0u8; 2]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(u32::MAX, step)
}

type Shelf = Arc<Mutex<BTreeMap<String, Vec<Package>>>>;

/// A feed that is gone when this is, or when it was closed.
pub(crate) struct Feed {
    address: String,
    shelf: Shelf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Feed {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shelf = Shelf::default();
        let (known, base) = (Arc::clone(&shelf), format!("http://{address}"));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection that says nothing is the one that ends it.
                if !answer(&stream.unwrap(), &known, &base) {
                    break;
                }
            }
        });
        Self { address, shelf, thread: Mutex::new(Some(thread)) }
    }

    /// The address that a setting names.
    pub(crate) fn index(&self) -> String {
        format!("http://{}/v3/index.json", self.address)
    }

    /// Puts a package into the feed, in the place of one with its version.
    pub(crate) fn offer(&self, package: Package) {
        let mut shelf = self.shelf.lock().unwrap();
        let versions = shelf.entry(package.id.to_lowercase()).or_default();
        versions.retain(|it| it.version != package.version);
        versions.push(package);
    }

    /// Ends it.
    pub(crate) fn close(&self) {
        if let Some(thread) = self.thread.lock().unwrap().take() {
            drop(TcpStream::connect(&self.address).unwrap());
            thread.join().unwrap();
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.close();
    }
}

fn answer(stream: &TcpStream, shelf: &Shelf, base: &str) -> bool {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|it| !it.is_empty());
    let Some(first) = lines.next() else { return false };
    let asked = first.split(' ').nth(1).unwrap_or_default().to_owned();
    lines.for_each(drop);
    let body = content(&asked, &shelf.lock().unwrap(), base);
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = stream;
    // Who asks may have gone.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
    true
}

/// <https://learn.microsoft.com/nuget/api/overview>, as far as it is used.
fn content(asked: &str, shelf: &BTreeMap<String, Vec<Package>>, base: &str) -> Option<Vec<u8>> {
    let text = |value: Value| Some(value.to_string().into_bytes());
    let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["v3", "index.json"] => text(json!({"version": "3.0.0", "resources": [
            {"@id": format!("{base}/content/"), "@type": "PackageBaseAddress/3.0.0"},
            {"@id": format!("{base}/registration/"), "@type": "RegistrationsBaseUrl/3.6.0"},
            {"@id": format!("{base}/query"), "@type": "SearchQueryService"},
        ]})),
        ["content", id, "index.json"] => {
            let versions: Vec<&str> = shelf.get(*id)?.iter().map(|it| it.version.as_str()).collect();
            text(json!({"versions": versions}))
        }
        ["content", id, version, _] => shelf.get(*id)?.iter().find(|it| it.version == *version).map(Package::packed),
        ["registration", id, "index.json"] => {
            let leaf = |it: &Package| {
                let published = if it.listed { "2024-01-02T03:04:05Z" } else { "1900-01-01T00:00:00Z" };
                json!({"catalogEntry": {"version": it.version, "listed": it.listed, "published": published}})
            };
            text(json!({"items": [{"items": shelf.get(*id)?.iter().map(leaf).collect::<Vec<_>>()}]}))
        }
        ["query"] => {
            let words = query.split('&').find_map(|it| it.strip_prefix("q=")).unwrap_or_default();
            let found = shelf.iter().filter(|(id, _)| id.contains(words)).filter_map(|(_, it)| it.last());
            let found: Vec<Value> = found.map(|it| json!({"id": it.id, "version": it.version})).collect();
            text(json!({"data": found}))
        }
        _ => None,
    }
}
