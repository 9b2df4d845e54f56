//! Engines that restore pictures. Several may be active at once and one is picked per request; knows no database,
//! no route and no feature.
