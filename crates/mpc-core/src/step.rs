//! The steps of a run, one name each for routing, progress, metrics and errors.

use std::fmt;

macro_rules! steps {
    ($($variant:ident = $code:literal, $name:literal, $doc:literal;)*) => {
        /// A step of the protocol. A frame on the wire carries the step's code; a frame of another
        /// step than the one awaited ends the run. Codes from 64 on are of steps without messages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Step { $(#[doc = $doc] $variant = $code,)* }

        impl Step {
            /// Every step, in the order of a run.
            pub const ALL: &'static [Step] = &[$(Step::$variant,)*];
            /// The stable name shown to users and written to metrics.
            pub const fn name(self) -> &'static str { match self { $(Step::$variant => $name,)* } }
            /// The stable code on the wire.
            pub const fn code(self) -> u8 { self as u8 }
            /// The step with this code.
            pub const fn from_code(code: u8) -> Option<Step> {
                match code { $($code => Some(Step::$variant),)* _ => None }
            }
        }
    };
}

steps! {
    Resume = 13, "resume", "Agreement on where an attempt starts.";
    Seed = 1, "seed", "Commit to and reveal the shared seed.";
    PsiTrain = 2, "psi-train", "Private set intersection of the training rows.";
    PsiTest = 3, "psi-test", "Private set intersection of the test rows.";
    Bounds = 4, "bounds", "Exchange of the public bounds and admission of the job.";
    Keys = 5, "keys", "Exchange of Paillier public keys with their modulus proofs.";
    BaseOt = 6, "base-ot", "Base oblivious transfers.";
    OtExtension = 7, "ot-extension", "Oblivious transfer extension.";
    Forward = 8, "forward", "Packed, masked partial products of a mini-batch.";
    ErrorOle = 9, "error-ole", "Products for the factors of the error, before scores are known.";
    ErrorLift = 15, "error-lift", "Factors of the error as shares in the integers.";
    MaskedScores = 16, "masked-scores", "Scores under masks of both sides.";
    ErrorCiphertexts = 10, "error-ciphertexts", "Shares of the error, encrypted by their owners.";
    BatchEnd = 14, "batch-end", "Agreement on a mini-batch.";
    Update = 64, "update", "Local update of the encrypted model; no message has this step.";
    Validation = 17, "validation", "Opening of scores of validation rows to B.";
    Decision = 18, "decision", "Whether training goes on after an epoch.";
    Evaluate = 11, "evaluate", "Opening of the test scores to B.";
    Finish = 12, "finish", "Agreement that both sides are done.";
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn codes_round_trip_and_are_unique() {
        for &s in Step::ALL {
            assert_eq!(Step::from_code(s.code()), Some(s));
        }
        assert_eq!(Step::from_code(0), None);
        assert_eq!((0..=255u8).filter_map(Step::from_code).count(), Step::ALL.len());
    }
}
