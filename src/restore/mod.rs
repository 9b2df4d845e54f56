//! Restoring pictures: requests, the job that carries them out, and the results as renditions.
pub mod pipeline;
