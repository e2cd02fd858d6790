//! Event streams in pieces, and events over the bound.

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::events;

async fn parse(chunks: &[&'static str], limit: usize) -> Vec<Result<String, ()>> {
    let body = futures_util::stream::iter(chunks.to_vec())
        .map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())));
    events(body, limit)
        .map(|event| {
            event
                .map(|event| event.data.unwrap_or_default())
                .map_err(drop)
        })
        .collect()
        .await
}

#[tokio::test]
async fn events_arrive_however_they_are_cut_into_chunks() {
    let seen = parse(&["data: o", "ne\n", "\ndata: two\r\n\r\n"], 32).await;
    assert_eq!(seen, [Ok("one".to_owned()), Ok("two".to_owned())]);
}

#[tokio::test]
async fn many_events_may_exceed_the_bound_together_but_one_may_not() {
    assert_eq!(
        parse(
            &[
                "data: 1234567\n\n",
                "data: 1234567\n\n",
                "data: 1234567\n\n"
            ],
            16
        )
        .await
        .len(),
        3
    );
    let seen = parse(&["data: 1\n\n", "data: 12345678", "901234567890\n\n"], 16).await;
    assert_eq!(seen, [Ok("1".to_owned()), Err(())]);
}
