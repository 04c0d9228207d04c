//! Streams of gRPC and gRPC-Web that end when the gateway goes down, as event streams do: between
//! two messages, with a status, so that their callers open them again elsewhere. The service behind
//! goes on and would not end them.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use jinke_kit::Shutdown;
use tonic::{Status, body::Body};

use crate::error;

/// Bytes before each message of gRPC: a flag and the length.
const HEAD: usize = 5;

/// Where in the framing of gRPC an answer stands.
#[derive(Default)]
struct Place {
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    seen: usize,
    /// Bytes of the message that are still to come.
    left: usize,
}

impl Place {
    const fn is_between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let n = self.left.min(bytes.len());
                self.left -= n;
                bytes = &bytes[n..];
                continue;
            }
            let n = (HEAD - self.seen).min(bytes.len());
            self.head[self.seen..self.seen + n].copy_from_slice(&bytes[..n]);
            self.seen += n;
            bytes = &bytes[n..];
            if self.seen == HEAD {
                let [_, length @ ..] = self.head;
                self.left = u32::from_be_bytes(length) as usize;
                self.seen = 0;
            }
        }
    }
}

/// A streamed answer that ends with `DRAINING` between two messages once the gateway drains.
pub struct Ending {
    answer: Body,
    place: Place,
    draining: BoxFuture<'static, ()>,
    over: bool,
}

impl Ending {
    /// Ends `answer` when `draining` is triggered.
    pub fn new(answer: Body, draining: Shutdown) -> Self {
        Self {
            answer,
            place: Place::default(),
            draining: Box::pin(async move { draining.wait().await }),
            over: false,
        }
    }
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.place.is_between() && self.draining.as_mut().poll(cx).is_ready() {
            self.over = true;
            let mut trailers = HeaderMap::new();
            error::draining().add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut self.answer).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => self.place.take(bytes),
                None => self.over = true,
            },
            Some(Err(_)) | None => self.over = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.answer.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn the_framing_is_followed_however_it_is_cut() {
        let whole = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[0, 0, 0, 0, 0],
            &[1, 0, 0, 1, 4],
            &[7; 260],
        ];
        let ends = [8, 13, 278];
        let whole = whole.concat();
        for size in 1..whole.len() {
            let mut place = Place::default();
            let mut at = 0;
            for bytes in whole.chunks(size) {
                place.take(bytes);
                at += bytes.len();
                assert_eq!(place.is_between(), ends.contains(&at), "{at} by {size}");
            }
        }
    }
}
