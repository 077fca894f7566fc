//! The page as a scraper sees it.

use std::sync::Arc;

use super::names::{self, LATENCY_BOUNDS_MS, SIZE_BOUNDS_BYTES, latency_bounds};
use super::{Description, Registry, render_page};

const PATHS: Description = Description {
    name: "test_paths",
    help: "Paths.",
    labels: &["app_id", "path", "code"],
};

fn page(registry: &Registry) -> String {
    let mut out = String::new();
    registry.render(&mut out);
    out
}

fn samples(registry: &Registry) -> Vec<String> {
    page(registry)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_is_the_golden_one() {
    let registry = Registry::new();
    let requests = names::HTTP_SERVER_REQUEST_COUNT.counters(&registry);
    requests
        .with(&["nodeapp", "POST", "/v1.0/invoke/b/method/x", "200"])
        .add(2);
    requests
        .with(&["nodeapp", "GET", "/say \"hi\"\\", "404"])
        .inc();
    let bounds: Arc<[f64]> = [1.0, 5.0, 1_048_576.0].into();
    let latency = registry.histograms("dapr_latency", "One \\ two\nthree.", &["z", "a"], bounds);
    let series = latency.with(&["last", "first"]);
    for value in [0.0, 0.5, 1.0, 4.9, 5.0, 2e6] {
        series.observe(value);
    }
    let unlabelled = registry.histograms("dapr_bare", "Bare.", &[], [2.5].into());
    unlabelled.with(&[]).observe(-1.0);
    registry
        .gauges("dapr_state", "State.", &["status"])
        .with(&["open"])
        .set(0.0);
    assert_eq!(page(&registry), include_str!("golden.txt"));
}

#[test]
fn nothing_shows_before_its_first_recording() {
    let registry = Registry::new();
    let counters = registry.counters("a", "A.", &["l"]);
    let gauges = registry.gauges("b", "B.", &["l"]);
    let histograms = registry.histograms("c", "C.", &["l"], latency_bounds(&[]));
    let (counter, gauge, histogram) = (
        counters.with(&["x"]),
        gauges.with(&["x"]),
        histograms.with(&["x"]),
    );
    histogram.observe(f64::NAN);
    assert_eq!(page(&registry), "");
    counter.inc();
    assert_eq!(
        page(&registry),
        "# HELP a A.\n# TYPE a counter\na{l=\"x\"} 1\n"
    );
    gauge.add(-1.5);
    histogram.observe(1.0);
    assert!(page(&registry).contains("b{l=\"x\"} -1.5\n"));
    assert!(page(&registry).contains("c_count{l=\"x\"} 1\n"));
}

#[test]
fn the_same_labels_are_the_same_series() {
    let registry = Registry::new();
    let one = PATHS.counters(&registry).with(&["a", "/x", "200"]);
    let other = PATHS.counters(&registry.clone()).with(&["a", "/x", "200"]);
    assert!(Arc::ptr_eq(&one, &other));
    let third = PATHS.counters(&registry).with(&["a", "/y", "200"]);
    assert!(!Arc::ptr_eq(&one, &third));
}

#[test]
fn a_family_of_another_shape_begins_anew() {
    let registry = Registry::new();
    let old = PATHS.histograms(&registry, latency_bounds(&[1]));
    old.with(&["a", "/x", "200"]).observe(1.0);
    let new = PATHS.histograms(&registry, latency_bounds(&[2]));
    assert_eq!(page(&registry), "");
    new.with(&["a", "/x", "200"]).observe(1.0);
    assert_eq!(samples(&registry).len(), 4);
    let counters = PATHS.counters(&registry);
    counters.with(&["a", "/x", "200"]).inc();
    assert_eq!(samples(&registry).len(), 1);
}

#[test]
fn values_unfit_for_the_page_are_made_fit() {
    let registry = Registry::new();
    let family = registry.counters("c", "C.", &["path"]);
    family.with(&["/größe\n\t\u{7f}"]).inc();
    family.with(&["x".repeat(300).as_str()]).inc();
    // Two values with the same face are one series.
    family.with(&["/gr____e___"]).inc();
    assert_eq!(
        samples(&registry),
        [
            "c{path=\"/gr____e___\"} 2".to_owned(),
            format!("c{{path=\"{}\"}} 1", "x".repeat(255)),
        ]
    );
}

#[test]
fn a_full_family_gives_up_paths_then_everything_but_the_app() {
    let registry = Registry::with_cap(3);
    let family = PATHS.counters(&registry);
    for path in ["/1", "/2", "/3", "/4", "/5", "/1"] {
        family.with(&["app", path, "200"]).inc();
    }
    assert_eq!(
        samples(&registry),
        [
            r#"test_paths{app_id="app",code="200",path=""} 2"#,
            r#"test_paths{app_id="app",code="200",path="/1"} 2"#,
            r#"test_paths{app_id="app",code="200",path="/2"} 1"#,
            r#"test_paths{app_id="app",code="200",path="/3"} 1"#,
        ]
    );
    for code in 0..1000 {
        family.with(&["app", "/6", &code.to_string()]).inc();
    }
    family.with(&["other", "/6", "500"]).inc();
    family.with(&["third", "/6", "500"]).inc();
    let samples = samples(&registry);
    assert_eq!(samples.len(), 8);
    assert!(
        samples.contains(&r#"test_paths{app_id="",code="",path=""} 2"#.to_owned()),
        "{samples:?}"
    );
    assert!(
        samples.contains(&r#"test_paths{app_id="app",code="",path=""} 997"#.to_owned()),
        "{samples:?}"
    );
}

#[test]
fn threads_lose_no_recording() {
    let registry = Registry::new();
    let counters = PATHS.counters(&registry);
    let gauges = registry.gauges("g", "G.", &[]);
    let histograms = registry.histograms("h", "H.", &[], latency_bounds(&[10, 100]));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for n in 0..5000_u32 {
                    counters.with(&["a", "/x", "200"]).inc();
                    gauges.with(&[]).add(0.5);
                    histograms.with(&[]).observe(f64::from(n % 200));
                }
            });
        }
    });
    let histogram = histograms.with(&[]);
    assert_eq!(counters.with(&["a", "/x", "200"]).value(), 20_000);
    assert_eq!(gauges.with(&[]).value(), Some(10_000.0));
    assert_eq!(histogram.count(), 20_000);
    assert_eq!(histogram.sum(), 1_990_000.0);
    assert!(page(&registry).contains("h_bucket{le=\"100\"} 10000\n"));
}

