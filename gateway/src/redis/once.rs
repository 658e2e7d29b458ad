//! A oneshot for one thread: the place where a waiting request finds its answer.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

struct Slot<T> {
    value: RefCell<Option<T>>,
    waker: RefCell<Option<Waker>>,
    /// The sender is gone.
    closed: Cell<bool>,
}

/// Gives the answer. Dropped without one, the receiver gets `None`.
pub struct Sender<T>(Rc<Slot<T>>);

/// Waits for the answer.
pub struct Receiver<T>(Rc<Slot<T>>);

/// A connected pair.
pub fn once<T>() -> (Sender<T>, Receiver<T>) {
    let slot =
        Rc::new(Slot { value: RefCell::new(None), waker: RefCell::new(None), closed: Cell::new(false) });
    (Sender(slot.clone()), Receiver(slot))
}

impl<T> Sender<T> {
    /// Gives the answer.
    pub fn send(self, value: T) {
        *self.0.value.borrow_mut() = Some(value);
    }

    /// Whether nobody waits any more.
    pub fn abandoned(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.closed.set(true);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(value) = self.0.value.borrow_mut().take() {
            return Poll::Ready(Some(value));
        }
        if self.0.closed.get() {
            return Poll::Ready(None);
        }
        let mut waker = self.0.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn an_answer_arrives_and_a_dropped_sender_says_none() {
        let (sender, mut receiver) = once();
        assert_eq!((&mut receiver).now_or_never(), None);
        assert!(!sender.abandoned());
        sender.send(5);
        assert_eq!(receiver.now_or_never(), Some(Some(5)));

        let (sender, receiver) = once::<u8>();
        drop(sender);
        assert_eq!(receiver.now_or_never(), Some(None));

        let (sender, receiver) = once::<u8>();
        drop(receiver);
        assert!(sender.abandoned());
    }
}
