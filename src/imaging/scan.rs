//! Several prints on one flatbed scan: where each lies, how it is turned, and how sure that is.
//!
//! The lid is what most of the rim shows; what differs from it are prints. A piece that is no rectangle is taken apart
//! where it is narrow, where lid shows between, where its parts are of different lengths, along a strip of the paper's
//! own border, and last, only between parts of one size, along a straight edge. Edges are found again in each print to a
//! fraction of a pixel, and their common direction is its angle; the smallest rectangle around a piece only begins that,
//! because it is ambiguous by quarter turns and led astray by shadows.

mod outline;
mod parts;
mod pieces;
mod sides;
mod view;

use super::pixels::Image;
use outline::{centre, is_inside};
use parts::take_apart;
use view::View;

/// The most prints that are told of.
pub const PRINTS_MAX: usize = 64;

/// A point in pixels, counted from the outer corner of the first one.
pub type Point = (f64, f64);

/// A print on a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Print {
    /// Its corners, clockwise from that which is at the top left when it lies straight.
    pub corners: [Point; 4],
    /// How far it is turned clockwise, in degrees, -45 to 45.
    pub angle: f64,
    /// In pixels, along its top.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    /// How sure it is that this is one whole print, 0 to 1.
    pub confidence: f64,
}

/// Finds the prints on a scan, in the order in which one reads; none where no lid can be told from what lies on it.
pub fn find_prints(image: &Image) -> Vec<Print> {
    let view = View::of(image);
    let Some(mask) = view.mask() else { return Vec::new() };
    let mut frames = Vec::new();
    for piece in mask.pieces(&view) {
        take_apart(&view, &mask, &piece, &mut frames);
    }
    let mut prints: Vec<Print> = frames.iter().filter_map(|frame| view.print(&mask, frame)).collect();
    drop_inner(&mut prints);
    in_reading_order(&mut prints);
    prints.truncate(PRINTS_MAX);
    prints
}

/// Removes what was found inside another print.
fn drop_inner(prints: &mut Vec<Print>) {
    let all = prints.clone();
    let mut index = 0;
    prints.retain(|print| {
        let middle = centre(&print.corners);
        let own = print.width * print.height;
        let inner = all.iter().enumerate().any(|(other, outer)| {
            other != index && outer.width * outer.height > own && is_inside(&outer.corners, middle)
        });
        index += 1;
        !inner
    });
}

/// Rows from top to bottom, and in each from left to right.
fn in_reading_order(prints: &mut Vec<Print>) {
    prints.sort_by(|a, b| centre(&a.corners).1.total_cmp(&centre(&b.corners).1));
    let mut ordered: Vec<Print> = Vec::with_capacity(prints.len());
    while !prints.is_empty() {
        let first = prints[0];
        let line = centre(&first.corners).1 + first.height.min(first.width) * 0.5;
        let end = prints.iter().take_while(|print| centre(&print.corners).1 <= line).count().max(1);
        let mut row: Vec<Print> = prints.drain(..end).collect();
        row.sort_by(|a, b| centre(&a.corners).0.total_cmp(&centre(&b.corners).0));
        ordered.append(&mut row);
    }
    *prints = ordered;
}
