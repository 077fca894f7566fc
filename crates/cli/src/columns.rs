//! Text in columns that are as wide as their widest cell.

/// One line for the head and each row; columns are two spaces apart, no line ends in spaces.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<&[String]> = rows.iter().map(<[String; N]>::as_slice).collect();
    lines(&head, &rows)
}

/// The same with a number of columns that is not known beforehand; every row has as many cells as
/// the head.
pub(crate) fn lines(head: &[&str], rows: &[&[String]]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(*row) {
            *widest = width(cell).max(*widest);
        }
    }
    let mut out = String::new();
    push_line(&mut out, head.iter().copied(), &widths);
    for row in rows {
        push_line(&mut out, row.iter().map(String::as_str), &widths);
    }
    out
}

fn push_line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>, widths: &[usize]) {
    let mut line = String::new();
    for (cell, &widest) in cells.zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(widest - width(cell) + GAP));
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Characters, which is right for ids, numbers and paths.
fn width(cell: &str) -> usize {
    cell.chars().count()
}

const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let rows = [row("é", "1"), row("longer", "22"), row("", "")];
        assert_eq!(
            table(["ID", "PORT"], &rows),
            "ID      PORT\né       1\nlonger  22\n\n"
        );
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        assert_eq!(table(["ID", "PORT"], &[]), "ID  PORT\n");
    }
}
