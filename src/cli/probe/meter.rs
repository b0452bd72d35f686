//! Every value of a meter, and both readings of its sign.

use super::asker::Asker;
use crate::cli::columns::Table;
use crate::modbus::meters::{
    Block, Field, Layout, Readings, Sample, Search, Step, Value, oddity, sample,
};
use crate::modbus::{Answer, Failure, Request, Table as Registers};
use crate::units::{PerPhase, Watts};

/// Whether an answer to the first registers is that of an Eastron: mains voltages.
pub(super) fn is_eastron(answer: &Answer) -> bool {
    let Ok(words) = answer else { return false };
    let layout = Layout::eastron();
    let fields = layout.blocks.first().map(|block| &block.fields);
    let fields = fields.into_iter().flatten();
    let voltages = fields.filter(|field| Value::VOLTAGES.contains(&field.value));
    let known: Vec<f64> = voltages.filter_map(|field| field.decode(words)).collect();
    known.len() == 3
        && known.iter().all(|volts| (0.0..400.0).contains(volts))
        && known.iter().any(|volts| *volts > 50.0)
}

/// Looks for a SunSpec meter: which model, the register of its id, where its values are.
///
/// # Errors
///
/// Why there is none, for people.
pub(super) async fn search(asker: &mut Asker, unit: u8) -> Result<(u16, u16, Layout), String> {
    let mut search = Search::default();
    let mut silences = 0;
    loop {
        let Request::Read {
            table,
            address,
            count,
        } = search.request()
        else {
            return Err("there is nothing to read".to_owned());
        };
        match search.handle(asker.read(unit, table, address, count).await) {
            Step::Ask => {}
            // Some devices are silent where they have no registers.
            Step::Failed(Failure::Silent) if silences < 2 => silences += 1,
            Step::Failed(failure) => return Err(failure.to_string()),
            Step::Nothing(why) => return Err(why),
            Step::Found { model, at, layout } => return Ok((model, at, layout)),
        }
    }
}

/// All values as a table, and what they mean with each reading of the sign.
///
/// # Errors
///
/// Why nothing was read.
pub(super) async fn show(asker: &mut Asker, unit: u8, layout: &Layout) -> Result<String, Failure> {
    let mut rows = Vec::new();
    let mut readings = Readings::new();
    let mut refused = None;
    for block in &layout.blocks {
        let answer = asker
            .read(unit, block.table, block.address, block.count)
            .await;
        for field in &block.fields {
            let value = answer.as_ref().ok().and_then(|words| field.decode(words));
            readings.extend(value.map(|value| (field.value, value)));
            rows.push((field.value, row(block, field, value, &answer)));
        }
        refused = refused.or(answer.err());
    }
    match refused {
        Some(failure) if readings.is_empty() => return Err(failure),
        _ => {}
    }
    rows.sort_by_key(|(value, _)| *value);
    let mut table = Table::new(&["register", "table", "name", "value", "unit", ""]);
    for (_, row) in rows {
        table.row(row);
    }
    Ok(format!(
        "{}\n{}",
        table.render(),
        verdict(&readings, layout)
    ))
}

fn row(block: &Block, field: &Field, value: Option<f64>, answer: &Answer) -> Vec<String> {
    let address = block.address.saturating_add(field.offset);
    let remark = match answer {
        Ok(_) if value.is_none() => "no number".to_owned(),
        Ok(_) => String::new(),
        Err(failure) => failure.to_string(),
    };
    vec![
        match block.table {
            Registers::Input => format!("0x{address:02X}"),
            Registers::Holding => address.to_string(),
        },
        match block.table {
            Registers::Input => "input".to_owned(),
            Registers::Holding => "holding".to_owned(),
        },
        field.value.to_string(),
        value.map_or("–".to_owned(), rounded),
        field.value.unit().to_owned(),
        remark,
    ]
}

/// At most three decimals, and no needless zeros.
fn rounded(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

fn verdict(readings: &Readings, layout: &Layout) -> String {
    let straight = match sample(readings, &layout.needed, false) {
        Ok(straight) => straight,
        Err(why) => {
            return format!(
                "This cannot be true, and chargewarden would call the meter stale: {why}.\n"
            );
        }
    };
    let Ok(inverted) = sample(readings, &layout.needed, true) else {
        return String::new();
    };
    let mut table = Table::new(&["", "L1 A", "L2 A", "L3 A", "power W"]);
    table.row(reading("invert = false", &straight));
    table.row(reading("invert = true", &inverted));
    let strange = oddity(readings).map_or(String::new(), |why| format!("\nBut {why}.\n"));
    format!(
        "What the house takes counts as positive, what it gives back as negative:\n\n{}\n\
         Switch on a kettle: in the line that is right, its phase rises.\n{strange}",
        table.render()
    )
}

fn reading(name: &str, sample: &Sample) -> Vec<String> {
    let PerPhase(currents) = sample.current;
    let mut cells = vec![name.to_owned()];
    cells.extend(currents.map(|amps| amps.to_string()));
    let power = sample.power.map(|Watts(watts)| watts.to_string());
    cells.push(power.unwrap_or_default());
    cells
}
