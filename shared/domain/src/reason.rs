//! The one dictionary of refusals: every error a client can see, with its status, stable number and stable word.

/// Declares the dictionary once: the enum, its list and its table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $word:literal, $message:literal;)*) => {
        /// Why a request was refused. `code` and `as_str` are stable; `message` is for people and may change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* #[doc = $message] $name,)* }

        impl Reason {
            /// Every reason, in the order of the dictionary.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable number in the envelope's `code`.
            pub const fn code(self) -> u32 { match self { $(Self::$name => $code,)* } }

            /// The reason of a stable number.
            pub fn from_code(code: u32) -> Option<Self> { Self::ALL.iter().copied().find(|reason| reason.code() == code) }

            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status,)* } }

            /// The stable word, kebab-case.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word,)* } }

            /// What it means, for people.
            pub const fn message(self) -> &'static str { match self { $(Self::$name => $message,)* } }
        }
    };
}

reasons! {
    Malformed = 1000, 400, "malformed", "The request is not well-formed.";
    IdempotencyKeyMissing = 1001, 400, "idempotency-key-missing", "This request needs an Idempotency-Key header.";
    BadHost = 1002, 400, "bad-host", "The request must carry exactly one Host header.";
    BadSignature = 1003, 400, "bad-signature", "The signature of this callback or its time is not valid.";
    Unauthorized = 1010, 401, "unauthorized", "A valid access token is required.";
    InvalidCredentials = 1011, 401, "invalid-credentials", "E-mail or password is wrong.";
    InvalidRefreshToken = 1012, 401, "invalid-refresh-token", "This refresh token is not valid; log in again.";
    Forbidden = 1020, 403, "forbidden", "Your role does not allow this.";
    NotFound = 1030, 404, "not-found", "There is no such thing here.";
    MethodNotAllowed = 1031, 405, "method-not-allowed", "This path does not take that method.";
    NotAcceptable = 1032, 406, "not-acceptable", "None of the accepted media types can be produced.";
    RequestTimeout = 1033, 408, "request-timeout", "The request did not arrive in time.";
    Conflict = 1040, 409, "conflict", "The request conflicts with the present state.";
    EmailTaken = 1041, 409, "email-taken", "An account with this e-mail exists.";
    SkuTaken = 1042, 409, "sku-taken", "A product with this SKU exists.";
    InsufficientInventory = 1043, 409, "insufficient-inventory", "The inventory does not hold that many units.";
    PreconditionFailed = 1044, 412, "precondition-failed", "The object has changed since you read it.";
    InFlight = 1045, 409, "request-in-flight", "A request with this idempotency key is being worked on.";
    AmountMismatch = 1046, 409, "amount-mismatch", "The total is not what you expected; look at it and order again.";
    ProductInUse = 1047, 409, "product-in-use", "An event that is not closed sells this product.";
    PreconditionRequired = 1048, 428, "precondition-required", "This change needs an If-Match header with the version it was made from.";
    BodyTooLarge = 1050, 413, "body-too-large", "The request body is too large.";
    UriTooLong = 1051, 414, "uri-too-long", "The request target is too long.";
    UnsupportedMediaType = 1052, 415, "unsupported-media-type", "The body must be application/json.";
    HeadersTooLarge = 1053, 431, "headers-too-large", "The request headers are too large.";
    Validation = 1060, 422, "validation", "A field of the request is not valid.";
    IdempotencyMismatch = 1061, 422, "idempotency-mismatch", "This idempotency key was used with another payload.";
    TooManyRequests = 1070, 429, "too-many-requests", "Too many requests; slow down.";
    Internal = 1080, 500, "internal", "Something went wrong on our side.";
    Unavailable = 1090, 503, "unavailable", "The service cannot answer now; try again.";
    Overloaded = 1091, 503, "overloaded", "The service is at its limit; try again.";
    LastAdministrator = 1100, 409, "last-administrator", "No active administrator would be left.";
    OwnAccount = 1101, 409, "own-account", "An administrator does not disable the own account.";
    SoldOut = 2000, 409, "sold-out", "Sold out.";
    InsufficientStock = 2001, 409, "insufficient-stock", "Fewer units are left than you asked for.";
    AlreadyBought = 2002, 409, "already-bought", "You have bought in this sale already.";
    NotStarted = 2010, 403, "not-started", "The sale has not started.";
    Ended = 2011, 410, "ended", "The sale is over.";
    Paused = 2012, 503, "paused", "The sale is paused; try again.";
    Recovering = 2013, 503, "recovering", "The sale is being brought up; try again.";
    OutboxFull = 2014, 503, "outbox-full", "Too many orders wait to be written; try again.";
    OutcomeUnknown = 2015, 503, "outcome-unknown", "No answer in time: look the order up, or retry with the same key.";
    PaymentDeclined = 2100, 402, "payment-declined", "The payment was declined; you can pay again until the order's deadline.";
    PaymentInProgress = 2101, 409, "payment-in-progress", "Another payment of this order has no outcome yet.";
    OrderPaid = 2102, 409, "order-paid", "The order is paid.";
    OrderExpired = 2103, 409, "order-expired", "The time to pay this order is over.";
    OrderNotPending = 2104, 409, "order-not-pending", "The order has ended; it cannot be paid or cancelled any more.";
    RefundDue = 2105, 409, "refund-due", "The money came after the order had ended; it will be given back.";
    PaymentAttemptsExhausted = 2106, 409, "payment-attempts-exhausted", "This order has been tried to pay too often.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_and_words_are_unique_and_statuses_are_errors() {
        let codes: HashSet<u32> = Reason::ALL.iter().map(|r| r.code()).collect();
        let words: HashSet<&str> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!((codes.len(), words.len()), (Reason::ALL.len(), Reason::ALL.len()));
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert!((400..600).contains(&reason.status()), "{reason:?}");
            assert!(reason.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{reason:?}");
        }
    }
}
