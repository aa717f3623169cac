//! The screen of a run that is watched: as much of it as there is room for. Nothing is told by colour alone.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Gauge, Paragraph, Sparkline, Widget};
use spfde_data::visible;

use super::{Epoch, Watched};
use crate::report::table::{or_dash, percent, precise};

/// Columns of a bar.
const BAR: usize = 10;

/// Columns from which layers stand beside epochs.
const WIDE: u16 = 76;

/// Lines from which there is a curve of the accuracy.
const TALL: u16 = 14;

/// Lines of that curve.
const CURVE: u16 = 4;

/// The screen.
pub struct Screen<'a>(pub &'a Watched);

impl Widget for Screen<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let watched = self.0;
        let curve = if area.height >= TALL { CURVE } else { 0 };
        let rows = [1, 1, 1, curve].map(Constraint::Length).into_iter().chain([Constraint::Min(0)]);
        let [head, reached, gauge, curve, rest] = Layout::vertical(rows).areas(area);
        let name = visible(&watched.path.display().to_string()).into_owned();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let state = visible(&watched.state()).into_owned();
        Line::from(vec![Span::styled(name, bold), Span::raw("  "), Span::raw(state)]).render(head, buffer);
        Line::raw(watched.reached()).render(reached, buffer);
        let share = f64::from(watched.manifest.epochs_reached) / f64::from(watched.manifest.epochs.max(1));
        let done = Gauge::default().gauge_style(Style::new().fg(Color::Cyan)).use_unicode(true);
        done.ratio(share.clamp(0.0, 1.0)).label(percent(share)).render(gauge, buffer);
        accuracies(watched, curve, buffer);
        let [left, right] = match area.width >= WIDE && !watched.layers.is_empty() {
            true => Layout::horizontal([Constraint::Percentage(65), Constraint::Percentage(35)]).areas(rest),
            false => [rest, Rect::ZERO],
        };
        epochs(&watched.epochs, left, buffer);
        layers(watched, right, buffer);
    }
}

/// A panel with lines of text, of which the last are shown if there is no room for all.
fn panel(title: &str, lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let block = Block::new().borders(Borders::TOP).title(title);
    let room = usize::from(block.inner(area).height);
    let surplus = lines.len().saturating_sub(room);
    Paragraph::new(lines.into_iter().skip(surplus).collect::<Vec<_>>()).block(block).render(area, buffer);
}

/// The curve of the accuracy on the test set, between its least and its greatest value.
fn accuracies(watched: &Watched, area: Rect, buffer: &mut Buffer) {
    let all: Vec<f64> = watched.epochs.iter().filter_map(|epoch| epoch.row.test_accuracy).collect();
    let (Some(least), Some(most)) =
        (all.iter().copied().reduce(f64::min), all.iter().copied().reduce(f64::max))
    else {
        return;
    };
    let title = format!("test accuracy from {} to {}", precise(least), precise(most));
    // The latest, one column each; the least has one eighth of a line.
    let shown = all.iter().skip(all.len().saturating_sub(usize::from(area.width)));
    let data: Vec<u64> =
        shown.map(|value| 8 + (192.0 * (value - least) / (most - least).max(1e-9)) as u64).collect();
    let curve = Sparkline::default().block(Block::new().borders(Borders::TOP).title(title)).max(200);
    curve.data(data).style(Style::new().fg(Color::Green)).render(area, buffer);
}

/// A share as a bar.
fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    "█".repeat(full) + &"░".repeat(BAR - full)
}

/// What the latest epochs reached, cost, and exchanged.
fn epochs(epochs: &[Epoch], area: Rect, buffer: &mut Buffer) {
    let line = |epoch: &Epoch| {
        let Epoch { row, entered, left, .. } = epoch;
        let accuracy = or_dash(row.test_accuracy, precise);
        let cost = epoch.of_dense();
        Line::raw(format!(
            "{:>4} {accuracy:>8} {} {:>7} {:>7} +{entered} −{left}",
            row.epoch + 1,
            bar(cost),
            percent(cost),
            row.active_samples
        ))
    };
    panel("epoch, accuracy, FLOPs of dense, samples", epochs.iter().map(line).collect(), area, buffer);
}

/// The density of every layer, and whether it is frozen: the ones that train come last.
fn layers(watched: &Watched, area: Rect, buffer: &mut Buffer) {
    let frozen = watched.layers.iter().filter(|layer| layer.frozen).count();
    let title = format!("{frozen} of {} layers frozen", watched.layers.len());
    let longest = watched.layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0);
    let lines = watched.layers.iter().map(|layer| {
        let density = f64::from(layer.nonzero) / f64::from(layer.weights.max(1));
        let style = if layer.frozen { Style::new().fg(Color::Blue) } else { Style::new() };
        let mark = if layer.frozen { "frozen" } else { "trains" };
        let name = visible(&layer.name).into_owned();
        let density = format!("{:>7} {}", percent(density), bar(density));
        Line::styled(format!(" {mark} {name:longest$} {density}"), style)
    });
    panel(&title, lines.collect(), area, buffer);
}

/// The screen as lines of text of at most `width` columns, as many as `height`.
pub fn text(watched: &Watched, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    Screen(watched).render(area, &mut buffer);
    let line = |row: u16| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use spfde_data::files::Manifest;
    use spfde_data::{EpochRow, LayerRow};

    use super::*;

    fn watched() -> Watched {
        let epoch = |epoch: u32| Epoch {
            row: EpochRow {
                epoch,
                test_accuracy: Some(0.5 + 0.04 * f64::from(epoch)),
                forward_flops: 1,
                backward_flops: 2,
                dense_flops: 10,
                active_samples: 51_000,
                seconds: Some(2.0),
                ..EpochRow::default()
            },
            entered: 900 * usize::from(epoch > 0),
            left: 900 * usize::from(epoch > 0),
            elapsed: None,
        };
        let layer = |layer: u16| LayerRow {
            layer,
            name: format!("convolution{}", layer + 1),
            weights: 100,
            nonzero: 10,
            frozen: layer == 0,
            ..LayerRow::default()
        };
        Watched {
            path: PathBuf::from("runs/a"),
            manifest: Manifest { epochs: 16, epochs_reached: 8, ..Manifest::default() },
            held: true,
            epochs: (0..8).map(epoch).collect(),
            layers: (0..3).map(layer).collect(),
        }
    }

    #[test]
    fn a_screen_shows_progress_cost_layers_and_samples() {
        let text = text(&watched(), 80, 24);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "runs/a  training");
        // Eight epochs of two seconds are left.
        assert_eq!(lines[1], "8 of 16 epochs, test accuracy 78.00 %, about 16 s left");
        for part in [
            "50.0 %",
            "test accuracy from 50.00 % to 78.00 %",
            "   8  78.00 % ███░░░░░░░  30.0 %   51000 +900 −900",
            "1 of 3 layers frozen",
            " frozen convolution1  10.0 %",
            " trains convolution3  10.0 %",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_small_terminal_shows_what_there_is_room_for() {
        let watched = watched();
        let small = text(&watched, 40, 8);
        assert!(small.lines().all(|line| line.chars().count() <= 40), "{small}");
        assert!(small.contains("8  78.00 %") && !small.contains("convolution"), "{small}");
        for (width, height) in [(1, 1), (3, 2), (10, 3), (200, 2), (2, 60), (0, 0)] {
            text(&watched, width, height);
        }
        let begun = Watched { held: true, ..Watched::default() };
        assert!(text(&begun, 80, 24).contains("0 of 0 epochs, test accuracy –"));
    }
}
