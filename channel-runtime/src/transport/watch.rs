//! Tracks what a connection waits for its client to do, and since when.

use std::{
    any::Any,
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use crate::options::ServeTimes as Times;

/// The limit that a client has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    Request,
    Head,
    Idle,
    Body,
    Write,
}

impl Late {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Late::Request => "request",
            Late::Head => "head",
            Late::Idle => "idle",
            Late::Body => "body",
            Late::Write => "write",
        }
    }
}

#[derive(Clone, Copy)]
enum Phase {
    /// No byte of a first request has arrived.
    Silent(Instant),
    /// The head of a request has begun.
    Head(Instant),
    /// The application handles a request.
    Answering,
    /// No byte of a next request has arrived.
    Idle(Instant),
}

#[derive(Clone, Copy)]
enum Intake {
    Whole,
    /// More of the body is to come; holds the time since which the application waits for it.
    Open(Option<Instant>),
}

struct State {
    phase: Phase,
    intake: Intake,
    /// The time since which the client takes no bytes.
    blocked: Option<Instant>,
    /// The time since which the server is shutting down.
    ending: Option<Instant>,
    /// The number of the current request: a body may outlive its own.
    request: u64,
    over: bool,
}

/// The state of one connection, shared by its stream, its bodies and its task.
#[derive(Clone)]
pub(crate) struct Watch(Arc<(Times, Mutex<State>)>);

impl Watch {
    pub(crate) fn new(times: Times) -> Self {
        let state = State {
            phase: Phase::Silent(Instant::now()),
            intake: Intake::Whole,
            blocked: None,
            ending: None,
            request: 0,
            over: false,
        };
        Watch(Arc::new((times, Mutex::new(state))))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.1.lock())
    }

    /// Starts a request; returns its tracked body, and a guard for its answer.
    pub(crate) fn request<B: HttpBody>(&self, body: B) -> (Request<B>, Answering) {
        let open = !body.is_end_stream();
        let request = self.with(|state| {
            state.phase = Phase::Answering;
            state.intake = match open {
                true => Intake::Open(None),
                false => Intake::Whole,
            };
            state.request += 1;
            state.request
        });
        let watch = self.clone();
        let answering = Answering { watch, request };
        let watch = self.clone();
        let request = Request {
            body,
            watch,
            request,
        };
        (request, answering)
    }

    /// Starts the shutdown: from now on clients have little time.
    pub(crate) fn ending(&self) {
        self.with(|state| state.ending = state.ending.or_else(|| Some(Instant::now())));
    }

    /// Ends the connection in the middle of a request: a blocked client is sent nothing more.
    pub(crate) fn over(&self) {
        self.with(|state| state.over = state.blocked.is_some());
    }

    /// Waits until the client is late. Poll it after the reads and writes, so that data that has
    /// arrived counts even if the server itself runs late.
    pub(crate) async fn late(&self) -> Late {
        let mut timer = pin!(sleep_until(Instant::now() + self.0.0.head));
        std::future::poll_fn(|cx| {
            loop {
                let now = Instant::now();
                let due = match self.with(|state| state.due(&self.0.0, now)) {
                    Due::Never => return Poll::Pending,
                    Due::Look(at) => at,
                    Due::Late(at, late) if at <= now => return Poll::Ready(late),
                    Due::Late(at, _) => at,
                };
                // The timer is not moved back for a later deadline: it checks again when it fires.
                if due < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(due);
                }
                // Unconstrained, because a task that reads and writes much has used up its budget.
                ready!(pin!(tokio::task::coop::unconstrained(timer.as_mut())).poll(cx));
            }
        })
        .await
    }
}

enum Due {
    Never,
    /// Check again at this time: the wait for a body may begin without this task noticing.
    Look(Instant),
    Late(Instant, Late),
}

