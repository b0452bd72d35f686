//! What real billing backends do that they should not.

use crate::sim::quirk::quirks;

quirks! {
    /// A bad habit of a backend.
    BackendQuirk:
    NeverAnswers = "never-answers", "Reads everything and answers nothing.";
    LateAnswers = "late-answers", "Acts at once and answers late, in the order of the questions.";
    FailsTransactions = "fails-transactions", "Answers each transaction message with an error a few times before it takes it.";
    LosesAnswers = "loses-answers", "Takes each transaction message, but its first answer never leaves.";
    InvalidStarts = "invalid-starts", "Answers StartTransaction with Invalid, whatever it said of the tag before.";
    PendingAtFirst = "pending-at-first", "Answers BootNotification with Pending for a while.";
    RejectsAtFirst = "rejects-at-first", "Answers BootNotification with Rejected for a while.";
    ClosesEachMinute = "closes-each-minute", "Closes each connection when it is 60 seconds old.";
    Floods = "floods", "Sends 50 GetConfiguration a second and waits for no answer.";
    SendsGarbage = "sends-garbage", "Sends something that is no message each second.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_found_by_its_name() {
        for quirk in BackendQuirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(*quirk));
        }
    }
}
