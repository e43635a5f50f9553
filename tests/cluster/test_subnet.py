"""Two clusters never share addresses, and no cluster takes those of the host."""

from ipaddress import IPv4Network
from itertools import islice

from dev.cluster.subnet import LINKS, free_links


def test_the_first_link_is_free_on_an_untouched_host():
    link = next(free_links([]))

    assert (link.interface, link.host, link.node) == ("vsync0", "10.213.0.1", "10.213.0.2")


def test_links_in_use_are_left_out():
    taken = [IPv4Network("10.213.0.0/30"), IPv4Network("10.213.0.9/32")]

    links = list(islice(free_links(taken), 2))

    assert [link.host for link in links] == ["10.213.0.5", "10.213.0.13"]


def test_a_route_to_the_whole_range_leaves_nothing():
    assert not list(free_links([IPv4Network("10.0.0.0/8")]))


def test_links_do_not_overlap():
    links = list(free_links([]))

    addresses = {address for link in links for address in (link.host, link.node)}
    assert len(addresses) == 2 * len(links) == LINKS.num_addresses // 2


def test_an_interface_name_fits_the_kernel():
    assert all(len(link.interface) < 16 for link in free_links([]))
