//! Which columns of a table fit into a line, and how wide they may be.

/// What a column keeps of its width at least, if it is as wide.
const COLUMN_WIDTH_MIN: usize = 14;

/// What the only column of a narrow terminal keeps.
const WIDTH_MIN: usize = 8;

/// What stands around a value: a rule and two spaces.
const FRAME: usize = 3;

/// The columns that are shown, in order. None stands for those that are left out.
pub(super) type Layout = Vec<Option<Column>>;

/// A column that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    /// Which it is.
    pub(super) index: usize,
    /// How wide its values may be.
    pub(super) width: usize,
}

/// Fits columns that would like to be this wide into a line of `line_width`.
///
/// Columns are narrowed first, the widest most. If that isn't enough, those in the middle
/// are left out.
pub(super) fn fit(wanted: &[usize], line_width: Option<usize>) -> Layout {
    let all = |widths: &[usize]| {
        let columns = widths.iter().enumerate();
        columns.map(|(index, &width)| Some(Column { index, width })).collect()
    };
    let Some(line_width) = line_width else { return all(wanted) };
    let room = line_width.saturating_sub(1);
    if let Some(widths) = narrow(wanted, room) {
        return all(&widths);
    }
    // The mark of the columns left out is one character wide.
    let room = if 1 < wanted.len() { room.saturating_sub(FRAME + 1) } else { room };
    for kept in (1..wanted.len()).rev() {
        let (first, last) = (kept.div_ceil(2), kept / 2);
        let indexes: Vec<usize> = (0..first).chain(wanted.len() - last..wanted.len()).collect();
        let wanted: Vec<usize> = indexes.iter().map(|&index| wanted[index]).collect();
        let Some(widths) = narrow(&wanted, room) else { continue };
        let columns = indexes.into_iter().zip(widths);
        let mut layout: Layout =
            columns.map(|(index, width)| Some(Column { index, width })).collect();
        layout.insert(first, None);
        return layout;
    }
    // A terminal this narrow gets the first column, and breaks its lines if need be.
    let width = room.saturating_sub(FRAME).max(WIDTH_MIN);
    let mut layout = all(&[wanted[0].min(width)]);
    if 1 < wanted.len() {
        layout.push(None);
    }
    layout
}

/// The widths of columns that fill `room` together, all as wide as wanted but for the widest.
fn narrow(wanted: &[usize], room: usize) -> Option<Vec<usize>> {
    let room = room.checked_sub(FRAME * wanted.len())?;
    let taken = |limit: usize| wanted.iter().map(|&width| width.min(limit)).sum::<usize>();
    let widest = wanted.iter().copied().max().unwrap_or_default();
    if taken(widest) <= room {
        return Some(wanted.to_vec());
    }
    if room < taken(COLUMN_WIDTH_MIN) {
        return None;
    }
    let limit = (COLUMN_WIDTH_MIN..widest).rev().find(|&limit| taken(limit) <= room)?;
    let mut spare = room - taken(limit);
    let widths = wanted.iter().map(|&width| {
        let extra = usize::from(limit < width && 0 < spare);
        spare -= extra;
        width.min(limit) + extra
    });
    Some(widths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(layout: &Layout) -> Vec<Option<usize>> {
        layout.iter().map(|column| column.map(|column| column.width)).collect()
    }

    #[test]
    fn columns_that_fit_are_left_alone() {
        assert_eq!(widths(&fit(&[10, 200], None)), [Some(10), Some(200)]);
        assert_eq!(widths(&fit(&[10, 20], Some(37))), [Some(10), Some(20)]);
    }

    #[test]
    fn the_widest_columns_give_way_first() {
        assert_eq!(widths(&fit(&[10, 100, 50], Some(60))), [Some(10), Some(20), Some(20)]);
        assert_eq!(widths(&fit(&[10, 100], Some(37))), [Some(10), Some(20)]);
    }

    #[test]
    fn columns_in_the_middle_are_left_out_where_no_narrowing_helps() {
        let layout = fit(&[20; 10], Some(60));
        let shown: Vec<_> = layout.iter().map(|column| column.map(|column| column.index)).collect();
        assert_eq!(shown, [Some(0), Some(1), None, Some(9)]);
        let line: usize = layout.iter().map(|c| FRAME + c.map_or(1, |c| c.width)).sum();
        assert_eq!(line + 1, 60);
    }

    #[test]
    fn the_narrowest_terminal_still_gets_a_table() {
        assert_eq!(widths(&fit(&[20, 20], Some(3))), [Some(8), None]);
        assert_eq!(widths(&fit(&[20], Some(15))), [Some(11)]);
    }
}
