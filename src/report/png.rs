//! A picture as PNG. `usvg` reads the SVG and turns its texts into shapes, with fonts that are part of the
//! program, so the bytes are the same on every machine; `tiny_skia` fills the shapes.
//!
//! The fonts have Latin, Greek and Cyrillic letters; others become boxes, and are whole in the SVG.

use std::io::Cursor;
use std::sync::Arc;

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use tiny_skia::{Color, FillRule, Paint, Pixmap};
use usvg::{Group, Node, Opacity, Options, PaintOrder, Path, Tree};

use crate::error::{Error, Result};

/// Pixels for each unit of a picture: sharp on a dense screen, and in print at a third of a page.
const SCALE: f32 = 2.0;

/// The fonts, under the SIL Open Font License beside them.
const FONTS: [&[u8]; 2] = [
    include_bytes!("../../assets/fonts/inter-regular.otf"),
    include_bytes!("../../assets/fonts/inter-semibold.otf"),
];

/// Draws a document of ours, in its light colours.
///
/// # Errors
/// `Internal` if it holds what cannot be drawn.
pub(super) fn png(svg: &str) -> Result<Vec<u8>> {
    let wrong = || Error::internal("the picture cannot be drawn as PNG");
    let tree = Tree::from_str(svg, &options()).map_err(|e| wrong().because(e))?;
    let (width, height) = (SCALE * tree.size().width(), SCALE * tree.size().height());
    let mut pixels = Pixmap::new(width.ceil() as u32, height.ceil() as u32).ok_or_else(wrong)?;
    pixels.fill(Color::WHITE);
    draw(tree.root(), 1.0, &mut pixels);
    let mut bytes = Cursor::new(Vec::new());
    // Nothing shows through, so the colours are as they are drawn.
    let encoder = PngEncoder::new(&mut bytes);
    encoder
        .write_image(pixels.data(), pixels.width(), pixels.height(), ExtendedColorType::Rgba8)
        .map_err(|e| wrong().because(e))?;
    Ok(bytes.into_inner())
}

fn options() -> Options<'static> {
    let mut options = Options { font_family: "Inter".to_owned(), ..Options::default() };
    let fonts = Arc::make_mut(&mut options.fontdb);
    for font in FONTS {
        fonts.load_font_data(font.to_vec());
    }
    options
}

/// Draws shapes one over the other. The opacity of a group becomes that of its shapes, which is the same
/// where they do not overlap: no picture of ours has a group of several.
fn draw(group: &Group, opacity: f32, pixels: &mut Pixmap) {
    let opacity = opacity * group.opacity().get();
    for node in group.children() {
        match node {
            Node::Group(inner) => draw(inner, opacity, pixels),
            Node::Text(text) => draw(text.flattened(), opacity, pixels),
            Node::Path(path) if path.is_visible() => shape(path, opacity, pixels),
            Node::Path(_) | Node::Image(_) => {}
        }
    }
}

fn shape(path: &Path, opacity: f32, pixels: &mut Pixmap) {
    let place = path.abs_transform().post_scale(SCALE, SCALE);
    let fill = |pixels: &mut Pixmap| {
        if let Some((fill, paint)) =
            path.fill().and_then(|f| Some((f, paint(f.paint(), f.opacity(), opacity)?)))
        {
            let rule = match fill.rule() {
                usvg::FillRule::NonZero => FillRule::Winding,
                usvg::FillRule::EvenOdd => FillRule::EvenOdd,
            };
            pixels.fill_path(path.data(), &paint, rule, place, None);
        }
    };
    let line = |pixels: &mut Pixmap| {
        if let Some((line, paint)) =
            path.stroke().and_then(|s| Some((s, paint(s.paint(), s.opacity(), opacity)?)))
        {
            pixels.stroke_path(path.data(), &paint, &line.to_tiny_skia(), place, None);
        }
    };
    if path.paint_order() == PaintOrder::FillAndStroke {
        fill(pixels);
        line(pixels);
    } else {
        line(pixels);
        fill(pixels);
    }
}

/// A plain colour; pictures of ours have no other paint.
fn paint(of: &usvg::Paint, own: Opacity, opacity: f32) -> Option<Paint<'static>> {
    let usvg::Paint::Color(colour) = of else { return None };
    let mut paint = Paint::default();
    let alpha = (255.0 * own.get() * opacity).round() as u8;
    paint.set_color_rgba8(colour.red, colour.green, colour.blue, alpha);
    Some(paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(body: &str) -> image::RgbaImage {
        let style = crate::report::chart::STYLE;
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" width=\"60\" height=\"30\"><style>{style}</style>{body}</svg>"
        );
        image::load_from_memory(&png(&svg).unwrap()).unwrap().to_rgba8()
    }

    #[test]
    fn colours_are_those_of_the_style() {
        let pixels = drawn(
            "<rect class=\"a\" x=\"10\" width=\"10\" height=\"30\"/><rect class=\"b\" fill-opacity=\"0.5\" x=\"20\" width=\"10\" height=\"30\"/><path class=\"line c\" d=\"M30 15h20\"/>",
        );
        assert_eq!(pixels.dimensions(), (120, 60));
        assert_eq!(pixels.get_pixel(5, 5).0, [255; 4]);
        assert_eq!(pixels.get_pixel(30, 30).0, [0, 0x72, 0xb2, 255]);
        let [red, green, blue, alpha] = pixels.get_pixel(50, 30).0;
        assert!(
            red > 225 && (170..180).contains(&green) && (125..131).contains(&blue) && alpha == 255
        );
        assert_eq!(pixels.get_pixel(65, 30).0, [0, 0x7a, 0x5a, 255]);
    }

    #[test]
    fn texts_are_drawn_without_any_font_of_the_system() {
        let ink = |body: &str| drawn(body).pixels().filter(|pixel| pixel.0[0] < 100).count();
        assert_eq!(ink(""), 0);
        let light = ink("<text x=\"2\" y=\"20\">Il\u{fc}\u{416}</text>");
        let heavy = ink("<text class=\"head\" x=\"2\" y=\"20\">Il\u{fc}\u{416}</text>");
        assert!(light > 60 && heavy > light + light / 5, "{light} {heavy}");
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        assert!(png("<svg").unwrap_err().to_string().contains("cannot be drawn as PNG"));
    }
}
