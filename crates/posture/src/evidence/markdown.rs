//! A report as Markdown, for people and for version control.

use std::fmt::{self, Write as _};

use super::{Claim, Found, Report, Status};

/// The report.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // A text that is written into cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    let basis = &report.basis;
    writeln!(out, "# {} {}\n", cell(&report.title), cell(&report.version))?;
    writeln!(
        out,
        "What a running node shows of it, from {} to {}. Made {} from {} events of the log `{}`{}. The framework: <{}>.\n",
        basis.since,
        basis.until,
        basis.issued_at,
        basis.size,
        cell(&basis.origin),
        if basis.complete {
            ""
        } else {
            ", **which was not read to its end**"
        },
        report.source,
    )?;
    let count = |status| report.counts.get(&status).copied().unwrap_or(0);
    writeln!(
        out,
        "{} covered, {} partial, {} not covered; {} items to which no live fact speaks.\n",
        count(Status::Covered),
        count(Status::Partial),
        count(Status::NotCovered),
        report.silent.len(),
    )?;
    writeln!(
        out,
        "| item | status | rests on | why not more | outside |\n|---|---|---|---|---|"
    )?;
    for claim in &report.claims {
        write_claim(out, claim)?;
    }
    if !report.silent.is_empty() {
        writeln!(
            out,
            "\nNo live fact speaks to: {}.",
            report.silent.join(", ")
        )?;
    }
    writeln!(out, "\n## Facts")?;
    for found in &report.facts {
        write_fact(out, found)?;
    }
    Ok(())
}

fn write_claim(out: &mut String, claim: &Claim) -> fmt::Result {
    writeln!(
        out,
        "| {} {} | **{}** | {} | {} | {} |",
        cell(&claim.row.number),
        cell(&claim.row.title),
        claim.status.as_str(),
        claim.row.facts.join(" "),
        cell(&claim.because.join("; ")),
        cell(claim.row.outside.as_deref().unwrap_or("–")),
    )
}

fn write_fact(out: &mut String, found: &Found) -> fmt::Result {
    let fact = &found.fact;
    writeln!(
        out,
        "\n### {} {}: {}\n",
        fact.id,
        cell(&fact.title),
        found.status.as_str()
    )?;
    if let Some(says) = &fact.says {
        writeln!(out, "Counted: {}.", cell(says))?;
    }
    if let Some(measured) = &found.measured {
        writeln!(out, "Found: {} of {}.", measured.good, measured.of)?;
    }
    if let Some(covered) = fact.covered {
        let partial = fact
            .partial
            .map_or_else(String::new, |bar| format!(", partial from {bar} %"));
        writeln!(out, "Covered from {covered} %{partial}.")?;
    }
    if let Some(because) = &found.because {
        writeln!(out, "Not more because: {}.", cell(because))?;
    }
    if let Some(query) = &fact.query {
        writeln!(out, "See for yourself: `{query}`")?;
    }
    let Some(measured) = &found.measured else {
        return Ok(());
    };
    for (title, places) in [("Against", &measured.against), ("For", &measured.examples)] {
        if places.is_empty() {
            continue;
        }
        writeln!(out, "\n{title}:\n")?;
        for place in places {
            match place.index {
                Some(index) => writeln!(
                    out,
                    "- event `{}`, {index} of the log: `bailiwick audit prove {}`",
                    cell(&place.id),
                    cell(&place.id)
                )?,
                None => writeln!(out, "- {} `{}`", cell(&place.kind), cell(&place.id))?,
            }
        }
    }
    Ok(())
}

/// Text that breaks neither a table nor a code span, and brings no markup of its own.
fn cell(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '|' | '`' | '<' | '>' | '[' | ']' | '*' | '\n' | '\r' => ' ',
            other => other,
        })
        .collect()
}
