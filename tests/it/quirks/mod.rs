//! What real wallboxes do differently, and that they charge, share and are billed all the same.
//!
//! A simulated wallbox `A` with [quirks](chargewarden::sim::Quirk) shares a fuse with one that has
//! none (`lab`), or one is written down frame by frame (`desk`). Every frame of ours is judged.
//!
//! | symptom | tested in |
//! |---|---|
//! | no subprotocol; odd upgrade headers; path with prefix, slash, case, escapes; password as hex; other user name | the unit tests of `net::handshake` |
//! | no `BootNotification` after a reconnect, or never | `appearing` |
//! | no `StatusNotification` after a boot or reconnect; one before anything is known; connector 0 | `appearing` |
//! | boots faster than it can be set up; reboots when all measurands are set | `appearing` |
//! | a second socket before the first is closed | `appearing` |
//! | no redial for 19 minutes; connects 15 minutes after power-up | `appearing` |
//! | `GetConfigurationMaxKeys` 1, no `GetConfiguration` at all | `appearing` |
//! | rejects the list of measurands | `appearing` |
//! | `TriggerMessage` rejected or unsupported | `appearing` |
//! | answers late | `appearing` |
//! | transaction id 2⁶³-1, -1, 0, or another's; negative ones of an offline start | `transactions` |
//! | `MeterValues` without transaction id, with a foreign one, after the stop | `transactions` |
//! | `meterStart` 2147483647, `meterStop` -1 | `transactions` |
//! | needs `RemoteStart` although plugged; its own tag alone; `AuthorizeRemoteTxRequests` | `transactions` |
//! | stays Finishing; Available with the cable in | `transactions` |
//! | meter values in transactions only | `transactions` |
//! | timestamps without zone, with `+03`, local time marked Z, 1970 | `telling` |
//! | no measurand, no unit, blanks, empty values; L1-N; by phase alone; kW, kWh, mA; power alone | `telling` |
//! | unknown members; `null` payloads; `[,`; numeric, empty and repeated message ids | `telling` |
//! | `DataTransfer` noise; messages of the security extension | `telling` |
//! | `ChargingScheduleAllowedChargingRateUnit` in odd spellings, missing, or wrong | `profiles` |
//! | feature list without `SmartCharging`, with and without it | `profiles` |
//! | stack level, kind, purpose, connector 0, unit, whole amperes | `profiles`, and all together in `matrix` |
//! | `TxProfile` without a transaction | `profiles` |
//! | old profiles win | `profiles` |
//! | `GetCompositeSchedule` rejected or nonsense | `profiles` |
//! | limit 0; a few steps only; limits between 0 and 6 A | `profiles`; the last for every frame of `lab` |
//! | `ChangeAvailability`, `Reset` and `RemoteStopTransaction` break it | never sent: every frame of `lab` |
//! | forgets its profiles at a reboot | `profiles`, `matrix` |
//! | accepts profiles and ignores them | `profiles`; those of a form or a place, and all together, in `matrix` |
//! | looks at a default profile only when a transaction begins | `matrix` |
//!
//! A refused handshake that is retried every 10 seconds is nothing to us, and a contactor that
//! lets 250 W through at 0 A is below what a fuse feels.

mod appearing;
mod desk;
mod lab;
mod matrix;
mod profiles;
mod telling;
mod transactions;
