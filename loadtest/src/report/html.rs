//! The report as one HTML page: tables and charts, nothing loaded, no script.

use std::fmt::Write as _;

use super::figures::{self, Table};
use super::number::measure;
use crate::record::{Phase, Record};

const STYLE: &str = include_str!("style.css");

/// The page of one or several tests.
pub fn html(records: &[Record]) -> String {
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
        let text = html(&[sample_record()]);
        for forbidden in ["<script", "http://", "https://", "url(", "@import", "<link", "<img", "src="] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        assert!(text.contains("prefers-color-scheme: dark") && text.contains("<meta charset=\"utf-8\">"));
        assert_eq!(text.matches("<svg ").count(), 7);
        assert!(text.contains("<div class=\"audit clean\">") && text.contains("<td>7,946 MiB</td>"));
    }

    #[test]
    fn every_tag_that_opens_closes() {
        let text = html(&[sample_record(), sample_record()]);
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
        let text = html(&[record]);
        assert!(!text.contains("<b ") && !text.contains("onload='"), "{text}");
        assert!(
            text.contains("&quot;&gt;&lt;b onload=&#39;x&#39;&gt;&amp;") && text.contains("audit failed")
        );
    }
}
