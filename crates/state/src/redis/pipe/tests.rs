mod leaving;

use std::{cell::Cell, rc::Rc};

use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    task::{JoinSet, LocalSet, yield_now},
};

use super::*;

/// Counts writes.
struct Counted(DuplexStream, Rc<Cell<u32>>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A pipe, the other end and how often was written.
fn pipe(room: usize) -> (Rc<Pipe<Counted>>, DuplexStream, Rc<Cell<u32>>) {
    let (near, far) = duplex(room);
    let writes = Rc::default();
    let stream = Counted(near, Rc::clone(&writes));
    (Rc::new(Pipe::new(stream)), far, writes)
}

fn echo(text: &str) -> Question {
    Question::of(&["ECHO", text])
}

/// Answers each command with its last word.
async fn answer_all(mut far: DuplexStream) {
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::new());
    while let Ok(1..) = far.read_buf(&mut input).await {
        while let Some(Value::Array(words)) = decoder.next(&mut input).unwrap() {
            let Some(Value::Bulk(word)) = words.last() else {
                panic!("no word");
            };
            let head = format!("${}\r\n", word.len());
            let answer = [head.as_bytes(), word, b"\r\n"].concat();
            far.write_all(&answer).await.unwrap();
        }
    }
}

async fn text_of(pipe: &Pipe<Counted>, question: &Question) -> String {
    let answers = pipe.ask(question, None).await.unwrap();
    let texts = answers.into_iter().map(|answer| match answer {
        Value::Bulk(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn questions_of_one_moment_are_one_write() {
    let (pipe, far, writes) = pipe(4096);
    let local = LocalSet::new();
    local.spawn_local(answer_all(far));
    let work = async {
        let mut tasks = JoinSet::new();
        for number in 0..30 {
            let pipe = Rc::clone(&pipe);
            tasks.spawn_local(async move {
                let text = number.to_string();
                assert_eq!(text_of(&pipe, &echo(&text)).await, text);
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_eq!(writes.get(), 1);
        let mut both = echo("a");
        both.append(&echo("b"));
        assert_eq!(text_of(&pipe, &both).await, "a b");
        assert_eq!(writes.get(), 2);
    };
    local.run_until(work).await;
}

/// Small numbers that look like chance.
fn next(seed: &mut u32) -> u32 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    *seed >> 16
}

/// The connection of the moment: another one when nothing can be asked any more.
struct Current {
    pipe: RefCell<Rc<Pipe<Counted>>>,
    room: usize,
}

impl Current {
    fn begin(room: usize) -> Rc<Pipe<Counted>> {
        let (pipe, far, _) = pipe(room);
        tokio::task::spawn_local(answer_all(far));
        pipe
    }

    /// Asks until there is an answer. Only what has not gone out may have to be asked again.
    async fn text_of(&self, question: &Question) -> String {
        loop {
            let pipe = Rc::clone(&self.pipe.borrow());
            match pipe.ask(question, None).await {
                Ok(answers) => {
                    let [Value::Bulk(bytes)] = &answers[..] else {
                        panic!("{answers:?}");
                    };
                    return String::from_utf8(bytes.to_vec()).unwrap();
                }
                Err(Gap::Unsent(_)) => {
                    let mut current = self.pipe.borrow_mut();
                    if Rc::ptr_eq(&current, &pipe) {
                        *current = Self::begin(self.room);
                    }
                }
                Err(gap) => panic!("{gap:?}"),
            }
        }
    }
}

#[tokio::test]
async fn everybody_gets_his_own_answer_however_many_give_up() {
    // So little room that writes stop in the middle of questions.
    for room in [7, 64, 100_000] {
        let work = async {
            let current = Rc::new(Current {
                pipe: RefCell::new(Current::begin(room)),
                room,
            });
            let first = Rc::clone(&current.pipe.borrow());
            let mut tasks = JoinSet::new();
            for number in 0..80 {
                let current = Rc::clone(&current);
                tasks.spawn_local(async move {
                    let mut seed = number;
                    for round in 0..20 {
                        let text = "x".repeat(next(&mut seed) as usize % 50) + &round.to_string();
                        let patience = next(&mut seed) % 60;
                        let question = echo(&text);
                        tokio::select! {
                            biased;
                            got = current.text_of(&question) => assert_eq!(got, text),
                            // Even numbers stay.
                            () = turns(patience), if number % 2 == 1 => {}
                        }
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
            let is_first = Rc::ptr_eq(&first, &current.pipe.borrow());
            assert!(is_first || room < 100_000, "only halves end a connection");
        };
        let local = LocalSet::new();
        let ended = time::timeout(Duration::from_secs(20), local.run_until(work)).await;
        ended.expect("nobody waits for ever");
    }
}

async fn turns(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_waits_as_long_as_he_wants_to() {
    let (pipe, mut far, _) = pipe(4096);
    let began = Instant::now();
    let ask = async |text: &str, seconds: u64| {
        let limit = Some(Duration::from_secs(seconds));
        let end = pipe.ask(&echo(text), limit).await;
        (end, began.elapsed().as_secs())
    };
    let answer = async {
        time::sleep(Duration::from_secs(6)).await;
        far.write_all(b"+a\r\n+b\r\n+c\r\n+d\r\n").await.unwrap();
    };
    let d = async {
        time::sleep(Duration::from_secs(1)).await;
        ask("d", 2).await
    };
    let (a, b, c, d, ()) = tokio::join!(ask("a", 5), ask("b", 9), ask("c", 4), d, answer);
    assert_eq!(a, (Err(Gap::Late), 5));
    assert_eq!(b, (Ok(vec![Value::Word("b".into())]), 6));
    assert_eq!(c, (Err(Gap::Late), 4));
    assert_eq!(d, (Err(Gap::Late), 3));
    // Answers that nobody wanted any more are nobody else's.
    let answer = async {
        time::sleep(Duration::from_secs(100)).await;
        far.write_all(b"+e\r\n").await.unwrap();
    };
    let (e, ()) = tokio::join!(ask("e", 200), answer);
    assert_eq!(e, (Ok(vec![Value::Word("e".into())]), 106));
}

#[tokio::test]
async fn what_has_not_gone_out_is_known_when_the_connection_breaks() {
    let question = echo("1234567890");
    let (pipe, mut far, _) = pipe(question.bytes().len() + 3);
    let broken = async {
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).await.unwrap();
        turns(10).await;
        far.write_all(b"+first\r\n").await.unwrap();
        drop(far);
    };
    let ask = || pipe.ask(&question, None);
    let (a, b, c, ()) = tokio::join!(ask(), ask(), ask(), broken);
    assert_eq!(a, Ok(vec![Value::Word("first".into())]));
    let why = || "connection lost before the answer came".to_owned();
    assert_eq!(b, Err(Gap::Lost(why())), "a part of it");
    assert_eq!(c, Err(Gap::Unsent(why())));
    assert!(pipe.is_broken());
    assert_eq!(ask().await, Err(Gap::Unsent(why())));
}

#[tokio::test]
async fn an_end_is_seen_before_anything_is_asked() {
    let (pipe, far, writes) = pipe(64);
    assert!(!pipe.is_broken());
    drop(far);
    assert!(pipe.is_broken());
    assert_eq!(writes.get(), 0);
}

#[tokio::test]
async fn what_makes_no_sense_ends_the_connection() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"+a\r\n+b\r\n"] {
        let (pipe, mut far, _) = pipe(64);
        far.write_all(bytes).await.unwrap();
        let ends = pipe.ask(&echo("x"), None).await;
        assert_eq!(ends.is_ok(), bytes.starts_with(b"+a"), "{ends:?}");
        assert!(pipe.is_broken());
        let Err(Gap::Unsent(why)) = pipe.ask(&echo("x"), None).await else {
            panic!("it is broken");
        };
        assert!(why.starts_with("the answer makes no sense"), "{why}");
    }
}
