//! A reply's bytes, handed to the HTTP library piece by piece.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use hyper::body::Bytes;

use super::reply::Body;

/// A piece: some of them lie in memory for each connection, and no more.
const PIECE: usize = 64 << 10;

/// A body that is read while it is sent, and whose length is known before.
pub(super) struct Streamed {
    body: Body,
    left: u64,
}

impl Streamed {
    pub(super) fn new(body: Body, length: u64) -> Self {
        Self { body, left: length }
    }

    /// The next piece.
    ///
    /// # Errors
    /// When the disk fails or the file has become shorter. The connection ends then, so that the client
    /// doesn't take a part for the whole.
    fn piece(&mut self) -> io::Result<Bytes> {
        let wanted = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; wanted];
        let read = self.body.read(&mut piece)?;
        if read == 0 {
            let reason = "the file was cut off while it was sent";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        piece.truncate(read);
        self.left -= read as u64;
        Ok(piece.into())
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    /// Reads at once: a piece off a local disk, out of its cache as a rule, takes microseconds.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let more = self.left > 0;
        Poll::Ready(more.then(|| self.piece().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn pieces_add_up_and_a_cut_file_is_an_error() {
        let bytes = vec![3; PIECE + 5];
        let body = || Body::Bytes(Cursor::new(bytes.clone().into()));
        let mut whole = Streamed::new(body(), bytes.len() as u64);
        assert_eq!(whole.piece().unwrap().len(), PIECE);
        assert_eq!(whole.piece().unwrap().len(), 5);
        assert_eq!(whole.left, 0);

        let mut cut = Streamed::new(body(), bytes.len() as u64 + 1);
        cut.piece().unwrap();
        cut.piece().unwrap();
        assert_eq!(
            cut.piece().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