impl State {
    fn due(&self, times: &Times, now: Instant) -> Due {
        let due = |since: Instant, limit, late| {
            let ending = self.ending.map(|at| at.max(since) + times.last);
            let due = since + limit;
            Due::Late(ending.map_or(due, |ending| ending.min(due)), late)
        };
        match (self.phase, self.blocked, self.intake) {
            (Phase::Silent(since), ..) => due(since, times.head, Late::Request),
            (_, Some(since), _) => due(since, times.write, Late::Write),
            (Phase::Head(since), ..) => due(since, times.head, Late::Head),
            (Phase::Idle(since), ..) => due(since, times.idle, Late::Idle),
            (Phase::Answering, None, Intake::Whole) => Due::Never,
            (Phase::Answering, None, Intake::Open(None)) => {
                let limit = self.ending.map_or(times.body, |_| times.last);
                Due::Look(now + limit.min(times.body))
            }
            (Phase::Answering, None, Intake::Open(Some(since))) => {
                // During a shutdown the whole wait counts, or one byte a second would delay it.
                let ending = self.ending.map(|at| at + times.last);
                let due = since + times.body;
                Due::Late(ending.map_or(due, |ending| ending.min(due)), Late::Body)
            }
        }
    }

    fn has_read(&mut self) {
        match (self.phase, &mut self.intake) {
            (Phase::Silent(_) | Phase::Idle(_), _) => self.phase = Phase::Head(Instant::now()),
            (Phase::Answering, Intake::Open(Some(since))) => *since = Instant::now(),
            _ => {}
        }
    }

    fn has_written(&mut self) {
        self.blocked = None;
        // The last bytes of an answer are written after the application has given it away.
        if let Phase::Idle(since) = &mut self.phase {
            *since = Instant::now();
        }
    }
}

/// A request's body, which records when the application waits for it.
pub(crate) struct Request<B> {
    body: B,
    watch: Watch,
    request: u64,
}

impl<B> Request<B> {
    fn note(&self, intake: impl FnOnce(Intake) -> Intake) {
        self.watch.with(|state| {
            if state.request == self.request {
                state.intake = intake(state.intake);
            }
        });
    }
}

impl<B: HttpBody + Unpin> HttpBody for Request<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let is_whole = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        self.note(|intake| match (&frame, intake) {
            _ if is_whole => Intake::Whole,
            (Poll::Ready(_), _) | (_, Intake::Whole) => Intake::Open(None),
            (Poll::Pending, Intake::Open(since)) => {
                Intake::Open(since.or_else(|| Some(Instant::now())))
            }
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Request<B> {
    fn drop(&mut self) {
        self.note(|_| Intake::Whole);
    }
}

/// A guard for a request that is being answered, until its answer's body is given away.
pub(crate) struct Answering {
    watch: Watch,
    request: u64,
}

impl Answering {
    pub(crate) fn with(self, body: Body) -> Answer {
        Answer {
            body,
            _answering: self,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.watch.with(|state| {
            if state.request == self.request {
                state.phase = Phase::Idle(Instant::now());
            }
        });
    }
}

/// The body of an answer.
pub(crate) struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that records when the client sends and takes bytes, until it is upgraded.
pub(crate) struct Watched<I> {
    io: I,
    watch: Watch,
}

impl<I: 'static> Watched<I> {
    pub(crate) fn new(io: I, watch: Watch) -> Self {
        Watched { io, watch }
    }

    pub(crate) fn into_inner(self) -> I {
        self.io
    }

    fn written<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.watch.with(|state| match written {
            Poll::Ready(_) => state.has_written(),
            Poll::Pending => drop(state.blocked.get_or_insert_with(Instant::now)),
        });
        written
    }

    /// Passes the result of a flush on. A successful flush says nothing about bytes, since it is
    /// also called without any.
    fn flushed(&self, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        self.watch.with(|state| match flushed {
            Poll::Ready(_) => state.blocked = None,
            Poll::Pending => drop(state.blocked.get_or_insert_with(Instant::now)),
        });
        flushed
    }

    /// Returns an error once the connection is over. Data that the kernel holds for the client is
    /// discarded with the connection, or it would wait for the client for minutes.
    fn check(&self) -> io::Result<()> {
        if !self.watch.with(|state| state.over) {
            return Ok(());
        }
        if let Some(tcp) = (&self.io as &dyn Any).downcast_ref::<TcpStream>() {
            // On failure the connection closes as any other.
            let _reset = tcp.set_zero_linger();
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.with(State::has_read);
        }
        read
    }
}

impl<I: AsyncWrite + Unpin + 'static> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.flushed(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(cx);
        self.flushed(shut)
    }
}
