//! What a simulated wallbox measures, as `MeterValue` (OCPP 1.6 §7.33).

use serde_json::{Value, json};

use super::connector::Connector;
use super::wire::with;
use crate::clock::Mono;
use crate::units::{MilliAmps, MilliVolts};

/// One `MeterValue` with these measurands.
pub(super) fn meter_value(
    connector: &Connector,
    now: Mono,
    timestamp: &str,
    measurands: &[&'static str],
    context: &str,
    voltage: MilliVolts,
) -> Value {
    let (amps, phases) = match &connector.car {
        Some(car) => (car.drawn(now), car.phases()),
        None => (MilliAmps::ZERO, 3),
    };
    let flowing = |phase: u8| {
        if phase <= phases {
            amps
        } else {
            MilliAmps::ZERO
        }
    };
    let volts = f64::from(voltage.0) / 1000.0;
    let watts = amps.as_amps() * volts * f64::from(phases);
    let sample = |measurand: &str, unit: &str, value: String| json!({"value": value, "context": context, "measurand": measurand, "unit": unit});
    let each_phase = |measurand: &str, unit: &str, value: &dyn Fn(u8) -> f64| -> Vec<Value> {
        (1..=3)
            .map(|phase| {
                let sample = sample(measurand, unit, format!("{:.2}", value(phase)));
                with(sample, "phase", format!("L{phase}"))
            })
            .collect()
    };
    let sampled: Vec<Value> = measurands
        .iter()
        .flat_map(|measurand| match *measurand {
            "Energy.Active.Import.Register" => {
                let register = connector.register.watt_hours();
                vec![sample(measurand, "Wh", register.to_string())]
            }
            "Power.Active.Import" => vec![sample(measurand, "W", format!("{watts:.0}"))],
            "Current.Offered" => {
                let offered = connector.offered.as_amps();
                vec![sample(measurand, "A", format!("{offered:.1}"))]
            }
            "Current.Import" => each_phase(measurand, "A", &|phase| flowing(phase).as_amps()),
            _ => each_phase("Voltage", "V", &|_| volts),
        })
        .collect();
    json!({"timestamp": timestamp, "sampledValue": sampled})
}

/// One signed register. Nobody can check the signature; it is to arrive as it is.
pub(super) fn signed_value(
    connector: &Connector,
    timestamp: &str,
    context: &str,
    tag: &str,
) -> Value {
    let register = connector.register.watt_hours().0;
    let (mark, signature) = match context {
        "Transaction.Begin" => ("B", 0x0b),
        _ => ("E", 0x0e),
    };
    let said = json!({"FV": "1.0", "GI": "Gerät mit ß/§", "ID": tag, "RD": [{
        "TM": format!("{timestamp} S"), "TX": mark, "RV": register, "RI": "1-b:1.8.0", "RU": "Wh"}]});
    let signed = json!({"SD": format!("{:064x}{signature:02x}", register.unsigned_abs())});
    let sample = json!({"value": format!("OCMF|{said}|{signed}"), "context": context,
        "format": "SignedData", "measurand": "Energy.Active.Import.Register"});
    json!({"timestamp": timestamp, "sampledValue": [sample]})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sim::Car;
    use crate::sim::car::{MicroJoules, PluggedCar};
    use crate::units::WattHours;

    #[test]
    fn a_car_on_one_phase_shows_on_one_phase() {
        let volts = MilliVolts(230_000);
        let mut car = PluggedCar::new(Car::default().phases(1), 3, volts, Mono::START);
        car.step(Mono::START, MilliAmps::from_amps(10));
        let mut connector = Connector::new(MicroJoules::from_watt_hours(WattHours(1234)));
        connector.car = Some(car);
        let measurands = [
            "Energy.Active.Import.Register",
            "Power.Active.Import",
            "Current.Import",
        ];
        let later = Mono(Duration::from_secs(10));
        let value = meter_value(&connector, later, "t", &measurands, "Trigger", volts);
        let shown: Vec<&str> = value["sampledValue"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| sample["value"].as_str().unwrap())
            .collect();
        assert_eq!(shown, ["1234", "2300", "10.00", "0.00", "0.00"]);
        assert_eq!(value["sampledValue"][2]["phase"], "L1");
    }
}
