//! Futures that are dropped before their end, at every point at which they wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Drives `future` until it has had to wait `waits` times, then drops it. `None` if it was dropped.
pub(crate) async fn drop_at<F: Future>(waits: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Drives `future` until it has had to wait `waits` times, then does `act` and drives it to its end. Gives its
/// output, and whether `act` was done.
pub(crate) async fn act_at<F: Future>(waits: usize, future: F, act: impl FnOnce()) -> (F::Output, bool) {
    let mut future = pin!(future);
    let mut act = Some(act);
    let mut left = waits;
    let output = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Pending if left == 0 => {
            if let Some(act) = act.take() {
                act();
                // It may wait for nothing but that.
                context.waker().wake_by_ref();
            }
            Poll::Pending
        }
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
        ready @ Poll::Ready(_) => ready,
    })
    .await;
    (output, act.is_none())
}

/// Polls all futures in turn until all are done, and gives their outputs in order.
pub(crate) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|it| (Box::pin(it), None)).collect();
    poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
