use tokio_modbus::ExceptionCode;
use tokio_modbus::client::{Context, Reader as _, Writer as _, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};

use super::*;
use crate::ids::ConnectorId;
use crate::modbus::Table;
use crate::sim::{
    Car, Draws, House, Meter, MeterMap, MeterPlan, PowerBrain, PowerBrainPlan, Script, Visit,
};
use crate::units::{MilliAmps, PerPhase};

fn brain(serial: &str, draws: &Draws) -> PowerBrainWithDrivers {
    let visit = Visit {
        after: Duration::ZERO,
        stays: None,
        car: Car::default(),
        tag: "TAG".into(),
    };
    let script = Script::once(ConnectorId(1), visit);
    let brain = PowerBrain::new(PowerBrainPlan::new(serial), 1);
    PowerBrainWithDrivers::new(brain, script, draws.clone())
}

fn two_brains() -> Units {
    let draws = Draws::default();
    let one: Box<dyn Unit> = Box::new(brain("ONE", &draws));
    Units::from([(1, one), (2, Box::new(brain("TWO", &draws)))])
}

fn start(port: Port) -> CancellationToken {
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "no shutdown waits for a test")]
    tokio::spawn(run(port, two_brains(), stop.clone()));
    stop
}

/// Asks both units for their serial numbers, and lowers the limit of the second.
async fn talk(master: &mut Context) {
    for (unit, serial) in [(1, 0x4F4E), (2, 0x5457)] {
        master.set_slave(Slave(unit));
        let read = master.read_holding_registers(8008, 1).await;
        assert_eq!(read.unwrap(), Ok(vec![serial]));
    }
    let written = master.write_single_register(8093, 60).await;
    assert_eq!(written.unwrap(), Ok(()));
    let written = master.write_multiple_registers(8083, &[0, 180]).await;
    assert_eq!(written.unwrap(), Ok(()));
    let read = master.read_holding_registers(8093, 1).await;
    assert_eq!(read.unwrap(), Ok(vec![60]));
    let refused = master.write_single_register(8093, 5).await;
    assert_eq!(refused.unwrap(), Err(ExceptionCode::IllegalDataValue));
    let refused = master.read_coils(0, 1).await;
    assert_eq!(refused.unwrap(), Err(ExceptionCode::IllegalFunction));
}

#[tokio::test]
async fn several_units_answer_at_one_tcp_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = start(Port::Tcp(listener));
    let mut master = tcp::connect(at).await.unwrap();
    talk(&mut master).await;
    master.set_slave(Slave(9));
    let nobody = master.read_holding_registers(8008, 1).await;
    assert_eq!(nobody.unwrap(), Err(ExceptionCode::GatewayTargetDevice));
    stop.cancel();
    assert!(master.read_holding_registers(8008, 1).await.is_err());
}

#[tokio::test]
async fn on_a_serial_line_only_the_unit_that_is_meant_speaks() {
    let (line, masters) = SerialStream::pair().unwrap();
    let stop = start(Port::Serial(line));
    let mut master = rtu::attach(masters);
    talk(&mut master).await;
    master.set_slave(Slave(9));
    let nobody = master.read_holding_registers(8008, 1);
    assert!(timeout(Duration::from_millis(300), nobody).await.is_err());
    master.set_slave(Slave(1));
    talk(&mut master).await;
    stop.cancel();
}

#[test]
fn the_meter_shows_the_house_and_what_the_cars_draw() {
    let draws = Draws::default();
    let mut brain = brain("B", &draws);
    let plan = MeterPlan {
        noise: MilliAmps::ZERO,
        ..MeterPlan::new(MeterMap::PowerBrain)
    };
    let house = House::steady(PerPhase([1, 2, 3].map(MilliAmps::from_amps)));
    let mut meter = MeteredHouse::new(Meter::new(plan, 1), house, draws, 1);
    let at = |seconds| Mono(Duration::from_secs(seconds));
    for second in 0..60 {
        brain.advance(at(second));
        meter.advance(at(second));
    }
    let request = Request::Read {
        table: Table::Holding,
        address: 8064,
        count: 6,
    };
    let shown = meter.handle_request(at(60), &request);
    assert_eq!(shown, Ok(vec![0, 170, 0, 180, 0, 190]));
}
