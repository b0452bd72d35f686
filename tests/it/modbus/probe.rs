//! `chargewarden probe`, the program itself, against devices of every kind.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use super::fake::{Asked, Serial, Server};

/// Registers of some units; what is not listed is an illegal address.
#[derive(Default, Clone)]
struct Devices(BTreeMap<(u8, u8, u16), u16>);

const HOLDING: u8 = 3;
const INPUT: u8 = 4;

impl Devices {
    fn put(&mut self, unit: u8, function: u8, address: u16, words: &[u16]) {
        for (address, word) in (address..).zip(words) {
            self.0.insert((unit, function, address), *word);
        }
    }

    fn text(&mut self, address: u16, count: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(usize::from(count) * 2, 0);
        let words: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        self.put(1, HOLDING, address, &words);
    }

    fn float(&mut self, unit: u8, address: u16, value: f32) {
        let bits = value.to_bits();
        let words = [(bits >> 16) as u16, (bits & 0xFFFF) as u16];
        self.put(unit, INPUT, address, &words);
    }

    /// What unit a request means exists?
    fn has(&self, unit: u8) -> bool {
        self.0.keys().any(|(it, _, _)| *it == unit)
    }

    fn answer(&self, asked: &Asked) -> Vec<u8> {
        let function = asked.pdu[0];
        let number = |at: usize| u16::from_be_bytes([asked.pdu[at], asked.pdu[at + 1]]);
        let (address, count) = (number(1), number(3));
        let words =
            (address..address + count).map(|at| self.0.get(&(asked.unit, function, at)).copied());
        match words.collect::<Option<Vec<u16>>>() {
            Some(words) => {
                let mut pdu = vec![function, u8::try_from(count * 2).unwrap()];
                pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
                pdu
            }
            None => vec![function | 0x80, 2],
        }
    }

    /// Serves on TCP until the test ends; units that are not there are silent, or a gateway says
    /// so.
    async fn serve(self, gateway: bool) -> String {
        let server = Server::bind().await;
        let address = server.address().to_string();
        tokio::spawn(async move {
            loop {
                let mut socket = server.accept_patiently().await;
                let devices = self.clone();
                tokio::spawn(async move {
                    while let Some(asked) = socket.next().await {
                        if devices.has(asked.unit) {
                            let answer = devices.answer(&asked);
                            socket.answer(&asked, &answer).await;
                        } else if gateway {
                            socket.answer(&asked, &[asked.pdu[0] | 0x80, 11]).await;
                        }
                    }
                });
            }
        });
        address
    }

    fn power_brain() -> Self {
        let mut devices = Self::default();
        devices.put(
            1,
            HOLDING,
            8000,
            &[0xCF05, 0, 1, 0x100, 0x0102, 7, 0x0100, 0],
        );
        devices.text(8008, 8, "W00-4711");
        devices.text(8016, 16, "cFos Power Brain");
        devices.put(1, HOLDING, 8040, &[1]);
        let meter = [1, 0, 0, 1, 0xE240, 0, 11_040, 0, 160, 0, 160, 0, 159];
        devices.put(1, HOLDING, 8057, &meter);
        devices.put(1, HOLDING, 8080, &[0, 160, 0, 0, 300, 60, 0, 0, 0]);
        devices.put(1, HOLDING, 8090, &[200, 0, 2, 160, 1, 160]);
        devices.text(8096, 15, "04A2B3C4D5");
        devices.put(1, HOLDING, 8111, &[3, 1, 0x100]);
        devices
    }

    fn sdm630(unit: u8, powers: [f32; 3]) -> Self {
        let mut devices = Self::default();
        for (at, watts) in (0..).step_by(2).zip(powers) {
            devices.float(unit, at, 231.5);
            devices.float(unit, 6 + at, watts.abs() / 231.5);
            devices.float(unit, 12 + at, watts);
        }
        for (at, value) in [
            (0x34, powers.iter().sum()),
            (0x46, 49.98),
            (0x48, 1234.5),
            (0x4A, 7.25),
        ] {
            devices.float(unit, at, value);
        }
        devices
    }
}

