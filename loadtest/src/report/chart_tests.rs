use super::*;

fn chart(scale: Scale, lines: Vec<Line>) -> Chart {
    Chart { title: "Rate <1>".into(), unit: "requests & more/s".into(), scale, seconds: 10.0, lines }
}

fn line(points: Vec<(f64, f64)>) -> Line {
    Line { name: "a<b".into(), points }
}

/// The points of each polyline.
fn drawn(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let point = |text: &str| {
        let (x, y) = text.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    svg.split(r#"<polyline points=""#)
        .skip(1)
        .map(|piece| piece.split('"').next().unwrap().split(' ').map(point).collect())
        .collect()
}

#[test]
fn a_known_series_has_its_points_and_its_extremes() {
    let points = (0..=10).map(|at| (f64::from(at), f64::from(at) * 100.0)).collect();
    let pieces = drawn(&chart(Scale::Linear, vec![line(points)]).svg());
    assert_eq!((pieces.len(), pieces[0].len()), (1, 11));
    // From 0 to 1000: the first point is in the lower left corner of the plot, the last one in the upper right.
    assert_eq!(pieces[0][0], (LEFT, HEIGHT - BOTTOM));
    assert_eq!(pieces[0][10], (WIDTH - RIGHT, TOP));
    assert!(pieces[0].windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
}

#[test]
fn decades_are_equally_far_apart_on_a_log_axis_and_zero_is_a_gap() {
    let points = vec![(0.0, 1.0), (1.0, 10.0), (2.0, 100.0), (3.0, 0.0), (4.0, 100.0)];
    let svg = chart(Scale::Log, vec![line(points)]).svg();
    let pieces = drawn(&svg);
    assert_eq!((pieces.len(), pieces[0].len()), (1, 3));
    let heights: Vec<f64> = pieces[0].iter().map(|(_, y)| *y).collect();
    assert!(((heights[0] - heights[1]) - (heights[1] - heights[2])).abs() < 0.11, "{heights:?}");
    assert_eq!(svg.matches("<circle").count(), 1, "a point between gaps is a dot");
}

#[test]
fn axes_have_units_and_texts_are_escaped() {
    let lines = (0..9).map(|_| line(vec![(0.0, 0.5), (10.0, 0.25)])).collect();
    let svg = chart(Scale::Linear, lines).svg();
    for part in [
        "<figcaption>Rate &lt;1&gt;</figcaption>",
        ">requests &amp; more/s</text>",
        ">seconds</text>",
        ">0.4</text>",
        "<title>a&lt;b</title>",
        r#"<li><i class="s7"></i>a&lt;b</li>"#,
        r#"<g class="s0 dashed">"#,
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    assert!(!svg.contains("a<b") && !svg.contains("NaN"));
}

#[test]
fn a_long_line_is_thinned_and_keeps_its_extremes() {
    let mut points: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at), f64::from(at % 7))).collect();
    points[54_321].1 = 1e6;
    points[65_432].1 = -1e6;
    let kept = thin(&points, 1200);
    assert!(kept.len() <= 1200 && kept.is_sorted_by(|one, two| one.0 < two.0), "{}", kept.len());
    assert!(kept.contains(&(54_321.0, 1e6)) && kept.contains(&(65_432.0, -1e6)));
    assert_eq!(thin(&points[..1200], 1200).len(), 1200);
    let gaps = vec![(0.0, f64::NAN); 5000];
    assert!(thin(&gaps, 1200).iter().all(|(_, value)| value.is_nan()));
}

#[test]
fn nothing_to_draw_is_still_a_chart() {
    let empty = chart(Scale::Log, vec![line(vec![(1.0, 0.0)])]);
    assert!(empty.is_empty() && drawn(&empty.svg()).is_empty());
    assert!(!chart(Scale::Log, vec![line(vec![(1.0, 2.0)])]).is_empty());
}
