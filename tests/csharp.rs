//! C# on the Linux sandbox, in a root file system of its own, which `cargo xtask test` makes of packages.

#[cfg(test)]
#[path = "csharp/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "csharp/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "csharp/feed.rs"]
mod feed;
#[cfg(test)]
#[path = "csharp/forms.rs"]
mod forms;
#[cfg(test)]
#[path = "csharp/layer.rs"]
mod layer;
#[cfg(test)]
#[path = "csharp/nuget.rs"]
mod nuget;
#[cfg(test)]
#[path = "csharp/user.rs"]
mod user;
