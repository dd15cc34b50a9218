//! The script languages: how each is checked, prepared and started.
