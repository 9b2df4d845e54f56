//! Prints on scans that are rendered here: at angles, touching, with white borders on a white lid, on a dark one.

use crate::imaging::{Channels, Image, Print, Samples, find_prints};

/// The scans are thought of as 900 x 1200 and rendered smaller, which is faster.
const SCALE: f64 = 0.7;

/// A print that lies on the scanner.
#[derive(Clone, Copy)]
struct Laid {
    centre: (f64, f64),
    width: f64,
    height: f64,
    /// Degrees clockwise.
    angle: f64,
    /// Width of its white border in pixels.
    border: f64,
    /// Which picture it shows.
    motif: u32,
}

impl Laid {
    fn new(x: f64, y: f64, width: f64, height: f64, angle: f64) -> Self {
        let motif = (x * 7.0 + y) as u32;
        let (width, height) = (width * SCALE, height * SCALE);
        Self { centre: (x * SCALE, y * SCALE), width, height, angle, border: 0.0, motif }
    }

    fn with_border(self, border: f64) -> Self {
        Self { border: border * SCALE, ..self }
    }

    /// A point from its own top left corner.
    fn own(&self, x: f64, y: f64) -> (f64, f64) {
        let (sine, cosine) = self.angle.to_radians().sin_cos();
        let (x, y) = (x - self.centre.0, y - self.centre.1);
        (x * cosine + y * sine + self.width / 2.0, y * cosine - x * sine + self.height / 2.0)
    }

    fn corners(&self) -> [(f64, f64); 4] {
        let (sine, cosine) = self.angle.to_radians().sin_cos();
        [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)].map(|(u, v)| {
            let (u, v) = (u * self.width / 2.0, v * self.height / 2.0);
            (self.centre.0 + u * cosine - v * sine, self.centre.1 + u * sine + v * cosine)
        })
    }

    /// Sky, hills, a sun and a house, never one tone along an edge.
    fn colour(&self, u: f64, v: f64) -> [f64; 3] {
        let inner = u.min(v).min(self.width - u).min(self.height - v);
        if inner < self.border {
            return [243.0, 242.0, 238.0];
        }
        let (s, t) = (u / self.width, v / self.height);
        let seed = f64::from(self.motif % 97) / 97.0;
        let hill = 0.5 + 0.15 * (s * 7.0 + seed * 6.0).sin() + 0.05 * (s * 31.0).sin();
        let texture = 9.0 * ((u * 0.9 + seed * 50.0).sin() * (v * 1.1).cos());
        if (s - 0.2 - 0.5 * seed).hypot(t - 0.25) < 0.09 {
            [236.0, 214.0, 160.0]
        } else if t < hill {
            [60.0 + 60.0 * t + texture, 88.0 + 70.0 * t + texture, 130.0 + 50.0 * s + texture]
        } else if (s - 0.7).abs() < 0.12 && t < hill + 0.25 {
            [150.0 + texture, 90.0 - 40.0 * seed, 70.0]
        } else {
            [50.0 + 40.0 * s + texture, 70.0 + 30.0 * seed + texture, 30.0 + texture]
        }
    }
}

struct Scan {
    width: usize,
    height: usize,
    lid: [f64; 3],
    /// How much darker the lid is at the right.
    uneven: f64,
    shadow: f64,
    prints: Vec<Laid>,
}

impl Scan {
    fn new(prints: Vec<Laid>) -> Self {
        Self { width: 630, height: 840, lid: [246.0, 247.0, 248.0], uneven: 3.0, shadow: 22.0, prints }
    }

    fn colour(&self, x: f64, y: f64) -> [f64; 3] {
        let on = |print: &&Laid| {
            let (u, v) = print.own(x, y);
            (0.0..print.width).contains(&u) && (0.0..print.height).contains(&v)
        };
        if let Some(print) = self.prints.iter().find(on) {
            let (u, v) = print.own(x, y);
            return print.colour(u, v);
        }
        let shade = self.prints.iter().map(|print| {
            let (u, v) = print.own(x, y);
            let across = if u < 0.0 { -u * 3.0 } else { u - print.width };
            let down = if v < 0.0 { -v * 3.0 } else { v - print.height };
            let away = across.max(0.0).hypot(down.max(0.0));
            self.shadow * (-away / 3.0).exp()
        });
        let shade = shade.fold(0.0, f64::max) + self.uneven * x / self.width as f64;
        self.lid.map(|value| value - shade.min(value))
    }

    fn image(&self) -> Image {
        let mut seed = 5u64;
        let mut dice = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let mut samples = Vec::with_capacity(self.width * self.height * 3);
        for y in 0..self.height {
            for x in 0..self.width {
                let mut sum = [0.0; 3];
                for (u, v) in [(0.25, 0.25), (0.75, 0.75)] {
                    let colour = self.colour(x as f64 + u, y as f64 + v);
                    for (sum, value) in sum.iter_mut().zip(colour) {
                        *sum += value / 2.0;
                    }
                }
                samples.extend(sum.map(|value| (value + 4.0 * dice() + 0.5) as u8));
            }
        }
        let (width, height) = (self.width as u32, self.height as u32);
        Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples) }
    }

    /// Finds the prints and holds them against where they were laid.
    fn check(&self, name: &str, within: f64, degrees: f64) {
        let found = find_prints(&self.image());
        let list: Vec<String> = found
            .iter()
            .map(|p| {
                format!(
                    "{:.1}x{:.1} at {:.2} sure {:.2} {:.1?}",
                    p.width, p.height, p.angle, p.confidence, p.corners
                )
            })
            .collect();
        assert_eq!(found.len(), self.prints.len(), "{name}: {list:#?}");
        for laid in &self.prints {
            let worst = |print: &Print| {
                let pairs = print.corners.iter().zip(laid.corners());
                pairs.map(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1)).fold(0.0, f64::max)
            };
            let best = found.iter().min_by(|a, b| worst(a).total_cmp(&worst(b))).unwrap();
            assert!(
                worst(best) <= within,
                "{name}: off by {:.2}: {:?} {list:#?}",
                worst(best),
                laid.corners()
            );
            assert!((best.angle - laid.angle).abs() <= degrees, "{name}: {} for {}", best.angle, laid.angle);
        }
    }
}

