//! A figure: what a page shows of one question, with its numbers and the query that makes them.

use maud::{Markup, PreEscaped, html};

/// A figure.
#[derive(Default)]
pub(super) struct Figure {
    /// What it is about.
    pub(super) title: &'static str,
    /// What it shows, or why it shows nothing.
    pub(super) caption: String,
    /// What the colours mean: a class, and words.
    pub(super) legend: Vec<(String, String)>,
    /// Drawings, as SVG.
    pub(super) drawings: Vec<String>,
    /// Groups of pictures, each with a heading.
    pub(super) pictures: Vec<(String, Vec<Picture>)>,
    /// The numbers.
    pub(super) tables: Vec<Table>,
}

/// A picture of a sample.
#[derive(Clone)]
pub(super) struct Picture {
    /// Its PNG in base64.
    pub(super) png: String,
    /// What stands below it.
    pub(super) lines: Vec<String>,
}

/// Numbers, and the query that makes them: it has the same columns and rows.
pub(super) struct Table {
    /// Of what they are, where a figure has several tables.
    pub(super) title: String,
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) query: String,
}

impl Table {
    /// A table with these heads.
    pub(super) fn new(title: &str, heads: &[&str], rows: Vec<Vec<String>>, query: String) -> Self {
        let heads = heads.iter().map(|head| (*head).to_owned()).collect();
        Self { title: title.to_owned(), heads, rows, query }
    }
}

impl Figure {
    /// A figure that shows nothing, and says why.
    pub(super) fn absent(title: &'static str, why: impl Into<String>) -> Self {
        Self { title, caption: why.into(), ..Self::default() }
    }

    /// Its HTML.
    pub(super) fn html(&self) -> Markup {
        html! {
            figure {
                h3 { (self.title) }
                @if !self.legend.is_empty() {
                    p.legend { @for (class, words) in &self.legend {
                        span { svg viewBox="0 0 14 10" { path class=(class) d="M0 0h14v10h-14z" {} } (words) }
                    } }
                }
                @if !self.drawings.is_empty() {
                    div.drawings { @for drawing in &self.drawings { (PreEscaped(drawing)) } }
                }
                @for (heading, pictures) in &self.pictures {
                    h4 { (heading) }
                    div.pictures { @for Picture { png, lines } in pictures {
                        div {
                            img alt=(lines.join(", ")) src={ "data:image/png;base64," (png) };
                            @for line in lines { span { (line) } }
                        }
                    } }
                }
                figcaption { (self.caption) }
                @for table in &self.tables { (table.html()) }
            }
        }
    }
}

impl Table {
    fn html(&self) -> Markup {
        let name = if self.title.is_empty() { String::new() } else { format!(": {}", self.title) };
        html! {
            details {
                summary { "Numbers and query" (name) }
                div.table { table {
                    thead { tr { @for head in &self.heads { th { (head) } } } }
                    tbody { @for row in &self.rows { tr { @for cell in row { td { (cell) } } } } }
                } }
                pre { code { (self.query) } }
            }
        }
    }
}

/// A number with so many digits behind the point, as tables show it; a dash if there is none.
pub(super) fn digits(value: Option<f64>, digits: usize) -> String {
    match value.map(|value| format!("{value:.digits$}")) {
        // Not minus nothing.
        Some(text) if text.trim_start_matches(['-', '0', '.']).is_empty() => text.replace('-', ""),
        Some(text) => text,
        None => "–".to_owned(),
    }
}
