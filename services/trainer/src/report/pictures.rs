use anyhow::{Result, anyhow};
use plotters::{
    chart::ChartBuilder,
    drawing::IntoDrawingArea as _,
    element::{Circle, PathElement},
    prelude::SVGBackend,
    series::LineSeries,
    style::{BLACK, BLUE, Color as _, WHITE},
};
use reeve_classifier::Bin;
use reeve_torch::Epoch;

const SIZE: (u32, u32) = (560, 320);
const SQUARE: (u32, u32) = (360, 360);

/// A figure of each epoch.
pub(super) fn curve(
    title: &str,
    history: &[Epoch],
    figure: impl Fn(&Epoch) -> f64,
) -> Result<String> {
    let points: Vec<(f64, f64)> =
        history.iter().map(|epoch| (f64::from(epoch.epoch), figure(epoch))).collect();
    let (low, high) = points
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (_, y)| (l.min(*y), h.max(*y)));
    let margin = ((high - low) * 0.05).max(1e-6);
    let last = points.last().map_or(1.0, |(epoch, _)| *epoch).max(1.5);
    draw(SIZE, title, (1.0..last, low - margin..high + margin), ("epoch", ""), &points, false)
}

/// The share of right answers for each probability; on the diagonal they are calibrated.
pub(super) fn reliability(bins: &[Bin]) -> Result<String> {
    let points: Vec<(f64, f64)> =
        bins.iter().filter(|bin| bin.count > 0).map(|bin| (bin.confidence, bin.accuracy)).collect();
    let axes = ("probability", "share that is right");
    draw(SQUARE, "reliability", (0.0..1.0, 0.0..1.0), axes, &points, true)
}

fn draw(
    size: (u32, u32),
    title: &str,
    (x, y): (std::ops::Range<f64>, std::ops::Range<f64>),
    (x_axis, y_axis): (&str, &str),
    points: &[(f64, f64)],
    diagonal: bool,
) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("a picture cannot be drawn: {error}");
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        area.fill(&WHITE).map_err(|e| failed(&e))?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(x, y)
            .map_err(|e| failed(&e))?;
        chart
            .configure_mesh()
            .x_desc(x_axis)
            .y_desc(y_axis)
            .light_line_style(WHITE)
            .draw()
            .map_err(|e| failed(&e))?;
        if diagonal {
            let line = PathElement::new(vec![(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.3));
            chart.draw_series([line]).map_err(|e| failed(&e))?;
        }
        chart
            .draw_series(LineSeries::new(points.iter().copied(), &BLUE))
            .map_err(|e| failed(&e))?;
        let dots = points.iter().map(|point| Circle::new(*point, 3, BLUE.filled()));
        chart.draw_series(dots).map_err(|e| failed(&e))?;
        area.present().map_err(|e| failed(&e))?;
    }
    Ok(picture)
}
