//! What is kept of each class, and how uneven that is.

use super::Section;
use crate::report::chart;
use crate::report::markup::{Table, details, figure, paragraph};
use crate::report::words::{grouped, percent, share};
use crate::run::{ClassStory, Evidence, Uneven};

pub(super) fn classes(run: &Evidence) -> Section {
    let mut body = paragraph(
        "Classes that models find hard keep more of their samples, unless the recipe bounds them. That \
         evens out accuracy between classes where it works, and starves easy classes where it goes too far.",
    );
    let caption =
        "The share of each class that is kept, and the stage in which its samples came in.";
    body.push_str(&figure(&chart::classes(&run.classes).inline(), caption));
    body.push_str(&disparity(run).html());
    body.push_str(&details("All classes in numbers", &table(&run.classes).html()));
    Section::new("classes", "Classes", "What is left of each class?", body)
}

fn disparity(run: &Evidence) -> Table {
    let caption = "How uneven classes are. Largest over smallest is 1, and variation (standard deviation over \
                   mean) is 0, if all are equal";
    let mut table = Table::new(caption, &["", "#largest over smallest", "#variation"]);
    let rows = [
        ("class sizes before", run.disparity.before),
        ("class sizes after", run.disparity.after),
        ("share kept", run.disparity.kept),
    ];
    for (name, Uneven { ratio, variation }) in rows {
        let ratio = ratio.map_or_else(|| "one is empty".to_owned(), |ratio| format!("{ratio:.2}"));
        table.row([name.to_owned(), ratio, format!("{variation:.3}")]);
    }
    table
}

fn table(classes: &[ClassStory]) -> Table {
    let all: u64 = classes.iter().map(|class| class.total).sum();
    let kept: u64 = classes.iter().map(ClassStory::kept).sum();
    let columns = ["class", "#samples", "#kept", "#share kept", "#part of all before", "#after"];
    let mut table = Table::new("The classes, in the order of their labels", &columns);
    for class in classes {
        table.row([
            class.name.clone(),
            grouped(class.total),
            grouped(class.kept()),
            percent(share(class.kept(), class.total)),
            percent(share(class.total, all)),
            percent(share(class.kept(), kept)),
        ]);
    }
    table
}
