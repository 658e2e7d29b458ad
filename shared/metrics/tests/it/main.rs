//! What is written about metrics outside the code: the document, dashboards, rules, the runbook, the Collector's configuration.

mod collector;
mod document;
mod expressions;
mod files;
mod promtool;