/// Exit code, standard output and standard error of `probe`.
async fn probe(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chargewarden"));
    command.arg("probe").args(words);
    let output = tokio::task::spawn_blocking(move || command.output());
    let Output {
        status,
        stdout,
        stderr,
    } = output.await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What is printed of a device that is there, without its port.
async fn printed(devices: Devices, words: &[&str]) -> String {
    let address = devices.serve(false).await;
    let (code, out, err) = probe(&[&[&address[..]], words].concat()).await;
    assert_eq!(code, 0, "{err}");
    out.replace(&address, "ADDRESS")
}

/// What is said of one that is not, without its port.
async fn said(address: &str, words: &[&str]) -> String {
    let (code, out, err) = probe(&[&[address], words].concat()).await;
    assert_eq!((code, &out[..]), (74, ""), "{err}");
    err.replace(address, "ADDRESS")
}

#[tokio::test]
async fn every_register_of_a_power_brain_is_printed() {
    insta::assert_snapshot!(printed(Devices::power_brain(), &[]).await, @r"
    ADDRESS, unit 1: cFos Power Brain (wallbox)

      register  name                 value             unit  meaning
      8000      vendor_id            0xCF05
      8002      product_id           1
      8003      device_id            0x0100
      8004      product_version      1.2
      8005      product_build        7
      8006      mapping_version      1.0
      8008      serial_no            W00-4711
      8016      name                 cFos Power Brain
      8040      slave_id             1                       Modbus unit
      8057      meter_flags          1                       measures single phases
      8058      energy               123456            Wh    active import
      8062      power                11040             W
      8064      current_l1           16.0              A
      8066      current_l2           16.0              A
      8068      current_l3           15.9              A
      8080      def_fixed_current    0.0               A     8091 after power-on
      8081      def_charg_cur_limit  16.0              A     8093 after power-on
      8082      def_charging_enable  0                       off
      8083      fail_safe_duration   300               s     without a request until 8085 holds; 0 = never
      8085      fail_safe_current    6.0               A     0 = no charging
      8086      disconnect_cp        0                 s     for which the control pilot is still cut
      8087      relay_select         0                       three phases
      8088      relay2               0                       off
      8090      cable_current        20.0              A     what the cable bears; 0 = no cable
      8091      fixed_current        0.0               A     instead of 8090; 0 = none
      8092      charge_pilot_state   2                       C: charging
      8093      charging_cur_limit   16.0              A     the limit that is set
      8094      charging_enable      1                       on
      8095      charging_current     16.0              A     what the vehicle is told
      8096      last_rfid            04A2B3C4D5              the last card
      8111      detected_rfids       3                       cards so far
      8112      has_meter            1                       attached
      8113      s0_inputs            256                     phases may be switched while plugged
      8120      count_restart        –                       the device refuses with exception 2 (illegal address)
    ");
}

#[tokio::test]
async fn an_s0_unit_of_a_power_brain_is_told_from_the_wallbox() {
    let mut devices = Devices::default();
    devices.put(
        2,
        HOLDING,
        8000,
        &[0xCF05, 0, 1, 0x101, 0x0102, 7, 0x0100, 0],
    );
    devices.put(2, HOLDING, 8042, &[0, 1000, 3, 230, 230, 230]);
    devices.put(
        2,
        HOLDING,
        8057,
        &[0, 0, 0, 0, 500, 0xFFFF, 0xFFFF, 0, 0, 0, 0, 0, 0],
    );
    let text = printed(devices, &["--id", "2"]).await;
    insta::assert_snapshot!(text, @r"
    ADDRESS, unit 2: cFos Power Brain (S0 meter)

      register  name              value   unit  meaning
      8000      vendor_id         0xCF05
      8002      product_id        1
      8003      device_id         0x0101
      8004      product_version   1.2
      8005      product_build     7
      8006      mapping_version   1.0
      8008      serial_no         –             the device refuses with exception 2 (illegal address)
      8016      name              –             the device refuses with exception 2 (illegal address)
      8040      slave_id          –             the device refuses with exception 2 (illegal address)
      8042      pulses_per_kwh    1000
      8044      simulated_phases  3             L1, L2
      8045      voltage_l1        230     V     nominal
      8046      voltage_l2        230     V     nominal
      8047      voltage_l3        230     V     nominal
      8050      pulse_count       –             the device refuses with exception 2 (illegal address)
      8054      pulse_interval    –       ms    the device refuses with exception 2 (illegal address)
      8056      input_level       –             the device refuses with exception 2 (illegal address)
      8057      meter_flags       0
      8058      energy            500     Wh    active import
      8062      power             –       W     none yet
      8064      current_l1        0.0     A
      8066      current_l2        0.0     A
      8068      current_l3        0.0     A
    ");
}

#[tokio::test]
async fn an_sdm630_is_printed_with_both_readings_of_its_sign() {
    let devices = Devices::sdm630(1, [2315.0, -463.0, 0.0]);
    insta::assert_snapshot!(printed(devices, &[]).await, @r"
    ADDRESS, unit 1: Eastron SDM630 or SDM72

      register  table  name           value    unit
      0x06      input  current-l1     10       A
      0x08      input  current-l2     2        A
      0x0A      input  current-l3     0        A
      0x00      input  voltage-l1     231.5    V
      0x02      input  voltage-l2     231.5    V
      0x04      input  voltage-l3     231.5    V
      0x0C      input  power-l1       2315     W
      0x0E      input  power-l2       -463     W
      0x10      input  power-l3       0        W
      0x34      input  power          1852     W
      0x48      input  import-energy  1234500  Wh
      0x4A      input  export-energy  7250     Wh
      0x46      input  frequency      49.98    Hz

    What the house takes counts as positive, what it gives back as negative:

                      L1 A  L2 A  L3 A  power W
      invert = false  10    -2    0     1852
      invert = true   -10   2     0     -1852

    Switch on a kettle: in the line that is right, its phase rises.
    ");
}

#[tokio::test]
async fn a_sunspec_meter_is_found_and_what_it_lacks_is_shown() {
    let mut devices = Devices::default();
    devices.put(1, HOLDING, 40_000, &[0x5375, 0x6E53, 1, 2, 0, 0, 201, 105]);
    devices.put(1, HOLDING, 40_008, &[0x8000; 105]);
    devices.put(1, HOLDING, 40_009, &[1000, 0x8000, 0x8000, 0xFFFE]);
    devices.put(1, HOLDING, 40_014, &[2300]);
    devices.put(1, HOLDING, 40_021, &[0xFFFF, 0xFFFF]);
    devices.put(1, HOLDING, 40_044, &[0, 0]);
    devices.put(1, HOLDING, 40_024, &[0xF704, 0xF704, 0x8000, 0x8000, 0]);
    devices.put(
        1,
        HOLDING,
        40_052,
        &[0, 500, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    insta::assert_snapshot!(printed(devices, &[]).await, @r"
    ADDRESS, unit 1: SunSpec meter, model 201 at register 40006

      register  table    name           value  unit
      40009     holding  current-l1     10     A
      40010     holding  current-l2     –      A     no number
      40011     holding  current-l3     –      A     no number
      40014     holding  voltage-l1     230    V
      40015     holding  voltage-l2     –      V     no number
      40016     holding  voltage-l3     –      V     no number
      40025     holding  power-l1       -2300  W
      40026     holding  power-l2       –      W     no number
      40027     holding  power-l3       –      W     no number
      40024     holding  power          -2300  W
      40052     holding  import-energy  500    Wh
      40044     holding  export-energy  –      Wh    no number
      40022     holding  frequency      –      Hz    no number

    What the house takes counts as positive, what it gives back as negative:

                      L1 A  L2 A  L3 A  power W
      invert = false  -10   0     0     -2300
      invert = true   10    0     0     2300

    Switch on a kettle: in the line that is right, its phase rises.
    ");
}

#[tokio::test]
async fn values_that_cannot_be_true_are_printed_and_called_so() {
    let mut devices = Devices::sdm630(1, [230.0, 0.0, 0.0]);
    devices.float(1, 6, f32::NAN);
    let text = printed(devices, &[]).await;
    assert!(text.contains("current-l1     –"), "{text}");
    assert!(text.contains("This cannot be true"), "{text}");
}

#[tokio::test]
async fn a_power_brains_meter_may_be_asked_for() {
    let text = printed(Devices::power_brain(), &["--device", "power-brain-meter"]).await;
    assert!(
        text.contains("invert = true   -16   -16   -15.9  -11040"),
        "{text}"
    );
}

#[tokio::test]
async fn other_units_that_answer_are_named() {
    for gateway in [false, true] {
        let address = Devices::sdm630(2, [0.0; 3]).serve(gateway).await;
        let text = said(&address, &["--id", "7"]).await;
        assert!(
            text.contains("Others that do: 2. Say which one with --id."),
            "{text}"
        );
        assert_eq!(text.contains("a gateway answers"), gateway, "{text}");
    }
}

#[tokio::test]
async fn a_device_that_nobody_knows_is_shown_as_it_answers() {
    let mut devices = Devices::default();
    devices.put(1, HOLDING, 8000, &[0x1234, 0]);
    let address = devices.serve(false).await;
    insta::assert_snapshot!(said(&address, &[]).await, @r#"
    ADDRESS, unit 1: it answers, but is none of the devices that chargewarden knows.

      holding registers 8000–8001 (Power Brain: CF05 …): 1234 0000
      input registers 0–17 (Eastron: voltages, currents, powers): the device refuses with exception 2 (illegal address)
      SunSpec: the device does not speak SunSpec: no marker at 40000, 0 or 50000

    Look at the id, or say with --device what it is. Any other meter can be described with device = "custom" and [meter.registers].
    "#);
}

#[tokio::test]
async fn a_silent_device_leads_to_what_to_look_at() {
    let address = Devices::default().serve(false).await;
    insta::assert_snapshot!(said(&address, &["--device", "sdm630"]).await, @r"
    unit 1 does not answer; others are tried …
    ADDRESS: the connection opens, but unit 1 does not answer.
    Nor does any other of 1, 2, 3, 255.

    Look at:
      - the id that is set in the device
      - behind a gateway: its baud rate and parity, and the wires A and B
      - whether the port speaks Modbus TCP at all
    ");
}

#[tokio::test]
async fn a_refused_connection_leads_to_what_to_look_at() {
    let address = Server::bind().await.address().to_string();
    insta::assert_snapshot!(said(&address, &[]).await, @r"
    ADDRESS: no connection: Connection refused.

    Look at:
      - the address: is the device on, and does it answer a ping?
      - the port: 502 for most; a Power Brain has 4701, its S0 meters 4702 and 4703
      - whether Modbus TCP is switched on in the device
      - whether something else holds the only connection that the device allows
    ");
}

#[tokio::test]
async fn a_serial_line_is_probed_too() {
    let mut serial = Serial::new();
    let address = serial.address().to_string();
    let devices = Devices::sdm630(1, [2315.0, 0.0, 0.0]);
    let server = tokio::spawn(async move {
        loop {
            let asked = serial.asked().await;
            serial.answer(asked.unit, &devices.answer(&asked)).await;
        }
    });
    let (code, out, err) = probe(&[&address]).await;
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("invert = false  10    0     0     2315"),
        "{out}"
    );
    server.abort();
}

#[tokio::test]
async fn a_serial_line_that_is_not_there_leads_to_what_to_look_at() {
    let text = said("/dev/does-not-exist,9600,8,n,1", &[]).await;
    assert!(text.contains("/dev/serial/by-id"), "{text}");
}

#[tokio::test]
async fn an_address_that_is_none_is_a_mistake_of_usage() {
    let (code, _, err) = probe(&["192.0.2.50"]).await;
    assert_eq!(code, 2);
    assert!(
        err.contains("write host:port, for example 192.168.1.50:502"),
        "{err}"
    );
}
