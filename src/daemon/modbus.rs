//! The lines to Modbus devices, and who is on which.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::field::Field;
use crate::clock::Random;
use crate::config::Config;
use crate::ids::DeviceId;
use crate::modbus::bus::{LineHandle, line};
use crate::modbus::{Answer, Request};

/// Carries the site's requests to the line of each device.
#[derive(Debug, Default)]
pub(super) struct Lines {
    devices: BTreeMap<DeviceId, (LineHandle, u8)>,
}

impl Lines {
    /// Starts a task for each TCP peer and each serial line: devices with the same address share
    /// one.
    pub(super) fn start(
        config: &Config,
        random: &mut Random,
        to_site: &mpsc::Sender<Field>,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Self {
        let mut lines: BTreeMap<String, LineHandle> = BTreeMap::new();
        let mut devices = BTreeMap::new();
        for device in config.modbus_devices() {
            let handle = lines.entry(device.address.to_string()).or_insert_with(|| {
                let random = Random::new(random.next_u64());
                let (handle, line) = line(device.address.clone(), random, to_site.clone());
                tasks.spawn(line.run(shutdown.clone()));
                handle
            });
            devices.insert(device.id, (handle.clone(), device.unit));
        }
        Self { devices }
    }

    /// Asks a device; its answer comes back as [`Field::Modbus`].
    pub(super) fn ask(&self, device: DeviceId, request: Request) {
        if let Some((line, unit)) = self.devices.get(&device) {
            line.ask(device, *unit, request);
        }
    }
}

impl From<(DeviceId, Answer)> for Field {
    fn from((device, answer): (DeviceId, Answer)) -> Self {
        Self::Modbus { device, answer }
    }
}
