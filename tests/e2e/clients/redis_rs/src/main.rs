// SPDX-License-Identifier: Apache-2.0
//
// What every client must get right, by redis-rs: the scenario of scenario.js.
//
//     redis_rs plain|cluster PORT,PORT,PORT
use redis::{cluster::ClusterClient, Client, Commands, ConnectionLike, RedisResult, Value};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(20); // that one operation may need while a node is dead
const SOME: usize = 1000; // keys of a pipeline

fn values<C: ConnectionLike>(one: &mut C, two: &mut C) {
    assert_eq!(one.get::<_, Option<String>>("rs:none"), Ok(None));
    assert_eq!(one.set("rs:a", 1), Ok(Value::Okay));
    assert_eq!(two.get("rs:a"), Ok("1".to_string()));
    assert_eq!(one.del("rs:a"), Ok(1));
    assert_eq!(two.del("rs:a"), Ok(0));
    let pairs = [("{m}:1", "one"), ("{m}:2", "zwei"), ("{m}:3", "")];
    assert_eq!(one.mset(&pairs), Ok(Value::Okay));
    let names = ["{m}:1", "{m}:2", "{m}:3", "{m}:none"];
    let wanted = [Some("one"), Some("zwei"), Some(""), None].map(|v| v.map(String::from));
    assert_eq!(two.mget(&names), Ok(wanted.to_vec()));
    let bytes: Vec<u8> = (0..4096).map(|i| (i * 7) as u8).collect();
    assert_eq!(one.set(&bytes[..256], &bytes), Ok(Value::Okay));
    assert_eq!(two.get(&bytes[..256]), Ok(bytes.clone()));
    let large = bytes.repeat(256);
    assert_eq!(one.set("rs:large", &large), Ok(Value::Okay));
    assert_eq!(two.get("rs:large"), Ok(large));
}

fn expiry<C: ConnectionLike>(one: &mut C, two: &mut C) {
    assert_eq!(one.set_ex("rs:brief", "x", 100), Ok(Value::Okay));
    let left: i64 = two.ttl("rs:brief").unwrap();
    assert!(left > 90 && left <= 100, "ttl {left}");
    assert_eq!(two.pexpire("rs:brief", 30), Ok(true));
    let end = Instant::now() + Duration::from_secs(5);
    while one.get::<_, Option<String>>("rs:brief").unwrap().is_some() {
        assert!(Instant::now() < end, "it never expires");
    }
    assert_eq!(one.expire("rs:brief", 100), Ok(false));
}

fn pipelines<C: ConnectionLike>(one: &mut C, two: &mut C, is_cluster: bool) {
    let names: BTreeSet<String> = (0..SOME).map(|i| format!("rs:p:{i:03}")).collect();
    // A cluster's pipeline is another type in this crate: there the keys come one by one.
    if is_cluster {
        for name in &names {
            assert_eq!(one.set(name, name), Ok(Value::Okay));
        }
    } else {
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.set(name, name);
        }
        assert_eq!(pipe.query(one), Ok(vec![Value::Okay; SOME]));
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.get(name);
        }
        assert_eq!(pipe.query(two), Ok(names.iter().cloned().collect::<Vec<_>>()));
        let found: BTreeSet<String> = two.scan_match("rs:p:*").unwrap().collect();
        assert_eq!(found, names);
    }
    for name in &names {
        assert_eq!(two.get(name), Ok(name.clone()));
    }
}

fn refusals<C: ConnectionLike>(one: &mut C) {
    let refused: RedisResult<Value> = redis::cmd("GET").arg("rs:a").arg("b").query(one);
    assert!(refused.unwrap_err().to_string().contains("wrong number of arguments"));
    assert_eq!(one.get::<_, Option<String>>("rs:none"), Ok(None)); // and the connection goes on
}

// Writes that were in flight when a node died may fail, and are done again. What was acknowledged
// must be read.
fn trouble<C: ConnectionLike>(one: &mut C) {
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = is_over.clone();
    spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        seen.store(true, Ordering::SeqCst);
    });
    println!("running");
    let mut left = 300;
    let mut i = 0;
    while left > 0 {
        let name = format!("rs:t:{}", i % 100);
        let begin = Instant::now();
        let written: RedisResult<Value> = one.set(&name, i);
        let read: RedisResult<i64> = written.and_then(|_| one.get(&name));
        assert!(begin.elapsed() < TIMEOUT, "no answer to SET");
        match read {
            Ok(value) => {
                assert_eq!(value, i);
                left -= is_over.load(Ordering::SeqCst) as i32;
            }
            Err(error) => {
                println!("failed {error}");
                sleep(Duration::from_millis(20));
            }
        }
        i += 1;
    }
}

fn run<C: ConnectionLike>(mut one: C, mut two: C, is_cluster: bool) {
    values(&mut one, &mut two);
    expiry(&mut one, &mut two);
    pipelines(&mut one, &mut two, is_cluster);
    refusals(&mut one);
    trouble(&mut one);
    println!("done");
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let urls: Vec<String> = words[2]
        .split(',')
        .map(|port| format!("redis://127.0.0.1:{port}/?protocol=resp3"))
        .collect();
    if words[1] == "cluster" {
        let connect = |url: &str| {
            let client = ClusterClient::builder([url]).retries(30).build().unwrap();
            client.get_connection().unwrap()
        };
        run(connect(&urls[0]), connect(&urls[1]), true);
    } else {
        let connect = |url: &str| Client::open(url).unwrap().get_connection().unwrap();
        run(connect(&urls[0]), connect(&urls[1]), false);
    }
}
