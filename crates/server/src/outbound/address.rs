//! Which addresses are everybody's (IANA special-purpose registries for IPv4 and IPv6, RFC 6890): what is not is this machine, its
//! network, or nobody's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses that are not public an operator lets through, besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Besides {
    /// Those of private networks (RFC 1918, RFC 6598, RFC 4193), but for the metadata services that some clouds have there.
    pub private: bool,
    /// This machine's own.
    pub loopback: bool,
}

impl Besides {
    /// Whether something may be dialled there. An address of IPv4 in IPv6's clothes is one of IPv4.
    pub fn fits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address)
            || (self.loopback && address.is_loopback())
            || (self.private && is_private(address))
    }
}

fn is_private(address: IpAddr) -> bool {
    const METADATA: [IpAddr; 3] = [
        // Alibaba, AWS, Google.
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    ];
    let private = match address {
        IpAddr::V4(address) => address.is_private() || (address.to_bits() ^ 0x6440_0000) >> 22 == 0,
        IpAddr::V6(address) => address.is_unique_local(),
    };
    private && !METADATA.contains(&address)
}

/// Blocks of IPv4 that are not public: prefix and its length.
const RESERVED_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Azure's metadata, in a public block and reachable from inside alone.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // The metadata of most clouds is in here.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Blocks of 2000::/3 that are not public, or that lead into IPv4; whatever is outside of it is not public either.
const RESERVED_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments, Teredo among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether anybody could reach what is at this address.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !RESERVED_V4
            .iter()
            .any(|(prefix, length)| (address.to_bits() ^ prefix.to_bits()) >> (32 - length) == 0),
        IpAddr::V6(address) => {
            address.segments()[0] >> 13 == 1
                && !RESERVED_V6.iter().any(|(prefix, length)| {
                    (address.to_bits() ^ prefix.to_bits()) >> (128 - length) == 0
                })
        }
    }
}