#[test]
fn bounds_print_as_go_prints_them() {
    let registry = Registry::new();
    let sizes = registry.histograms("s", "S.", &[], SIZE_BOUNDS_BYTES.into());
    sizes.with(&[]).observe(0.0);
    let le: Vec<String> = samples(&registry)
        .iter()
        .filter_map(|line| Some(line.split('"').nth(1)?.to_owned()))
        .collect();
    let want = "1024 2048 4096 16384 65536 262144 1.048576e+06 4.194304e+06 1.6777216e+07 \
                6.7108864e+07 2.68435456e+08 1.073741824e+09 4.294967296e+09 +Inf";
    assert_eq!(le.join(" "), want);
}

#[test]
fn latency_bounds_follow_the_setting() {
    assert_eq!(&*latency_bounds(&[]), LATENCY_BOUNDS_MS);
    assert_eq!(&*latency_bounds(&[0, 0]), LATENCY_BOUNDS_MS);
    assert_eq!(&*latency_bounds(&[500, 0, 5, 50, 5]), [5.0, 50.0, 500.0]);
    assert!(LATENCY_BOUNDS_MS.is_sorted() && SIZE_BOUNDS_BYTES.is_sorted());
    assert_eq!((LATENCY_BOUNDS_MS.len(), SIZE_BOUNDS_BYTES.len()), (34, 13));
}

#[test]
fn the_whole_page_ends_with_the_process() {
    let registry = Registry::new();
    PATHS.counters(&registry).with(&["a", "/x", "200"]).inc();
    let mut out = String::new();
    render_page(&registry, &mut out);
    assert!(out.starts_with(&page(&registry)));
    assert!(out.ends_with('\n'));
}
