//! Nobody waits, and it goes on.

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::Detached;

#[tokio::test]
async fn what_nobody_waits_for_any_more_still_ends() {
    let tasks = TaskTracker::new();
    let (go, gone) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let mut work = Detached::new(&tasks, async move {
        gone.await.unwrap();
        tell.send(7).unwrap();
    });
    // Begun, and then left alone.
    assert!(futures_util::poll!(&mut work).is_pending());
    drop(work);
    assert!(!tasks.is_empty());
    go.send(()).unwrap();
    assert_eq!(told.await, Ok(7));
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn what_is_done_is_not_done_again() {
    let tasks = TaskTracker::new();
    let mut work = Detached::new(&tasks, async { 1 });
    assert_eq!((&mut work).await, 1);
    drop(work);
    tasks.close();
    tasks.wait().await;
}
