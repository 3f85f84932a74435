"""Which addresses a URL's host may lead to: the intranet and the internet, never this machine or its neighbourhood.

A host enters, the addresses that may be connected to leave. Loopback, link-local and cloud metadata addresses, and the
forms that hide them in IPv6, are refused unless `--allow-url` names that very address.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

from server.path_error import PathError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], list[str]]

_METADATA = {ipaddress.ip_address(text) for text in (
    "169.254.169.254",  # Amazon, Google, Azure and most others; link-local too
    "fd00:ec2::254",    # Amazon over IPv6
    "fd20:ce::254",     # Google over IPv6
    "100.100.100.200",  # Alibaba
    "168.63.129.16",    # Azure's host agent
    "192.0.0.192",      # Oracle
)}
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_EMBEDDING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))


def look_up(host: str, port: int) -> list[str]:
    """The addresses of `host` as the system knows them; raises OSError."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def checked_addresses(host: str, addresses: Iterable[str]) -> list[str]:
    """Those of `addresses` that may be connected to for a URL that names `host`, each once.

    Raises:
        PathError: there is none; says what the first one is.
    """
    reasons = {address: _why_refused(host, address) for address in addresses}
    allowed = [address for address, reason in reasons.items() if reason is None]
    if not allowed:
        reason = next(iter(reasons.values()), "no address")
        raise PathError(f"the URL's host leads to {reason}: it is never asked unless --allow-url names that address")
    return allowed


def _why_refused(host: str, text: str) -> str | None:
    """What the address is, where it must not be connected to."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # a zone: fe80::1%eth0
        return "a link-local address"
    if host == str(address) or (host == "localhost" and address.is_loopback):
        return None
    return _kind_of(address)


def _kind_of(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _kind_of(address.ipv4_mapped)
        if address not in (ipaddress.IPv6Address(0), ipaddress.IPv6Address(1)) and any(
                address in network for network in _EMBEDDING):
            return "an IPv4 address inside an IPv6 one"
    kinds = {"this machine": address.is_loopback, "a metadata address": address in _METADATA,
             "a link-local address": address.is_link_local, "a multicast address": address.is_multicast,
             "no address of a host": address.is_unspecified or address.is_reserved or address in _THIS_NETWORK}
    return next((kind for kind, is_it in kinds.items() if is_it), None)
