//! The page: head, links to its parts, and the parts.

use std::fmt::Write as _;

use super::chart;
use super::markup::escaped;
use super::section::{self, Section};
use crate::run::Evidence;

const STYLE: &str = include_str!("page.css");

/// The report of a run as one HTML file.
pub fn page(run: &Evidence) -> String {
    let name = escaped(&run.summary.uri);
    let sections: Vec<Section> = section::all(run);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>What {name} kept</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#summary\">Skip to the report</a>\n",
        chart::STYLE
    );
    html.push_str(&section::head(run));
    html.push_str("<nav aria-label=\"Parts of this report\">\n<ul>\n");
    for part in &sections {
        let _ = writeln!(html, "<li><a href=\"#{}\">{}</a></li>", part.id, escaped(part.short));
    }
    html.push_str("</ul>\n</nav>\n<main>\n");
    for part in &sections {
        html.push_str(&part.html());
    }
    let version = escaped(&run.provenance.version);
    let _ = write!(
        html,
        "</main>\n<footer>\n<p>Made by <code>unseen report {name}</code> from the tables of the run, which unseen {version} made. Nothing on this page is loaded from elsewhere.</p>\n</footer>\n</body>\n</html>\n"
    );
    html
}
