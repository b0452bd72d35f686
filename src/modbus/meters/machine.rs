//! x
use super::{Register, Value};
use crate::clock::*;
use crate::ids::MeterName;
use crate::modbus::*;
use crate::units::*;
use std::collections::BTreeMap;
use std::time::Duration;
#[derive(Debug, Clone, PartialEq)]
pub struct MeterPlan {
    pub name: MeterName,
    pub kind: Kind,
    pub poll: Duration,
    pub invert: bool,
}
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Sdm630,
    Sdm72,
    PowerBrain,
    SunSpec,
    Custom(BTreeMap<Value, Register>),
}
#[derive(Debug)]
pub struct Meter(MeterPlan);
#[derive(Debug)]
pub enum MeterOutput {
    Ask(Request),
    Sample(Sample),
}
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub current: PerPhase<MilliAmps>,
    pub power: Option<Watts>,
    pub import: Option<WattHours>,
}
impl Meter {
    pub fn new(_: Mono, plan: MeterPlan) -> Self {
        Self(plan)
    }
    pub fn plan(&self) -> &MeterPlan {
        &self.0
    }
    pub fn handle_answer(&mut self, _: Mono, _: &mut Random, _: Answer) {}
    pub fn handle_timeout(&mut self, _: Mono) {}
    pub fn poll_output(&mut self) -> Option<MeterOutput> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }
}
