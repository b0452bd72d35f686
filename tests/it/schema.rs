//! What every OCPP-J frame we send must be: framed as OCPP-J 1.6 §4.2 says, and, where the
//! environment variable `OCPP_SCHEMAS` names a folder with the official JSON schemas (`v16/schemas`
//! of the `PyPI` package `ocpp`), valid against them.
//!
//! Unit tests of the crate include this file by its path, so it uses nothing of the crate.
#![allow(
    dead_code,
    reason = "not every test binary that includes this file uses all of it"
)]
#![allow(
    clippy::print_stderr,
    reason = "who runs the tests should know what was not checked"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Number, Value};

/// The spellings of OCPP-J 1.6 §4.2.3, its mistakes included.
const ERROR_CODES: [&str; 10] = [
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
];

/// Panics unless `text` is a frame that may be sent. What a CALLRESULT must contain depends on its
/// CALL: only [`Checker`] knows it.
#[track_caller]
pub(crate) fn check(text: &str) {
    if let Err(why) = Checker::new().judge(text) {
        panic!("{why} in {text}");
    }
}

/// Checks one side of one connection.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// Actions of the peer's CALLs that are not answered yet, by message id; several where the peer
    /// sent one again. `None` as long as nothing is known of the peer.
    unanswered: Option<BTreeMap<String, Vec<String>>>,
    /// Message ids of our own CALLs.
    called: BTreeSet<String>,
}

impl Checker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes note of a frame that the peer sent, which may be as wrong as it likes.
    pub(crate) fn received(&mut self, text: &str) {
        let unanswered = self.unanswered.get_or_insert_default();
        if let Ok(Value::Array(frame)) = serde_json::from_str(text)
            && let [kind, id, Value::String(action), ..] = frame.as_slice()
            && kind == 2
        {
            unanswered
                .entry(id.to_string())
                .or_default()
                .push(action.clone());
        }
    }

    /// Panics unless `text` may be sent now.
    #[track_caller]
    pub(crate) fn sent(&mut self, text: &str) {
        if let Err(why) = self.judge(text) {
            panic!("{why} in {text}");
        }
    }

    /// Says what is wrong with a frame that is to be sent now.
    pub(crate) fn judge(&mut self, text: &str) -> Result<(), String> {
        let frame: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let frame = frame.as_array().ok_or("no array")?;
        match frame.as_slice() {
            [kind, Value::String(id), Value::String(action), payload] if kind == 2 => {
                let fits = !id.is_empty() && id.chars().count() <= 36;
                fits.then_some(())
                    .ok_or("an id of 0 or more than 36 characters")?;
                let new = self.called.insert(id.clone());
                new.then_some(()).ok_or("the id of an earlier CALL")?;
                valid(action, payload)
            }
            [kind, id, payload] if kind == 3 => match &mut self.unanswered {
                None => well_formed(payload),
                Some(unanswered) => {
                    let action = unanswered.get_mut(&id.to_string()).and_then(Vec::pop);
                    let action = action.ok_or("an answer to no CALL, or the second one")?;
                    valid(&format!("{action}Response"), payload)
                }
            },
            [
                kind,
                id,
                Value::String(code),
                Value::String(description),
                Value::Object(_),
            ] if kind == 4 => {
                if let Some(unanswered) = &mut self.unanswered {
                    unanswered.get_mut(&id.to_string()).and_then(Vec::pop);
                }
                let known = ERROR_CODES.contains(&code.as_str());
                known
                    .then_some(())
                    .ok_or("an error code that OCPP 1.6 does not know")?;
                let fits = description.chars().count() <= 255;
                fits.then_some(())
                    .ok_or("a description of more than 255 characters")?;
                Ok(())
            }
            _ => Err("neither CALL nor CALLRESULT nor CALLERROR".to_owned()),
        }
    }
}

/// What holds for every payload: an object without `null`, and no number with more than one decimal.
fn well_formed(payload: &Value) -> Result<(), String> {
    fn walk(value: &Value) -> Result<(), String> {
        match value {
            Value::Null => Err("null".to_owned()),
            Value::Number(number) if !has_one_decimal(number) => {
                Err(format!("{number} with more than one decimal"))
            }
            Value::Array(items) => items.iter().try_for_each(walk),
            Value::Object(members) => members.values().try_for_each(walk),
            Value::Number(_) | Value::Bool(_) | Value::String(_) => Ok(()),
        }
    }
    match payload {
        Value::Object(_) => walk(payload),
        _ => Err("a payload that is no object".to_owned()),
    }
}

/// The schemas' `multipleOf: 0.1`. Floats are printed with the fewest digits that name them, so
/// the printed number is the one that was sent, unlike what is left by a division by 0.1.
fn has_one_decimal(number: &Number) -> bool {
    match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() => format!("{float}")
            .split_once('.')
            .is_none_or(|(_, decimals)| decimals.len() == 1),
        _ => true,
    }
}

fn valid(schema: &str, payload: &Value) -> Result<(), String> {
    static SCHEMAS: OnceLock<Option<PathBuf>> = OnceLock::new();
    static VALIDATORS: Mutex<BTreeMap<String, Validator>> = Mutex::new(BTreeMap::new());

    well_formed(payload)?;
    let folder = SCHEMAS.get_or_init(|| {
        let folder = std::env::var_os("OCPP_SCHEMAS").map(PathBuf::from);
        if folder.is_none() {
            eprintln!("OCPP_SCHEMAS is not set: frames are checked without the official schemas");
        }
        folder
    });
    let Some(folder) = folder else { return Ok(()) };
    let mut validators = VALIDATORS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if !validators.contains_key(schema) {
        let file = folder.join(format!("{schema}.json"));
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut json = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|e| format!("{}: {e}", file.display()))?;
        without_multiple_of(&mut json);
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&json)
            .map_err(|e| format!("{}: {e}", file.display()))?;
        validators.insert(schema.to_owned(), validator);
    }
    let errors: Vec<String> = validators
        .get(schema)
        .into_iter()
        .flat_map(|validator| validator.iter_errors(payload))
        .map(|error| format!("{error} at `{}`", error.instance_path()))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(format!("{schema}: {}", errors.join("; ")))
    }
}

/// [`has_one_decimal`] does this better.
fn without_multiple_of(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("multipleOf");
            members.values_mut().for_each(without_multiple_of);
        }
        Value::Array(items) => items.iter_mut().for_each(without_multiple_of),
        _ => {}
    }
}
