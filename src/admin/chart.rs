//! Charts, drawn as SVG on the server. Pure: what is drawn comes with the call.
//!
//! The colours in the drawing are only marks: the style sheet gives each its colour of the palette, light or dark. What
//! nobody ran in is a gap, and stays one.

use plotters::prelude::*;

/// How large a chart is drawn; it is shown as wide as its place.
const SIZE: (u32, u32) = (640, 200);

/// The marks of the lines, in order; see `.chart` in the style sheet.
const MARKS: [RGBColor; 4] = [RGBColor(0, 0, 161), RGBColor(0, 0, 162), RGBColor(0, 0, 163), RGBColor(0, 0, 164)];
const GRID: RGBColor = RGBColor(0, 0, 165);
const TEXT: RGBColor = RGBColor(0, 0, 166);

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub name: &'static str,
    /// One for each bucket; none where nobody ran, or nothing ended.
    pub points: Vec<Option<f64>>,
}

/// What a chart is drawn from.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    pub lines: Vec<Line>,
    /// How far it reaches back, in the unit of its scale.
    pub reach: f64,
    /// The unit of its scale: `min` or `h`.
    pub unit: &'static str,
    /// How its values are shown.
    pub show: fn(f64) -> String,
}

type Drawn = Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>>;

impl Chart {
    /// The drawing; nothing if it could not be made, which its table does not need.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        match self.draw(&mut svg) {
            Ok(()) => svg,
            Err(error) => {
                tracing::debug!(%error, "a chart could not be drawn");
                String::new()
            }
        }
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let text = ("sans-serif", 11).into_font().color(&TEXT);
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(14)
            .x_label_area_size(20)
            .y_label_area_size(52)
            .build_cartesian_2d(-self.reach..0.0, 0.0..self.top())?;
        let unit = self.unit;
        let past = |x: &f64| if x.abs() < 0.01 { "now".to_owned() } else { format!("−{} {unit}", x.abs()) };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(7)
            .y_labels(5)
            .x_label_formatter(&past)
            .y_label_formatter(&|value| (self.show)(*value))
            .axis_style(GRID)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(text)
            .draw()?;
        for (line, mark) in self.lines.iter().zip(MARKS) {
            for piece in self.pieces(line) {
                match piece[..] {
                    // A line of one point would not be seen.
                    [point] => drop(chart.draw_series([Circle::new(point, 2, mark.filled())])?),
                    _ => drop(chart.draw_series(LineSeries::new(piece, mark.stroke_width(2)))?),
                }
            }
        }
        root.present()
    }

    /// The parts of a line between its gaps.
    fn pieces(&self, line: &Line) -> Vec<Vec<(f64, f64)>> {
        #[expect(clippy::cast_precision_loss, reason = "a chart has about a hundred points")]
        let x = |place: usize| self.reach * ((place + 1) as f64 / line.points.len() as f64 - 1.0);
        let mut pieces = vec![Vec::new()];
        for (place, point) in line.points.iter().enumerate() {
            match (point, pieces.last_mut()) {
                (Some(y), Some(piece)) => piece.push((x(place), *y)),
                (None, Some(piece)) if !piece.is_empty() => pieces.push(Vec::new()),
                _ => {}
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    fn top(&self) -> f64 {
        let highest = self.lines.iter().flat_map(|line| &line.points).flatten().copied().fold(0.0, f64::max);
        if highest > 0.0 { highest * 1.1 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<Option<f64>>) -> Chart {
        let lines = vec![Line { name: "accepted", points }];
        Chart { lines, reach: 15.0, unit: "min", show: |value| format!("{value}") }
    }

    #[test]
    fn gaps_stay_gaps() {
        let chart = chart(vec![Some(1.0), Some(2.0), None, None, Some(3.0)]);
        let pieces = chart.pieces(&chart.lines[0]);
        assert_eq!(pieces, [vec![(-12.0, 1.0), (-9.0, 2.0)], vec![(0.0, 3.0)]]);
        let svg = chart.svg();
        let marks = |tag: &str| svg.split(tag).skip(1).filter(|part| part.contains("#0000A1")).count();
        assert_eq!((marks("<polyline"), marks("<circle")), (1, 1), "{svg}");
    }

    #[test]
    fn a_drawing_has_nothing_inline_and_scales() {
        for points in [vec![], vec![None; 90], vec![Some(0.0); 90], vec![Some(1e9); 2]] {
            let svg = chart(points).svg();
            assert!(svg.starts_with("<svg") && svg.contains("viewBox"), "{svg}");
            assert!(!svg.contains("style="), "{svg}");
        }
    }
}
