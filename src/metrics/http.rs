//! Requests by route, method and status.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::{Counter, Gauge, Histogram, Kind, Page, QUICK};

/// The methods that are told apart.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// Classes of status, from informational on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The most routes that get series of their own: more than there are, in case one day a route is not from a list.
const ROUTES_MAX: usize = 512;

/// One method of one route.
#[derive(Debug)]
struct Endpoint {
    classes: [Counter; CLASSES.len()],
    took: Histogram,
}

type Route = [OnceLock<Box<Endpoint>>; METHODS.len()];

/// All requests.
#[derive(Debug)]
pub struct Http {
    /// Requests whose answers are not all sent.
    pub in_flight: Gauge,
    /// Filled by the first request of each route; afterwards only read.
    routes: OnceLock<RwLock<HashMap<Box<str>, Arc<Route>>>>,
}

/// The requests of this process.
pub static HTTP: Http = Http { in_flight: Gauge::new(), routes: OnceLock::new() };

impl Http {
    /// Counts an answered request. `route` is the pattern that matched it, never its address.
    pub fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let routes = self.routes.get_or_init(RwLock::default);
        let known = routes.read().unwrap_or_else(PoisonError::into_inner).get(route).map(Arc::clone);
        let route = known.unwrap_or_else(|| {
            let mut routes = routes.write().unwrap_or_else(PoisonError::into_inner);
            let route = if routes.len() < ROUTES_MAX { route } else { "other" };
            Arc::clone(routes.entry(route.into()).or_default())
        });
        let method = METHODS.iter().position(|name| *name == method).unwrap_or(METHODS.len() - 1);
        let endpoint = route[method].get_or_init(|| {
            Box::new(Endpoint {
                classes: [const { Counter::new() }; CLASSES.len()],
                took: Histogram::new(QUICK),
            })
        });
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        endpoint.classes[class].inc();
        endpoint.took.observe(took);
    }

    pub(super) fn show(&self, page: &mut Page) {
        let mut routes: Vec<(Box<str>, Arc<Route>)> = match self.routes.get() {
            Some(routes) => {
                let routes = routes.read().unwrap_or_else(PoisonError::into_inner);
                routes.iter().map(|(name, route)| (name.clone(), Arc::clone(route))).collect()
            }
            None => Vec::new(),
        };
        routes.sort_by(|(a, _), (b, _)| a.cmp(b));
        let endpoints = || {
            routes.iter().flat_map(|(name, route)| {
                let methods = METHODS.iter().zip(&**route);
                methods.filter_map(move |(method, endpoint)| Some((&**name, *method, endpoint.get()?)))
            })
        };
        let help = "Answered requests, by the pattern of their route, method and class of status.";
        let mut family = page.family("safelight_http_requests_total", Kind::Counter, help);
        for (route, method, endpoint) in endpoints() {
            for (class, count) in CLASSES.iter().zip(&endpoint.classes) {
                if count.get() > 0 {
                    family.sample(&[("route", route), ("method", method), ("status", *class)], count.get());
                }
            }
        }
        let help = "How long it took until answers began.";
        let mut family = page.family("safelight_http_request_duration_seconds", Kind::Histogram, help);
        for (route, method, endpoint) in endpoints() {
            family.histogram(&[("route", route), ("method", method)], &endpoint.took);
        }
        let help = "Requests whose answers are not all sent.";
        page.gauge("safelight_http_requests_in_flight", help, self.in_flight.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_the_number_of_series_stays_bounded() {
        let http = Http { in_flight: Gauge::new(), routes: OnceLock::new() };
        for number in 0..2000 {
            let (route, method) = (format!("/made/up/{number}"), format!("METHOD{number}"));
            http.answered(&route, &method, 999, Duration::from_millis(3));
        }
        assert!(http.routes.get().unwrap().read().unwrap().len() <= ROUTES_MAX + 1);
        http.answered("/a", "GET", 204, Duration::from_millis(3));
        let mut page = Page::new();
        http.show(&mut page);
        let text = page.finish();
        assert!(text.contains("{route=\"other\",method=\"other\",status=\"5xx\"}"), "{text}");
    }
}
