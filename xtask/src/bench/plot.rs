//! The plot: for every scenario a bar for each target, as long as its throughput in comparison with ours through the gateway.
//! Plain SVG text, readable on light and dark grounds.

use std::fmt::Write;

use crate::bench::results::{Results, Spread};
use crate::bench::scenario::SCENARIOS;
use crate::bench::target::{Kind, TARGETS, Target};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 150.0;
const BAR: f64 = 15.0;
const GAP: f64 = 4.0;
const TOP: f64 = 64.0;

/// The picture.
pub fn svg(results: &Results) -> String {
    let groups: Vec<(&str, Vec<(&Target, Spread)>)> = SCENARIOS
        .iter()
        .map(|scenario| {
            let bars = TARGETS.iter().filter_map(|target| {
                let rounds = results.of(scenario.name, target.name).map(|sample| sample.measured.throughput);
                Some((target, Spread::of(rounds)?))
            });
            (scenario.title, bars.collect::<Vec<_>>())
        })
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let bars: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let height = TOP + number(bars) * (BAR + GAP) + number(groups.len()) * 40.0 + 20.0;
    let most = groups.iter().flat_map(|(_, bars)| bars).map(|(_, spread)| spread.max).fold(1.0, f64::max);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">"
    );
    let _ = writeln!(out, "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>");
    text(
        &mut out,
        20.0,
        26.0,
        "font-size=\"18\" font-weight=\"bold\"",
        "Requests per second at 16 connections, one core for the server",
    );
    let note = "median of the rounds; whiskers from the slowest to the fastest round; logarithmic scale, longer is better";
    text(&mut out, 20.0, 46.0, "fill=\"#555555\"", note);
    let scale = |value: f64| (value.max(1.0).log10() / most.log10().max(1.0)) * (WIDTH - LEFT - RIGHT);
    let mut y = TOP;
    for (title, bars) in &groups {
        y += 22.0;
        text(&mut out, 20.0, y, "font-weight=\"bold\"", title);
        y += 10.0;
        for (target, spread) in bars {
            let middle = y + BAR / 2.0;
            text(&mut out, LEFT - 8.0, middle + 4.5, "text-anchor=\"end\"", target.title);
            let width = scale(spread.median);
            let colour = colour(target);
            let _ = writeln!(out, "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>");
            let (low, high) = (LEFT + scale(spread.min), LEFT + scale(spread.max));
            let _ = writeln!(
                out,
                "<path d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v8M{high:.1} {:.1}v8\" stroke=\"#222222\" fill=\"none\"/>",
                middle - 4.0,
                middle - 4.0
            );
            text(&mut out, high + 8.0, middle + 4.5, "", &format!("{:.0}/s", spread.median));
            y += BAR + GAP;
        }
        y += 8.0;
    }
    out.push_str("</svg>\n");
    out
}

/// Ours blue, controls grey, peers orange; Spin lighter.
fn colour(target: &Target) -> &'static str {
    match (target.kind, target.host.is_spin()) {
        (Kind::Ours, false) => "#1f5fa8",
        (Kind::Ours, true) => "#6fa3dc",
        (Kind::Noop | Kind::Floor, false) => "#8a8a8a",
        (Kind::Noop | Kind::Floor, true) => "#bdbdbd",
        _ => "#d9822b",
    }
}

fn text(out: &mut String, x: f64, y: f64, style: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{words}</text>");
}

#[allow(clippy::cast_precision_loss, reason = "some dozens")]
fn number(count: usize) -> f64 {
    count as f64
}
