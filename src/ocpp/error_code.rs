//! Error codes of a CALLERROR (OCPP-J 1.6 §4.2.3).

use super::lenient::spelled;

spelled! {
    /// Why a CALL failed. The two misspellings are those of OCPP-J 1.6.
    pub enum ErrorCode {
        /// The receiver does not know the action.
        NotImplemented = "NotImplemented",
        /// The receiver knows the action and does not do it.
        NotSupported = "NotSupported",
        /// The receiver has a problem of its own.
        InternalError = "InternalError",
        /// The payload is incomplete for the action.
        ProtocolError = "ProtocolError",
        /// Refused for reasons of security.
        SecurityError = "SecurityError",
        /// The message has not the form of the action.
        FormationViolation = "FormationViolation",
        /// A field has a value that is not allowed.
        PropertyConstraintViolation = "PropertyConstraintViolation",
        /// A field is missing, or there too often.
        OccurenceConstraintViolation = "OccurenceConstraintViolation",
        /// A field has the wrong type.
        TypeConstraintViolation = "TypeConstraintViolation",
        /// Anything else.
        GenericError = "GenericError",
    }
}

impl ErrorCode {
    /// Reads what a peer wrote: the corrected spellings of later versions too, and anything
    /// unknown as [`GenericError`](Self::GenericError).
    pub fn read(text: &str) -> Self {
        if let Some(code) = Self::parse(text) {
            return code;
        }
        match text.trim() {
            "FormatViolation" => Self::FormationViolation,
            "OccurrenceConstraintViolation" => Self::OccurenceConstraintViolation,
            _ => Self::GenericError,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_that_is_sent_is_the_historic_one() {
        assert_eq!(
            ErrorCode::OccurenceConstraintViolation.to_string(),
            "OccurenceConstraintViolation"
        );
        assert_eq!(
            ErrorCode::FormationViolation.to_string(),
            "FormationViolation"
        );
    }

    #[test]
    fn every_spelling_is_read() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::read(code.as_str()), *code);
        }
        for (text, code) in [
            ("FormatViolation", ErrorCode::FormationViolation),
            (
                "OccurrenceConstraintViolation",
                ErrorCode::OccurenceConstraintViolation,
            ),
            ("notsupported", ErrorCode::NotSupported),
            ("MessageTypeNotSupported", ErrorCode::GenericError),
            ("RpcFrameworkError", ErrorCode::GenericError),
            ("", ErrorCode::GenericError),
        ] {
            assert_eq!(ErrorCode::read(text), code, "{text}");
        }
    }
}
