//! Pictures as numbers: probe, decode, orient, colour, resize, encode, metadata. Pure functions over bytes and
//! pixels with one pixel budget for the process; knows no database, no route and no feature.

mod pixels;

pub use pixels::{Channels, Image, Samples};
