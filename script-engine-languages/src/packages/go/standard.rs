//! Which part of the standard library a script gets compiled beforehand: two sizes, so that scripts share layers and an
//! edit that imports one package more needs no other.

/// A part of the standard library. What a script imports beyond it is compiled with the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standard {
    /// What needs no network.
    Plain,
    /// The above, and what speaks over one.
    Net,
}

/// All are in Go 1.22.
const PLAIN: [&str; 66] = [
    "archive/tar",
    "archive/zip",
    "bufio",
    "bytes",
    "cmp",
    "compress/gzip",
    "compress/zlib",
    "container/heap",
    "container/list",
    "context",
    "crypto/hmac",
    "crypto/md5",
    "crypto/rand",
    "crypto/sha1",
    "crypto/sha256",
    "crypto/sha512",
    "embed",
    "encoding/base64",
    "encoding/binary",
    "encoding/csv",
    "encoding/hex",
    "encoding/json",
    "encoding/xml",
    "errors",
    "flag",
    "fmt",
    "hash/crc32",
    "hash/fnv",
    "html",
    "io",
    "io/fs",
    "log",
    "log/slog",
    "maps",
    "math",
    "math/big",
    "math/bits",
    "math/cmplx",
    "math/rand",
    "math/rand/v2",
    "net/netip",
    "net/url",
    "os",
    "os/exec",
    "os/signal",
    "os/user",
    "path",
    "path/filepath",
    "reflect",
    "regexp",
    "runtime",
    "runtime/debug",
    "slices",
    "sort",
    "strconv",
    "strings",
    "sync",
    "sync/atomic",
    "syscall",
    "text/tabwriter",
    "text/template",
    "time",
    "unicode",
    "unicode/utf16",
    "unicode/utf8",
    "unsafe",
];
const NET: [&str; 15] = [
    "crypto/tls",
    "crypto/x509",
    "database/sql",
    "encoding/pem",
    "html/template",
    "mime",
    "mime/multipart",
    "net",
    "net/http",
    "net/http/cookiejar",
    "net/http/httptest",
    "net/http/httputil",
    "net/mail",
    "net/smtp",
    "net/textproto",
];

impl Standard {
    /// The part that a script needs which imports `path` as well.
    pub(super) fn with(self, path: &str) -> Self {
        let speaks = NET.contains(&path) || (path.starts_with("net/") && !PLAIN.contains(&path));
        if speaks { Self::Net } else { self }
    }

    /// The packages of the part.
    pub(super) fn packages(self) -> Vec<&'static str> {
        let mut packages = PLAIN.to_vec();
        if self == Self::Net {
            packages.extend(NET);
        }
        packages
    }

    /// The comment by which a manifest says which part it is.
    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Plain => "// standard library: plain",
            Self::Net => "// standard library: net",
        }
    }

    /// The part that a manifest asks for.
    pub(super) fn of(manifest: &str) -> Self {
        if manifest.lines().next() == Some(Self::Net.line()) { Self::Net } else { Self::Plain }
    }
}
