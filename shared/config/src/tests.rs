//! The configuration as its users see it: every mistake named, and a manual that cannot lie.
