//! A network that cuts connections wherever it likes: what is told must be what has been done.

use std::cell::{Cell, RefCell};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinSet, LocalSet},
};

use super::*;

/// Small numbers that look like chance.
fn next(seed: &Cell<u32>) -> usize {
    let number = seed
        .get()
        .wrapping_mul(1_664_525)
        .wrapping_add(1_013_904_223);
    seed.set(number);
    (number >> 16) as usize
}

/// Carries connections to `port`, each for so many bytes in each direction as chance has it.
async fn carry(listener: TcpListener, port: u16, seed: Rc<Cell<u32>>, cuts: Rc<Cell<u32>>) {
    let mut tasks = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (there, back) = (200 + next(&seed) % 9000, 100 + next(&seed) % 900);
        let cuts = Rc::clone(&cuts);
        tasks.spawn_local(async move {
            let (mut near_read, mut near_write) = near.into_split();
            let (mut far_read, mut far_write) = far.into_split();
            tokio::select! {
                () = pass(&mut near_read, &mut far_write, there) => {}
                () = pass(&mut far_read, &mut near_write, back) => {}
            }
            cuts.set(cuts.get() + 1);
        });
    }
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut left: usize,
) {
    let mut buffer = [0; 512];
    while left > 0 {
        let most = left.min(buffer.len());
        let Ok(n @ 1..) = from.read(&mut buffer[..most]).await else {
            return;
        };
        left -= n;
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn what_is_told_has_been_done_and_nothing_is_done_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (seed, cuts) = (Rc::new(Cell::new(7)), Rc::default());
    let local = LocalSet::new();
    local.spawn_local(carry(listener, server.port(), seed, Rc::clone(&cuts)));
    let work = async {
        let items = [
            ("redisHost", host.as_str()),
            ("redisMinRetryInterval", "1ms"),
            ("redisMaxRetryInterval", "4ms"),
            ("redisMaxRetries", "20"),
        ];
        let items = items.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let store = Redis::open(&Properties::try_new(items).unwrap()).await;
        let s = store.unwrap().session();
        let told = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for writer in 0..12 {
            let (s, told) = (Rc::clone(&s), Rc::clone(&told));
            tasks.spawn_local(async move {
                let key = format!("k{writer}");
                let (mut done, mut unknown) = (0, 0);
                for number in 0..100 {
                    match s.set(set(&key, &number.to_string())).await {
                        Ok(()) => done += 1,
                        Err(error) => {
                            let text = error.to_string();
                            unknown += u32::from(text.contains("may have been written"));
                        }
                    }
                }
                told.borrow_mut().push((key, done, unknown));
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let told = told.take();
        for (key, done, unknown) in told.iter() {
            let version = server.say(&["HGET", key, "version"]).await;
            let version: u32 = version.parse().unwrap();
            let range = *done..=done + unknown;
            assert!(range.contains(&version), "{key}: {version} of {range:?}");
        }
        let done: u32 = told.iter().map(|(_, done, _)| done).sum();
        assert!(done > 500, "most goes well: {done}");
        assert!(cuts.get() > 10, "{}", cuts.get());
    };
    local.run_until(work).await;
}
