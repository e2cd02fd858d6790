//! A report as one page of HTML: no script, nothing loaded, readable in print and without colour.

use std::fmt::{self, Write as _};

use super::{Claim, Found, Measured, Report, Status};

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    // A text that is written into cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(out: &mut String, report: &Report) -> fmt::Result {
    let title = format!("{} {}", report.title, report.version);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n",
        escaped(&title),
        escaped(&title),
    )?;
    write_basis(out, report)?;
    out.push_str("<table>\n<caption>Items</caption>\n<thead><tr><th scope=\"col\">Item</th><th scope=\"col\">Status</th><th scope=\"col\">Rests on</th><th scope=\"col\">Why not more</th><th scope=\"col\">Outside</th></tr></thead>\n<tbody>\n");
    for claim in &report.claims {
        write_claim(out, claim)?;
    }
    out.push_str("</tbody>\n</table>\n");
    if !report.silent.is_empty() {
        writeln!(
            out,
            "<p>No live fact speaks to: {}.</p>",
            escaped(&report.silent.join(", "))
        )?;
    }
    out.push_str("<h2>Facts</h2>\n");
    for found in &report.facts {
        write_fact(out, found)?;
    }
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

fn write_basis(out: &mut String, report: &Report) -> fmt::Result {
    let basis = &report.basis;
    let count = |status| report.counts.get(&status).copied().unwrap_or(0);
    writeln!(
        out,
        "<p>What a running node shows of it, from <time>{}</time> to <time>{}</time>. Made <time>{}</time> from {} events of the log <code>{}</code>.</p>",
        basis.since,
        basis.until,
        basis.issued_at,
        basis.size,
        escaped(&basis.origin),
    )?;
    if !basis.complete {
        out.push_str("<p><strong>The record of the period was not read to its end.</strong></p>\n");
    }
    writeln!(
        out,
        "<p><strong>{}</strong> covered, <strong>{}</strong> partial, <strong>{}</strong> not covered; {} items to which no live fact speaks. The framework: <a href=\"{}\" rel=\"noreferrer\">{}</a>.</p>",
        count(Status::Covered),
        count(Status::Partial),
        count(Status::NotCovered),
        report.silent.len(),
        escaped(&report.source),
        escaped(&report.source),
    )
}

fn write_claim(out: &mut String, claim: &Claim) -> fmt::Result {
    let mut links = String::new();
    for fact in &claim.row.facts {
        write!(links, "<a href=\"#{0}\">{0}</a> ", escaped(fact))?;
    }
    writeln!(
        out,
        "<tr><th scope=\"row\">{} {}</th><td>{}</td><td>{links}</td><td>{}</td><td>{}</td></tr>",
        escaped(&claim.row.number),
        escaped(&claim.row.title),
        badge(claim.status),
        escaped(&claim.because.join("; ")),
        escaped(claim.row.outside.as_deref().unwrap_or("–")),
    )
}

fn write_fact(out: &mut String, found: &Found) -> fmt::Result {
    let fact = &found.fact;
    writeln!(
        out,
        "<section id=\"{0}\">\n<h3>{0} {1} {2}</h3>",
        escaped(&fact.id),
        escaped(&fact.title),
        badge(found.status),
    )?;
    if let Some(says) = &fact.says {
        writeln!(out, "<p>Counted: {}.</p>", escaped(says))?;
    }
    if let Some(measured) = &found.measured {
        write!(
            out,
            "<p>Found: <strong>{} of {}</strong>.",
            measured.good, measured.of
        )?;
        if let Some(covered) = fact.covered {
            write!(out, " Covered from {covered} %")?;
            if let Some(partial) = fact.partial {
                write!(out, ", partial from {partial} %")?;
            }
            out.push('.');
        }
        out.push_str("</p>\n");
    }
    if let Some(because) = &found.because {
        writeln!(out, "<p>Not more because: {}.</p>", escaped(because))?;
    }
    if let Some(query) = &fact.query {
        writeln!(
            out,
            "<p>See for yourself: <code>{}</code></p>",
            escaped(query)
        )?;
    }
    if let Some(measured) = &found.measured {
        write_places(out, measured)?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn write_places(out: &mut String, measured: &Measured) -> fmt::Result {
    for (title, places) in [("Against", &measured.against), ("For", &measured.examples)] {
        if places.is_empty() {
            continue;
        }
        writeln!(
            out,
            "<details{}><summary>{title} ({} named)</summary><ul>",
            if title == "Against" { " open" } else { "" },
            places.len()
        )?;
        for place in places {
            let id = escaped(&place.id);
            match place.index {
                Some(index) => writeln!(
                    out,
                    "<li>event <code>{id}</code>, {index} of the log: <code>bailiwick audit prove {id}</code></li>"
                )?,
                None => writeln!(out, "<li>{} <code>{id}</code></li>", escaped(&place.kind))?,
            }
        }
        out.push_str("</ul></details>\n");
    }
    Ok(())
}

fn badge(status: Status) -> String {
    let (class, mark) = match status {
        Status::Covered => ("covered", "●"),
        Status::Partial => ("partial", "◐"),
        Status::NotCovered => ("not", "○"),
    };
    format!(
        "<span class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {}</span>",
        status.as_str()
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
main{max-width:72rem;margin:0 auto;padding:1rem}\
table{border-collapse:collapse;width:100%}\
caption{text-align:left;font-weight:600}\
th,td{border:1px solid;padding:.4rem .6rem;text-align:left;vertical-align:top}\
code{overflow-wrap:anywhere}\
.covered,.partial,.not{white-space:nowrap;font-weight:600}\
.not{text-decoration:underline dotted}\
@media (max-width:40rem){table,tbody,tr,td,th{display:block}thead{display:none}}";
