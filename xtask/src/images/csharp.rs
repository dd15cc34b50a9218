//! C#: what the root of C# has on top of its base, .NET's runtime and Roslyn.

use std::path::Path;

use crate::{Outcome, runtime};

pub(super) fn gather(folder: &Path) -> Outcome<String> {
    runtime::lay_over("csharp", folder)?;
    Ok("\
COPY usr /usr
RUN ldconfig
"
    .to_owned())
}
