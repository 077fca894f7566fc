//! Those who give up, and servers that are slow: what stays behind does no harm.

use super::*;

/// Asks and gives up as soon as the question is on its way.
async fn give_up<S: AsyncRead + AsyncWrite + Unpin>(pipe: &Pipe<S>, question: &Question) {
    let limit = Some(Duration::from_secs(3));
    tokio::select! {
        biased;
        end = pipe.ask(question, limit) => panic!("{end:?}"),
        () = turns(3) => {}
    }
}

#[tokio::test]
async fn a_server_that_stands_still_does_not_fill_the_memory() {
    let (pipe, _far, _) = pipe(1 << 20);
    let question = Question::of(&["PING"]);
    let mut waiting: Vec<_> = (0..MOST)
        .map(|_| Box::pin(pipe.ask(&question, None)))
        .collect();
    for asked in &mut waiting {
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(asked.as_mut().poll(&mut nobody).is_pending());
    }
    assert_eq!(pipe.ask(&question, None).await, Err(Gap::Full));
    // Full of those who wait is not full for ever.
    assert!(!pipe.is_broken());
    waiting.truncate(MOST / 3);
    let mut asked = Box::pin(pipe.ask(&question, None));
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(asked.as_mut().poll(&mut nobody).is_pending());
}

#[tokio::test]
async fn what_is_full_of_questions_that_nobody_waits_for_is_given_up() {
    let question = Question::of(&["PING"]);
    let (pipe, _far, _) = pipe(MOST * question.bytes().len());
    for _ in 0..MOST - 1 {
        give_up(&pipe, &question).await;
    }
    // There is no room for this one, and whoever waits for it is told at once.
    let large = echo(&"x".repeat(1000));
    let mut waits = Box::pin(pipe.ask(&large, None));
    assert!(
        waits
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    assert!(!pipe.is_broken());
    let end = pipe.ask(&question, None).await;
    assert!(matches!(end, Err(Gap::Unsent(_))), "{end:?}");
    assert!(pipe.is_broken());
    assert_eq!(waits.await, end);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_takes_no_room() {
    let (pipe, mut far, _) = pipe(64);
    let first = echo(&"x".repeat(64));
    let mut asked = Box::pin(pipe.ask(&first, None));
    let mut nobody = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(asked.as_mut().poll(&mut nobody).is_pending());
    }
    let large = echo(&"y".repeat(4_000_000));
    for _ in 0..20 {
        give_up(&pipe, &large).await;
    }
    assert!(!pipe.is_broken());
    assert!(pipe.state.borrow().out.len() < 100);
    let answer = async {
        let mut input = vec![0; first.bytes().len()];
        far.read_exact(&mut input).await.unwrap();
        assert_eq!(input, first.bytes());
        far.write_all(b"+a\r\n").await.unwrap();
    };
    let (end, ()) = tokio::join!(asked, answer);
    assert_eq!(end, Ok(vec![Value::Word("a".into())]));
}

#[tokio::test]
async fn what_was_given_up_before_it_went_out_never_goes_out() {
    let question = |text: &str| echo(&text.repeat(10));
    let room = question("a").bytes().len();
    let (pipe, mut far, _) = pipe(room);
    let (a, b, c) = (question("a"), question("b"), question("c"));
    let first = pipe.ask(&a, None);
    let second = async {
        give_up(&pipe, &b).await;
        pipe.ask(&c, None).await
    };
    let server = async {
        turns(10).await;
        let mut seen = vec![0; 2 * room];
        far.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, [a.bytes(), c.bytes()].concat());
        far.write_all(b"+a\r\n+c\r\n").await.unwrap();
    };
    let (first, second, ()) = tokio::join!(first, second, server);
    assert_eq!(first, Ok(vec![Value::Word("a".into())]));
    assert_eq!(second, Ok(vec![Value::Word("c".into())]));
}

