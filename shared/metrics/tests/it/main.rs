//! What is written about metrics outside the code: the document, dashboards, rules, the runbook.

mod document;
