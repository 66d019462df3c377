//! Samples to look at.

use std::fmt::Write as _;

use super::Section;
use crate::report::chart;
use crate::report::markup::{self, escaped, paragraph};
use crate::report::words::{grouped, number};
use crate::run::{Evidence, Glimpse, Shelf, Shown};

/// Pictures up to this many pixels are shown with their pixels as squares.
const TINY: u32 = 48;

pub(super) fn samples(run: &Evidence) -> Option<Section> {
    if run.gallery.shelves.is_empty() {
        return None;
    }
    let mut body = paragraph(
        "Look at them: where hard samples are wanted, those at the top should be hard to tell, not broken or \
         mislabelled, and those at the bottom should be easy.",
    );
    if run.summary.reasons.contains_key("quota") {
        body.push_str(&paragraph(
            "Quotas hold, so classes or cells have a cut each, and ranks overlap there.",
        ));
    }
    body.push_str(&unreadable(run));
    let range = range(run);
    for Shelf { name, samples } in &run.gallery.shelves {
        let _ = writeln!(body, "<h3>{}</h3>", escaped(name));
        body.push_str(&list(samples.iter().map(|shown| (shown, place(shown))), range));
    }
    Some(Section::new("samples", "Samples", "What do they look like?", body))
}

/// Why the inputs cannot be shown, if so.
fn unreadable(run: &Evidence) -> String {
    run.gallery.note.as_ref().map_or_else(String::new, |note| {
        markup::note(&format!("The source cannot be read, so there are ids only: {note}."))
    })
}

/// The smallest and the largest feature of all that are shown.
pub(super) fn range(run: &Evidence) -> (f32, f32) {
    let doubted = run.suspects.iter().flat_map(|found| found.first.iter().map(|s| &s.shown));
    let shown = run.gallery.shelves.iter().flat_map(|shelf| &shelf.samples).chain(doubted);
    let all = shown.flat_map(|shown| match &shown.glimpse {
        Glimpse::Features(features) => features.as_slice(),
        _ => &[],
    });
    let finite = all.copied().filter(|x| x.is_finite());
    finite.fold((0.0, 0.0), |(low, high): (f32, f32), x| (low.min(x), high.max(x)))
}

/// A list of samples, each with some words below it, which are HTML.
pub(super) fn list<'a>(
    samples: impl Iterator<Item = (&'a Shown, String)>,
    range: (f32, f32),
) -> String {
    let samples: Vec<_> = samples.collect();
    let texts = samples.iter().any(|(shown, _)| matches!(shown.glimpse, Glimpse::Text(_)));
    let class = if texts { "samples wide" } else { "samples" };
    let mut html = format!("<ul class=\"{class}\">\n");
    for (shown, words) in samples {
        let look = look(shown, range);
        let (class, id) = (escaped(&shown.class), escaped(&shown.id));
        let _ = writeln!(
            html,
            "<li>{look}<b>{class}</b><span>{words}</span><span class=\"id\">{id}</span></li>"
        );
    }
    html + "</ul>\n"
}

fn look(shown: &Shown, range: (f32, f32)) -> String {
    match &shown.glimpse {
        Glimpse::Picture { media, bytes, width, height } => {
            let tiny = if *width.max(height) <= TINY { " class=\"tiny\"" } else { "" };
            let alt = escaped(&format!("{}, sample {}", shown.class, shown.id));
            let data = base64(bytes);
            format!(
                "<img{tiny} src=\"data:{media};base64,{data}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\">"
            )
        }
        Glimpse::Text(text) => format!("<blockquote>{}</blockquote>", escaped(text)),
        Glimpse::Features(features) => chart::strip(features, range),
        Glimpse::Nothing(why) if why.is_empty() => String::new(),
        Glimpse::Nothing(why) => format!("<span class=\"soft\">{}</span>", escaped(why)),
    }
}

fn place(shown: &Shown) -> String {
    let mut told = Vec::new();
    if let Some(score) = shown.score {
        told.push(format!("score {}", number(score)));
    }
    if let Some(rank) = shown.rank {
        told.push(format!("rank {}", grouped(rank.unsigned_abs())));
    }
    if let Some(stage) = shown.stage {
        told.push(format!("stage {stage}"));
    }
    told.join(", ")
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= three.len() { char::from(DIGITS[six]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(glimpse: Glimpse) -> Shown {
        Shown {
            id: "\"<id>".to_owned(),
            class: "<i>x</i>".to_owned(),
            score: Some(0.5),
            rank: Some(1200),
            stage: None,
            glimpse,
        }
    }

    #[test]
    fn bytes_become_base64() {
        // The test vectors of RFC 4648, section 10.
        let told = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|t| base64(t.as_bytes()));
        assert_eq!(told, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(base64(&[0xFB, 0xFF, 0xBF]), "+/+/");
    }

    #[test]
    fn whatever_a_sample_is_it_stays_in_its_place() {
        let picture =
            Glimpse::Picture { media: "image/png", bytes: vec![1, 2, 3], width: 28, height: 28 };
        for (glimpse, wanted) in [
            (
                picture,
                "<img class=\"tiny\" src=\"data:image/png;base64,AQID\" width=\"28\" height=\"28\" alt=\"&lt;i&gt;x&lt;/i&gt;, sample &quot;&lt;id&gt;\">",
            ),
            (
                Glimpse::Text("</blockquote><script>".to_owned()),
                "<blockquote>&lt;/blockquote&gt;&lt;script&gt;</blockquote>",
            ),
            (Glimpse::Features(vec![1.0]), "aria-label=\"1 features"),
            (Glimpse::Nothing("<b>".to_owned()), "<span class=\"soft\">&lt;b&gt;</span>"),
        ] {
            let shown = shown(glimpse);
            let html = list(std::iter::once((&shown, place(&shown))), (0.0, 1.0));
            assert!(html.contains(wanted), "{wanted} is missing from\n{html}");
            assert!(html.contains("score 0.500, rank 1,200"), "{html}");
            assert!(!html.contains("<i>") && !html.contains("<script"), "{html}");
        }
    }
}
