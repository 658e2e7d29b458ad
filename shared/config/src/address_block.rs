//! A block of IP addresses, for the list of trusted proxies.

use std::fmt;
use std::net::IpAddr;

/// Addresses that share their first bits: `10.0.0.0/8`, or one address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressBlock {
    base: IpAddr,
    prefix_bits: u8,
}

impl AddressBlock {
    /// Reads an address or a block. `None` where the prefix is too long or bits after it are set, which is
    /// nearly always a typing mistake.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => width,
        };
        let block = Self { base, prefix_bits };
        (prefix_bits <= width && block.network_of(base) == bits(base)).then_some(block)
    }

    /// Whether the block holds an address. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`, as a dual-stack
    /// socket reports it) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = if self.base.is_ipv4() { address.to_canonical() } else { address };
        address.is_ipv4() == self.base.is_ipv4() && self.network_of(address) == bits(self.base)
    }

    fn network_of(&self, address: IpAddr) -> u128 {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = u32::from(width - self.prefix_bits);
        // `::/0` shifts by all 128 bits, which Rust refuses: nothing of the address is left then.
        let kept = bits(address).checked_shr(host_bits).unwrap_or(0);
        kept.checked_shl(host_bits).unwrap_or(0)
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_strictly() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "127.0.0.1", "10.1.2.3/32", "::/0", "fd00::/8", "::1"] {
            assert!(AddressBlock::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "fd00::1/8",
            "x",
        ] {
            assert!(AddressBlock::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_block_holds_its_addresses_only() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "::1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ];
        for (block, address, expected) in cases {
            let block = AddressBlock::parse(block).expect("a block");
            assert_eq!(block.contains(address.parse().expect("an address")), expected, "{block} {address}");
        }
    }
}
