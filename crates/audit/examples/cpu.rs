#![allow(missing_docs, clippy::all, clippy::pedantic)]
use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::Secret;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
#[path = "../benches/record/event.rs"]
mod event;
fn cpu() -> Vec<(String, f64)> {
    let mut out = std::collections::BTreeMap::<String, f64>::new();
    for t in std::fs::read_dir("/proc/self/task").unwrap() {
        let t = t.unwrap().path();
        let name = std::fs::read_to_string(t.join("comm"))
            .unwrap_or_default()
            .trim()
            .to_string();
        let s = std::fs::read_to_string(t.join("schedstat")).unwrap_or_default();
        let ns: f64 = s
            .split(' ')
            .next()
            .and_then(|v| v.parse().ok())
            .unwrap_or(0.0);
        *out.entry(name).or_default() += ns;
    }
    out.into_iter().collect()
}
fn main() {
    let dir = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or("/dev/shm".into())).unwrap();
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    let signer = NoteSigner::new(
        "example.org/node-1",
        Ed25519Key::from_seed(&Secret::new([7; 32])).unwrap(),
    )
    .unwrap();
    let log = Arc::new(
        Log::open(Options::new(
            Path::new(dir.path()).join("log"),
            "node-1".into(),
            signer,
            kek,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        ))
        .unwrap(),
    );
    let rt = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let template = event::Template::new().unwrap();
    let mut least = Duration::MAX;
    for _ in 0..300 {
        let n = 200;
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(template.event());
        }
        least = least.min(t.elapsed() / n);
    }
    println!("event {least:?}");
    let mut least = Duration::MAX;
    for _ in 0..100 {
        let n = 100;
        let t = Instant::now();
        let mut v = Vec::new();
        for _ in 0..n {
            v.push(log.record(template.event(), Class::Grant));
        }
        least = least.min(t.elapsed() / n);
        for r in v {
            rt.block_on(r).unwrap();
        }
    }
    println!("record call {least:?}");
    for _ in 0..4 {
        let before = cpu();
        let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let t = Instant::now();
        let count: u64 = rt.block_on(async {
            let ws: Vec<_> = (0..256)
                .map(|_| {
                    let (log, template, over) = (log.clone(), template.clone(), over.clone());
                    tokio::spawn(async move {
                        let mut n = 0u64;
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            log.record(template.event(), Class::Grant).await.unwrap();
                            n += 1;
                        }
                        n
                    })
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(1500)).await;
            over.store(true, std::sync::atomic::Ordering::Relaxed);
            let mut n = 0;
            for w in ws {
                n += w.await.unwrap();
            }
            n
        });
        let e = t.elapsed();
        let after = cpu();
        print!("{:.0}/s ", count as f64 / e.as_secs_f64());
        for (name, ns) in after {
            let b = before
                .iter()
                .find(|(n, _)| *n == name)
                .map_or(0.0, |(_, v)| *v);
            print!(" {name} {:.2}", (ns - b) / 1000.0 / count as f64);
        }
        println!();
        let size = log.size();
        rt.block_on(async {
            log.published().wait_for(|p| *p >= size).await.unwrap();
        });
    }
}
