//! The report as one HTML page: tables and charts, nothing loaded, no script.

use std::fmt::Write as _;

use super::figures::{self, Table};
use super::number::measure;
use super::{Tuning, analysis};
use crate::record::{Phase, Record};

const STYLE: &str = include_str!("style.css");

/// The page of one or several tests, with what held them up and what was tuned.
pub fn html(records: &[Record], tuning: &[Tuning]) -> String {
    let titles: Vec<String> = records.iter().map(|record| escape(&record.title)).collect();
    let title = if titles.is_empty() { "Load test".to_owned() } else { titles.join(" · ") };
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    for record in records {
        write_record(&mut text, record);
    }
    for record in records {
        for phase in &record.phases {
            write_analysis(&mut text, phase, record.machine.cores);
        }
    }
    write_tuning(&mut text, tuning);
    text.push_str("</main>\n</body>\n</html>\n");
    text
}

/// Text that stands between tags or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(letter),
        }
    }
    safe
}

fn write_record(text: &mut String, record: &Record) {
    let _ = writeln!(text, "<h1>{}</h1>", escape(&record.title));
    text.push_str("<h2>Environment</h2>\n");
    table(text, &figures::environment(record));
    if !record.parameters.is_empty() {
        text.push_str("<h2>Parameters</h2>\n");
        table(text, &figures::parameters(record));
    }
    for phase in &record.phases {
        write_phase(text, phase);
    }
}

fn write_phase(text: &mut String, phase: &Phase) {
    let _ = writeln!(
        text,
        "<section>\n<h2>{}</h2>\n<p>{} s, from second {} of the test.</p>",
        escape(&phase.name),
        measure(phase.seconds),
        measure(phase.started_s)
    );
    if !phase.streams.is_empty() {
        table(text, &figures::outcomes(phase));
        text.push_str("<h3>Latency from the scheduled time of each request</h3>\n");
        table(text, &figures::latencies(phase));
    }
    list(text, "Answers other than accepted ones", &figures::words(phase));
    if let Some(audit) = &phase.audit {
        let verdict = if audit.clean() { "clean" } else { "failed" };
        let _ = writeln!(text, "<div class=\"audit {verdict}\">\n<h3>Audit</h3>");
        table(text, &figures::audit(audit));
        list(text, "Differences", &audit.differences);
        text.push_str("</div>\n");
    }
    list(text, "Notes", &phase.notes);
    let charts = figures::charts(phase);
    if !charts.is_empty() {
        text.push_str("<div class=\"charts\">\n");
        for chart in charts {
            text.push_str(&chart.svg());
        }
        text.push_str("</div>\n");
    }
    text.push_str("</section>\n");
}

fn write_analysis(text: &mut String, phase: &Phase, cores: u32) {
    let sections = analysis::sections(phase, cores);
    if sections.is_empty() {
        return;
    }
    let _ = writeln!(text, "<section>\n<h2>Bottleneck analysis: {}</h2>", escape(&phase.name));
    for section in sections {
        let _ = writeln!(text, "<h3>{}</h3>\n<p>{}</p>", section.title, escape(&section.says));
        table(text, &section.table);
    }
    text.push_str("</section>\n");
}

fn write_tuning(text: &mut String, tuning: &[Tuning]) {
    if tuning.is_empty() {
        return;
    }
    text.push_str("<section>\n<h2>Tuning record</h2>\n<ul>\n");
    for entry in tuning {
        let (link, title, file) = (escape(&entry.link), escape(&entry.title), escape(&entry.file));
        let _ = writeln!(text, "<li><a href=\"{link}\">{title}</a> ({file})</li>");
    }
    text.push_str("</ul>\n</section>\n");
}

fn table(text: &mut String, table: &Table) {
    let class = if table.columns == ["what", "value"] { " class=\"pairs\"" } else { "" };
    let _ = write!(text, "<div class=\"wide\"><table{class}>\n<thead><tr>");
    for column in &table.columns {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(column));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text.push_str("</tbody>\n</table></div>\n");
}

fn list(text: &mut String, head: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "<h3>{head}</h3>\n<ul>");
    for item in items {
        let _ = writeln!(text, "<li>{}</li>", escape(item));
    }
    text.push_str("</ul>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample_record;

    #[test]
    fn the_page_stands_alone() {
        let tuning = Tuning { file: "b.md".into(), link: "../b.md".into(), title: "Faster".into() };
        let text = html(&[sample_record()], &[tuning]);
        assert!(text.contains("<h3>Pools</h3>") && text.contains("<a href=\"../b.md\">Faster</a>"));
        for forbidden in ["<script", "http://", "https://", "url(", "@import", "<link", "<img", "src="] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        assert!(text.contains("prefers-color-scheme: dark") && text.contains("<meta charset=\"utf-8\">"));
        assert_eq!(text.matches("<svg ").count(), 7);
        assert!(text.contains("<div class=\"audit clean\">") && text.contains("<td>7,946 MiB</td>"));
    }

    #[test]
    fn every_tag_that_opens_closes() {
        let text = html(&[sample_record(), sample_record()], &[]);
        for tag in [
            "html", "head", "body", "main", "section", "div", "table", "tr", "td", "th", "ul", "li", "svg",
            "g", "figure", "text",
        ] {
            let opened = [format!("<{tag}>"), format!("<{tag} ")]
                .iter()
                .map(|open| text.matches(open).count())
                .sum::<usize>();
            assert!(opened > 0, "{tag}");
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn texts_are_escaped_wherever_they_stand() {
        let evil = "\"><b onload='x'>&";
        let mut record = sample_record();
        record.title = evil.into();
        record.commit = evil.into();
        record.parameters.insert(evil.into(), evil.into());
        let phase = &mut record.phases[0];
        phase.name = evil.into();
        phase.notes = vec![evil.into()];
        phase.streams[0].name = evil.into();
        phase.streams[0].words.insert(evil.into(), 1);
        phase.samples[0].cpu.insert(evil.into(), 1.0);
        phase.audit.as_mut().unwrap().differences.push(evil.into());
        let text = html(&[record], &[Tuning { file: evil.into(), link: evil.into(), title: evil.into() }]);
        assert!(!text.contains("<b ") && !text.contains("onload='"), "{text}");
        assert!(
            text.contains("&quot;&gt;&lt;b onload=&#39;x&#39;&gt;&amp;") && text.contains("audit failed")
        );
    }
}