fn four() -> Vec<Laid> {
    vec![
        Laid::new(240.0, 260.0, 330.0, 230.0, 3.2),
        Laid::new(650.0, 250.0, 240.0, 340.0, -7.5),
        Laid::new(250.0, 760.0, 260.0, 380.0, 21.0),
        Laid::new(650.0, 850.0, 360.0, 250.0, -1.3),
    ]
}

#[test]
fn prints_at_angles_are_found_to_a_tenth_of_a_degree() {
    Scan::new(four()).check("white lid", 2.5, 0.1);
    let bordered = four().into_iter().map(|print| print.with_border(14.0)).collect();
    Scan::new(bordered).check("white borders, white lid, shadows", 4.0, 0.1);
    Scan { lid: [22.0, 22.0, 24.0], shadow: 8.0, ..Scan::new(four()) }.check("dark lid", 2.5, 0.1);
    Scan { lid: [128.0, 127.0, 125.0], ..Scan::new(four()) }.check("grey lid", 2.5, 0.1);
}

#[test]
fn a_single_print_is_straightened_and_one_in_the_corner_is_found() {
    for angle in [0.4, -2.3, 44.0, -44.0] {
        Scan::new(vec![Laid::new(460.0, 580.0, 520.0, 380.0, angle)]).check(&format!("{angle}"), 2.5, 0.1);
    }
    Scan::new(vec![Laid::new(300.0, 200.0, 600.0, 400.0, 0.0)]).check("in the corner", 3.0, 0.1);
}

#[test]
fn prints_that_touch_are_taken_apart() {
    let side_by_side = |angle: f64, border: f64, second: f64| {
        let (sine, cosine) = angle.to_radians().sin_cos();
        let first = Laid::new(230.0, 500.0, 320.0, 420.0, angle).with_border(border);
        let away = (first.width / SCALE + second) / 2.0;
        let motif = first.motif + 31;
        let next =
            Laid::new(230.0 + away * cosine, 500.0 + away * sine, second, 420.0, angle).with_border(border);
        vec![first, Laid { motif, ..next }]
    };
    Scan::new(side_by_side(0.0, 12.0, 280.0)).check("borders", 5.0, 0.15);
    Scan::new(side_by_side(2.1, 12.0, 320.0)).check("borders at an angle", 5.0, 0.15);
    Scan::new(side_by_side(1.0, 0.0, 320.0)).check("without borders, of one size", 5.0, 0.15);
    // Of different lengths.
    let longer = vec![
        Laid::new(250.0, 400.0, 300.0, 420.0, 1.5),
        Laid { motif: 40, ..Laid::new(545.0, 340.0, 290.0, 290.0, 1.5) },
    ];
    Scan::new(longer).check("different lengths", 5.0, 0.15);
    // At different angles, a corner against a side.
    let corner =
        vec![Laid::new(250.0, 400.0, 300.0, 420.0, 0.0), Laid::new(596.0, 420.0, 300.0, 300.0, 15.0)];
    Scan::new(corner).check("a corner against a side", 5.0, 0.2);
}

#[test]
fn where_there_are_no_prints_none_are_told_of() {
    assert_eq!(find_prints(&Scan::new(Vec::new()).image()), []);
    // A photograph that fills the picture, sky and all.
    let photograph = Laid::new(450.0, 600.0, 940.0, 1240.0, 0.0);
    assert_eq!(find_prints(&Scan::new(vec![photograph]).image()), []);
    // Dust and a hair.
    let dust = vec![Laid::new(200.0, 300.0, 12.0, 9.0, 0.0), Laid::new(500.0, 700.0, 3.0, 300.0, 20.0)];
    assert_eq!(find_prints(&Scan::new(dust).image()), []);
    let tiny = Image { width: 3, height: 2, channels: Channels::Gray, samples: Samples::U8(vec![9; 6]) };
    assert_eq!(find_prints(&tiny), []);
    let black = Image {
        width: 90,
        height: 70,
        channels: Channels::GrayAlpha,
        samples: Samples::U16(vec![0; 90 * 70 * 2]),
    };
    assert_eq!(find_prints(&black), []);
}

#[test]
fn a_sea_with_a_straight_horizon_stays_one_picture() {
    // A seascape: the horizon runs from side to side at two fifths.
    let scan = Scan::new(vec![Laid::new(450.0, 600.0, 600.0, 400.0, 0.7)]);
    let Image { width, height, channels, samples: Samples::U8(mut samples) } = scan.image() else {
        panic!("8 bits")
    };
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (u, v) = scan.prints[0].own(x as f64 + 0.5, y as f64 + 0.5);
            if (1.0..419.0).contains(&u) && (1.0..279.0).contains(&v) {
                let colour = if v < 112.0 { [190, 205, 220] } else { [60, 90, 110] };
                samples[(y * width as usize + x) * 3..][..3].copy_from_slice(&colour);
            }
        }
    }
    let found = find_prints(&Image { width, height, channels, samples: Samples::U8(samples) });
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!((found[0].angle - 0.7).abs() < 0.1, "{found:?}");
}
