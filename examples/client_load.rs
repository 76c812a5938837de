//! A small load: so many users write to a room each, and each message is waited for until it is on the server's disk.
//!
//! Run: `cargo run --release --example client_load -- ws://127.0.0.1:8080/ws 20 50`. The server's rates hold: with the
//! defaults a connection may send ten requests a second.

use parlor::client::Client;
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let [url, users, messages] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("client_load URL USERS MESSAGES".into());
    };
    let (users, messages): (usize, usize) = (users.parse()?, messages.parse()?);
    let users = (0..users).map(|number| {
        Client::builder(&format!("{url}?user=load-{number}")).start().map_err(Into::into)
    });
    let users: Vec<Client> = users.collect::<Result<_, Box<dyn Error>>>()?;
    for user in &users {
        user.wait_online(Duration::from_secs(30))
            .map_err(|state| format!("not online: {state:?}"))?;
    }
    let begun = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|scope| {
        let work = |(number, user): (usize, &Client)| -> Option<Vec<Duration>> {
            let room = user.room(&format!("load-{number}"));
            room.join().wait().ok()?;
            let send = |n| {
                let begun = Instant::now();
                room.send(&format!("message {n}")).wait().ok().map(|_| begun.elapsed())
            };
            (0..messages).map(send).collect()
        };
        let threads: Vec<_> =
            users.iter().enumerate().map(|one| scope.spawn(move || work(one))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).flatten().collect()
    });
    took.sort_unstable();
    let all = users.len() * messages;
    println!("{} of {all} messages stored in {:.1} s", took.len(), begun.elapsed().as_secs_f64());
    for (name, share) in [("half", 0.5), ("99 %", 0.99), ("all", 1.0)] {
        let place = (took.len() as f64 * share).ceil() as usize;
        println!("{name} within {:?}", took.get(place.saturating_sub(1)).ok_or("none was stored")?);
    }
    if took.len() == all { Ok(()) } else { Err("some were refused".into()) }
}
