//! What a client should do about each refusal: the other half of the dictionary, for `docs/ERRORS.md` and `/errors`.
//!
//! The match is exhaustive, so a reason without advice does not compile.

use crate::Reason;

impl Reason {
    /// What the client should do, for the people who write it.
    #[expect(clippy::too_many_lines, reason = "a table, one entry a reason")]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "Correct the request; the same one is refused again.",
            Self::IdempotencyKeyMissing => {
                "Send an `Idempotency-Key` of 1 to 255 printable ASCII characters, new for each intent."
            }
            Self::BadHost => "Send exactly one `Host` header, as HTTP/1.1 demands.",
            Self::Unauthorized => "Log in, or refresh the session, and repeat with the new access token.",
            Self::InvalidCredentials => {
                "Ask for e-mail and password again. An unknown account gets the same answer."
            }
            Self::InvalidRefreshToken => {
                "Log in again; the session is over, or another one has used its token."
            }
            Self::Forbidden => "Nothing helps but another role; do not repeat.",
            Self::BadSignature => {
                "Sign time and body with the shared secret, by a clock that is right; send it again."
            }
            Self::NotFound => "Do not repeat. What belongs to another user looks like this too.",
            Self::MethodNotAllowed => "Use one of the methods that the `Allow` header names.",
            Self::NotAcceptable => "Accept `application/json`, or what the route produces.",
            Self::RequestTimeout => {
                "Send the whole request within the server's limits; repeat on a new connection."
            }
            Self::Conflict => "Read the object again, then decide whether the wish still makes sense.",
            Self::EmailTaken => "Log in instead, or register with another e-mail.",
            Self::SkuTaken => "Choose another SKU, or change the product that has it.",
            Self::InsufficientInventory => "Read the inventory and ask for no more than is available.",
            Self::PreconditionFailed => {
                "Read the object again and repeat with its present `ETag` in `If-Match`."
            }
            Self::PreconditionRequired => {
                "Read the object and repeat with its `ETag` in `If-Match`; `*` changes whatever is there."
            }
            Self::ProductInUse => "Close or delete the events that sell it, then repeat.",
            Self::InFlight => "Wait a moment and repeat with the same key; the stored answer comes back.",
            Self::AmountMismatch => {
                "Show the total that `data.amount` names; order with a new key if it is welcome."
            }
            Self::LastAdministrator => "Make another active account an administrator first.",
            Self::OwnAccount => "Ask another administrator to do it.",
            Self::BodyTooLarge => "Send a smaller body.",
            Self::UriTooLong => "Send a shorter request target.",
            Self::UnsupportedMediaType => "Send `Content-Type: application/json`, UTF-8.",
            Self::HeadersTooLarge => "Send fewer or shorter headers.",
            Self::Validation => "Correct the fields that `errors` names; nothing was done.",
            Self::IdempotencyMismatch => {
                "Use a new key for a new intent; repeat an old one with the very same payload."
            }
            Self::TooManyRequests => "Wait as long as `Retry-After` says, then repeat.",
            Self::Internal => "Repeat later; report it with the request id if it stays.",
            Self::Unavailable | Self::Overloaded => "Wait as long as `Retry-After` says, then repeat.",
            Self::SoldOut => {
                "Do not repeat at once: units come back only when an order is cancelled. A winner finds its order under `data.your_order`."
            }
            Self::InsufficientStock => "Ask for at most the units that `data.stock` names.",
            Self::AlreadyBought => "Look at the order that `data` and `Location` name.",
            Self::NotStarted => "Come back at `data.starts_at`.",
            Self::Ended => "Do not repeat; the sale is over.",
            Self::Paused | Self::Recovering | Self::OutboxFull => {
                "Wait as long as `Retry-After` says, then press again with the same key."
            }
            Self::OutcomeUnknown => {
                "Look the order up under `Location`, or press again with the same key: the same order answers, never a second one."
            }
            Self::PaymentDeclined => "Pay again with a new key, before the order's `expires_at`.",
            Self::PaymentInProgress => {
                "Look the order up until the payment has an outcome, or repeat that payment with its own key."
            }
            Self::OrderPaid => "Nothing is left to do; look the order up.",
            Self::OrderExpired | Self::OrderNotPending => "Order again if it is still wanted.",
            Self::PaymentAttemptsExhausted => {
                "Order again with another means of payment; this order is cancelled at its deadline."
            }
            Self::RefundDue => "Do not pay again: the money comes back. Order again if it is still wanted.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_one_line_that_ends() {
        for reason in Reason::ALL {
            let advice = reason.advice();
            assert!(advice.ends_with('.') && !advice.contains('\n') && !advice.contains('|'), "{reason:?}");
        }
    }
}
