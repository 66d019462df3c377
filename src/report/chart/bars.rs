//! What is kept of each class, stage by stage.

use std::fmt::Write as _;

use super::panel::{Panel, tick, ticks};
use super::{Chart, WIDTH, shortened, text_width};
use crate::report::words::{grouped, percent, share};
use crate::run::ClassStory;

/// The most classes that are drawn: half of those that keep most, half of those that keep least.
const MOST: usize = 40;

const ROW: f64 = 22.0;

/// A bar for each class, the one that keeps most on top.
pub(in crate::report) fn classes(classes: &[ClassStory]) -> Chart {
    let drawn = drawn(classes);
    let names = drawn.iter().map(|class| text_width(&shortened(&class.name, 24)));
    let left = names.fold(40.0, f64::max) + 18.0;
    let kept: u64 = classes.iter().map(ClassStory::kept).sum();
    let overall = share(kept, classes.iter().map(|class| class.total).sum());
    let most = drawn.iter().map(|class| share(class.kept(), class.total)).fold(overall, f64::max);
    let panel = Panel {
        left,
        top: 44.0,
        width: WIDTH - left - 78.0,
        height: ROW * drawn.len() as f64,
        x: (0.0, (most * 1.02).clamp(0.01, 1.0)),
        y: (0.0, 1.0),
    };
    let title = "Share of each class that is kept, by stage of entry";
    let mut chart = Chart::new(title, described(classes, overall), panel.bottom() + 50.0);
    legend(&mut chart, classes.first().map_or(0, |class| class.entered.len()));
    panel.x_axis(&mut chart, &ticks(panel.x, 5), |x| format!("{} %", tick(100.0 * x)));
    panel.x_name(
        &mut chart,
        "share of the class that is kept; the dashed line is that of all samples",
    );
    for (at, class) in drawn.iter().enumerate() {
        row(&mut chart, &panel, class, panel.top + ROW * at as f64);
    }
    let (x, height) = (panel.at_x(overall), panel.height);
    chart.draw(format_args!("<path class=\"mark\" d=\"M{x:.1} {}v{height}\"/>", panel.top));
    chart
}

/// The classes with samples, those that keep most first; if there are many, those at both ends.
fn drawn(classes: &[ClassStory]) -> Vec<&ClassStory> {
    let mut drawn: Vec<&ClassStory> = classes.iter().filter(|class| class.total > 0).collect();
    let rate = |class: &ClassStory| share(class.kept(), class.total);
    drawn.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.name.cmp(&b.name)));
    if drawn.len() > MOST {
        drawn.drain(MOST / 2..drawn.len() - MOST / 2);
    }
    drawn
}

fn described(classes: &[ClassStory], overall: f64) -> String {
    let all = drawn(classes);
    let mut text = format!("{} of all samples are kept.", percent(overall));
    for (what, class) in [("Most", all.first()), ("Least", all.last())] {
        if let Some(class) = class {
            let rate = percent(share(class.kept(), class.total));
            let _ = write!(text, " {what} of {}: {rate}.", class.name);
        }
    }
    let present = classes.iter().filter(|class| class.total > 0).count();
    if present > all.len() {
        let half = MOST / 2;
        let _ = write!(
            text,
            " Of {present} classes the {half} that keep most and the {half} that keep least are drawn."
        );
    }
    text
}

/// Later stages are paler.
fn opacity(stage: usize, stages: usize) -> f64 {
    1.0 - 0.55 * stage as f64 / stages.max(1) as f64
}

fn legend(chart: &mut Chart, stages: usize) {
    let names: Vec<String> = (1..=stages).map(|stage| format!("stage {stage}")).collect();
    let entry = |(at, name)| ("a", opacity(at, stages), String::as_str(name));
    let entries: Vec<_> = names.iter().enumerate().map(entry).take(8).collect();
    chart.legend((16.0, 22.0), &entries);
}

fn row(chart: &mut Chart, panel: &Panel, class: &ClassStory, top: f64) {
    let name = shortened(&class.name, 24);
    chart.text("name", (panel.left - 8.0, top + 15.0), "end", &name);
    let mut before = 0;
    for (at, entered) in class.entered.iter().enumerate() {
        let (from, to) = (share(before, class.total), share(before + entered, class.total));
        before += entered;
        let says = format!("{}: {} in stage {}", class.name, grouped(*entered), at + 1);
        let (from, to) = (panel.at_x(from), panel.at_x(to));
        let place = (from, top + 3.0, to - from, ROW - 6.0);
        chart.bar("a", opacity(at, class.entered.len()), place, &says);
    }
    let rate = share(class.kept(), class.total);
    chart.text("soft", (WIDTH - 16.0, top + 15.0), "end", &percent(rate));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, total: u64, entered: &[u64]) -> ClassStory {
        ClassStory { name: name.to_owned(), total, entered: entered.to_vec() }
    }

    #[test]
    fn bars_add_up_and_the_names_do_no_harm() {
        let svg = classes(&[
            class("<cat>", 10, &[1, 1]),
            class("dog", 10, &[4, 2]),
            class("none", 0, &[0, 0]),
        ])
        .inline();
        assert!(
            svg.contains(
                "40.0 % of all samples are kept. Most of dog: 60.0 %. Least of &lt;cat&gt;: 20.0 %."
            ),
            "{svg}"
        );
        assert!(svg.find(">dog</text>").unwrap() < svg.find(">&lt;cat&gt;</text>").unwrap());
        assert!(svg.contains("<title>dog: 4 in stage 1</title>") && !svg.contains("none"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 4 + 2);
    }

    #[test]
    fn of_many_classes_both_ends_are_drawn() {
        let many: Vec<_> = (0..100).map(|i| class(&format!("c{i:02}"), 100, &[i])).collect();
        let svg = classes(&many).inline();
        assert_eq!(svg.matches("class=\"name\"").count(), MOST);
        assert!(svg.contains("Of 100 classes the 20 that keep most"));
        assert!(
            svg.contains(">c99</text>") && svg.contains(">c00</text>") && !svg.contains(">c50<")
        );
    }
}
