//! Small pieces of SVG. All geometry is whole tenths of a pixel, so that the same numbers give the
//! same bytes everywhere.

use std::fmt::Write as _;

/// Escapes text for HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are not allowed in XML and never wanted.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Tenths of a pixel as text.
pub fn px(tenths: i64) -> String {
    let sign = if tenths < 0 { "-" } else { "" };
    let abs = tenths.unsigned_abs();
    if abs.is_multiple_of(10) {
        format!("{sign}{}", abs / 10)
    } else {
        format!("{sign}{}.{}", abs / 10, abs % 10)
    }
}

/// A drawing.
#[derive(Debug)]
pub struct Drawing {
    body: String,
    width: i64,
    height: i64,
}

/// Where a text is anchored.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// Begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// Ends there.
    End,
}

impl Drawing {
    /// An empty one, of so many pixels.
    pub const fn new(width: i64, height: i64) -> Self {
        Self {
            body: String::new(),
            width,
            height,
        }
    }

    /// A filled rectangle with rounded corners; tenths of a pixel.
    pub fn rect(&mut self, x: i64, y: i64, w: i64, h: i64, radius: i64, fill: &str) {
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\" fill=\"{fill}\"/>",
            px(x),
            px(y),
            px(w.max(0)),
            px(h.max(0)),
            px(radius)
        );
    }

    /// A line.
    pub fn line(&mut self, from: (i64, i64), to: (i64, i64), stroke: &str) {
        let _ = write!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{stroke}\"/>",
            px(from.0),
            px(from.1),
            px(to.0),
            px(to.1)
        );
    }

    /// A line through points, and the area under it down to `base` when `area` is given.
    pub fn path(&mut self, points: &[(i64, i64)], stroke: &str, area: Option<(&str, i64)>) {
        let list: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", px(*x), px(*y)))
            .collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        if let Some((fill, base)) = area {
            let _ = write!(
                self.body,
                "<polygon points=\"{},{} {} {},{}\" fill=\"{fill}\"/>",
                px(first.0),
                px(base),
                list.join(" "),
                px(last.0),
                px(base)
            );
        }
        let _ = write!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2.5\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            list.join(" ")
        );
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[(i64, i64)], fill: &str) {
        let list: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", px(*x), px(*y)))
            .collect();
        let _ = write!(
            self.body,
            "<polygon points=\"{}\" fill=\"{fill}\"/>",
            list.join(" ")
        );
    }

    /// A circle.
    pub fn circle(&mut self, x: i64, y: i64, r: i64, fill: &str) {
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            px(x),
            px(y),
            px(r)
        );
    }

    /// Part of a ring, from and to in thousandths of the whole, drawn as a dash of a stroke.
    pub fn arc(&mut self, center: (i64, i64), r: i64, from: i64, to: i64, stroke: &str) {
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" stroke=\"{stroke}\" \
             stroke-width=\"26\" pathLength=\"1000\" stroke-dasharray=\"{} 1000\" \
             stroke-dashoffset=\"{}\" transform=\"rotate(-90 {} {})\"/>",
            px(center.0),
            px(center.1),
            px(r),
            to - from,
            -from,
            px(center.0),
            px(center.1)
        );
    }

    /// A text; `class` is one of the page's: `t` label, `s` small, `b` strong, `w` on dark.
    pub fn text(&mut self, x: i64, y: i64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            px(x),
            px(y),
            escape(text)
        );
    }

    /// The whole as SVG, with a title for those who cannot see it.
    pub fn finish(self, title: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" \
             xmlns=\"http://www.w3.org/2000/svg\">{}</svg>",
            self.width,
            self.height,
            escape(title),
            self.body
        )
    }
}

/// A color between two, at so many thousandths, as `#rrggbb`.
pub fn blend(from: [u8; 3], to: [u8; 3], thousandths: i64) -> String {
    let at = thousandths.clamp(0, 1_000);
    let mix = |a: u8, b: u8| {
        let (a, b) = (i64::from(a), i64::from(b));
        (a * (1_000 - at) + b * at + 500) / 1_000
    };
    format!(
        "#{:02x}{:02x}{:02x}",
        mix(from[0], to[0]),
        mix(from[1], to[1]),
        mix(from[2], to[2])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        let hostile = "</text><script>alert('x')</script>&\u{0}\"";
        let mut drawing = Drawing::new(10, 10);
        drawing.text(0, 0, Anchor::Start, "t", hostile);
        let svg = drawing.finish(hostile);
        assert!(!svg.contains("<script") && !svg.contains('\0'));
        assert_eq!(svg.matches("</text>").count(), 1);
    }

    #[test]
    fn tenths_are_written_short() {
        assert_eq!([px(0), px(10), px(15), px(-5)], ["0", "1", "1.5", "-0.5"]);
        assert_eq!(blend([0, 0, 0], [255, 255, 255], 500), "#808080");
    }
}