#[tokio::test]
async fn behind_the_half_of_a_question_nothing_goes_out() {
    let question = |text: &str| echo(&text.repeat(10));
    let room = question("a").bytes().len();
    let (pipe, mut far, _) = pipe(room + 5);
    let (a, b, c) = (question("a"), question("b"), question("c"));
    let first = pipe.ask(&a, None);
    let half = give_up(&pipe, &b);
    let behind = pipe.ask(&c, None);
    let server = async {
        turns(10).await;
        assert!(pipe.is_broken(), "for those who come now");
        let mut seen = vec![0; room + 5];
        far.read_exact(&mut seen).await.unwrap();
        assert!(seen.starts_with(a.bytes()));
        turns(10).await;
        far.write_all(b"+a\r\n").await.unwrap();
    };
    let (first, (), behind, ()) = tokio::join!(first, half, behind, server);
    assert_eq!(first, Ok(vec![Value::Word("a".into())]), "it had gone out");
    assert!(matches!(behind, Err(Gap::Unsent(_))), "{behind:?}");
    assert!(matches!(pipe.ask(&c, None).await, Err(Gap::Unsent(_))));
    drop(pipe);
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_leaves_his_time_behind() {
    let (pipe, mut far, _) = pipe(4096);
    give_up(&pipe, &echo("a")).await;
    time::advance(Duration::from_millis(2900)).await;
    give_up(&pipe, &echo("b")).await;
    assert!(!pipe.is_broken());
    time::advance(Duration::from_millis(200)).await;
    assert!(pipe.is_broken(), "the first one is overdue");
    // It was only that nobody looked.
    far.write_all(b"+a\r\n").await.unwrap();
    assert!(!pipe.is_broken());
    time::advance(Duration::from_secs(4)).await;
    assert!(pipe.is_broken(), "so is the second one");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_on_sending_is_waited_for_longer() {
    let (pipe, mut far, _) = pipe(4096);
    let began = Instant::now();
    let limit = Some(Duration::from_secs(3));
    let server = async {
        far.write_all(b"$9\r\n").await.unwrap();
        for _ in 0..9 {
            time::sleep(Duration::from_secs(2)).await;
            far.write_all(b"x").await.unwrap();
        }
        far.write_all(b"\r\n").await.unwrap();
    };
    let question = echo("a");
    let (end, ()) = tokio::join!(pipe.ask(&question, limit), server);
    assert_eq!(end, Ok(vec![Value::Bulk("xxxxxxxxx".into())]));
    assert_eq!(began.elapsed().as_secs(), 18);
    // But not for ever.
    let endless = async {
        far.write_all(b"$900\r\n").await.unwrap();
        loop {
            time::sleep(Duration::from_secs(2)).await;
            far.write_all(b"x").await.unwrap();
        }
    };
    tokio::select! {
        end = pipe.ask(&question, limit) => assert_eq!(end, Err(Gap::Late)),
        () = endless => {}
    }
    assert_eq!(began.elapsed().as_secs(), 18 + 60);
}

/// Wakes another one, and gives up itself.
struct Rash(std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::task::Wake for Rash {
    fn wake(self: std::sync::Arc<Self>) {
        if let Some(act) = self.0.lock().unwrap().take() {
            act();
        }
    }
}

thread_local! {
    static PIPE: RefCell<Option<Rc<Pipe<Counted>>>> = const { RefCell::new(None) };
}

#[tokio::test]
async fn who_is_woken_may_look_at_the_connection_at_once() {
    let (pipe, mut far, _) = pipe(4096);
    PIPE.set(Some(Rc::clone(&pipe)));
    let look = || PIPE.with_borrow(|pipe| assert!(!pipe.as_ref().unwrap().is_broken()));
    let rash = std::sync::Arc::new(Rash(std::sync::Mutex::new(Some(Box::new(look)))));
    let waker = Waker::from(std::sync::Arc::clone(&rash));
    let (a, b) = (echo("a"), echo("b"));
    let mut first = Box::pin(pipe.ask(&a, None));
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    let mut second = Box::pin(pipe.ask(&b, None));
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(first);
    assert!(rash.0.lock().unwrap().is_none(), "it was woken");
    far.write_all(b"+b\r\n").await.unwrap();
    assert_eq!(second.await, Ok(vec![Value::Word("b".into())]));
}

/// Takes everything at once and lets it go only when flushed, for which there is a time.
struct Holding {
    far: DuplexStream,
    held: Vec<u8>,
    may_go: Rc<Cell<bool>>,
}

impl AsyncRead for Holding {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_read(cx, buf)
    }
}

impl AsyncWrite for Holding {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.may_go.get() {
            return Poll::Pending;
        }
        let held = std::mem::take(&mut self.held);
        let gone = ready!(Pin::new(&mut self.far).poll_write(cx, &held))?;
        assert_eq!(gone, held.len());
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.far).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn what_the_stream_holds_back_does_not_come_later_either() {
    let (near, mut far) = duplex(4096);
    let may_go = Rc::new(Cell::new(true));
    let pipe = Pipe::new(Holding {
        far: near,
        held: Vec::new(),
        may_go: Rc::clone(&may_go),
    });
    let (a, b, c) = (echo("a"), echo("b"), echo("c"));
    let first = pipe.ask(&a, None);
    let given_up = async {
        turns(3).await;
        may_go.set(false);
        let (behind, ()) = tokio::join!(pipe.ask(&c, None), give_up(&pipe, &b));
        may_go.set(true);
        far.write_all(b"+a\r\n").await.unwrap();
        behind
    };
    let (first, behind) = tokio::join!(first, given_up);
    assert_eq!(first, Ok(vec![Value::Word("a".into())]), "it had gone out");
    assert!(matches!(behind, Err(Gap::Lost(_))), "{behind:?}");
    assert!(pipe.is_broken());
    drop(pipe);
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, a.bytes());
}
