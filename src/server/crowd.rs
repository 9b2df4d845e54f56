//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of all addresses.
#[derive(Debug)]
pub(super) struct Crowd {
    present: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { present: Mutex::default(), most })
    }

    /// Lets one more connection of an address in, for as long as the guard lives; `None` when it has too many.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Present> {
        let whose = household(address);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(whose).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Present { crowd: Arc::clone(self), whose })
    }
}

/// Who has one IPv6 address has the whole network of 64 bits.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// One connection that counts.
#[derive(Debug)]
pub(super) struct Present {
    crowd: Arc<Crowd>,
    whose: IpAddr,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_network_count_together_and_make_room_when_they_go() {
        let crowd = Crowd::new(2);
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let first = enter("2001:db8::1").unwrap();
        let _second = enter("2001:db8::ffff:2").unwrap();
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        let _v4 = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
    }
}
