//! A pull as a stream of pages, one made after the other.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::connector::{Page, PullError};

/// A pull under way, which makes its pages one after the other.
#[async_trait]
pub trait Walk: Send + 'static {
    /// The next page; none when there are no more.
    ///
    /// # Errors
    /// What ends the pull. It is not asked again.
    async fn next(&mut self) -> Result<Option<Page>, PullError>;
}

/// The pages of a pull that was begun, up to its end or its first error.
pub fn pages<W: Walk>(begun: Result<W, PullError>) -> BoxStream<'static, Result<Page, PullError>> {
    let walk = match begun {
        Ok(walk) => walk,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    stream::unfold(Some(walk), |walk| async move {
        let mut walk = walk?;
        match walk.next().await {
            Ok(None) => None,
            Ok(Some(page)) => Some((Ok(page), Some(walk))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::unreadable;

    struct Count {
        left: u64,
        fails: bool,
    }

    #[async_trait]
    impl Walk for Count {
        async fn next(&mut self) -> Result<Option<Page>, PullError> {
            if self.left == 0 {
                return if self.fails {
                    Err(unreadable("broken"))
                } else {
                    Ok(None)
                };
            }
            self.left -= 1;
            Ok(Some(Page::default()))
        }
    }

    #[tokio::test]
    async fn pages_come_up_to_the_end_or_the_first_error() {
        let told = async |left, fails| {
            let walk = Ok(Count { left, fails });
            let all: Vec<_> = pages(walk).collect().await;
            (all.len(), all.last().is_some_and(Result::is_err))
        };
        assert_eq!(told(3, false).await, (3, false));
        assert_eq!(told(3, true).await, (4, true));
        let none: Vec<_> = pages::<Count>(Err(unreadable("no"))).collect().await;
        assert!(matches!(&none[..], [Err(_)]));
    }
}
