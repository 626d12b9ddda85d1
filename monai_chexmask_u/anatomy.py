"""What is segmented: the organs, their landmarks (nodes), and the graph that joins the landmarks.

Everything else in the project takes organ names, node order, colors and graph maps from here.
The order of the nodes, the closed rings and the pooling maps are those of HybridGNet, so that published weights fit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COARSE_NODE_COUNT",
    "HEART",
    "LEFT_LUNG",
    "NODE_COUNT",
    "NODE_IDS",
    "ORGANS",
    "RIGHT_LUNG",
    "Organ",
    "organ_called",
    "organ_of_node",
    "pooling_matrix",
    "ring_adjacency",
    "unpooling_matrix",
]


@dataclass(frozen=True)
class Organ:
    """One organ and the place of its nodes in the list of all nodes.

    Attributes:
        name: key in files and configurations.
        title: name for people.
        prefix: start of the node ids, as in ``RL00``.
        first_node: index of the organ's first node.
        node_count: number of nodes, joined to one closed ring.
        label: value in label masks (0 is background).
        color: red, green, blue in 0..255; a color-blind-safe set (Okabe and Ito).
    """

    name: str
    title: str
    prefix: str
    first_node: int
    node_count: int
    label: int
    color: tuple[int, int, int]

    @property
    def nodes(self) -> slice:
        """Where the organ's nodes stand in an array over all nodes."""
        return slice(self.first_node, self.first_node + self.node_count)

    @property
    def coarse_node_count(self) -> int:
        """Number of nodes on the pooled graph."""
        return (self.node_count + 1) // 2


# Left and right are the patient's: the right lung is on the left of a normal frontal image.
RIGHT_LUNG: Final = Organ("right_lung", "Right lung", "RL", 0, 44, 1, (86, 180, 233))
LEFT_LUNG: Final = Organ("left_lung", "Left lung", "LL", 44, 50, 2, (0, 158, 115))
HEART: Final = Organ("heart", "Heart", "H", 94, 26, 3, (230, 159, 0))
ORGANS: Final = (RIGHT_LUNG, LEFT_LUNG, HEART)

NODE_COUNT: Final = sum(organ.node_count for organ in ORGANS)
COARSE_NODE_COUNT: Final = sum(organ.coarse_node_count for organ in ORGANS)
NODE_IDS: Final = tuple(f"{organ.prefix}{node:02d}" for organ in ORGANS for node in range(organ.node_count))


_ALIASES: Final = {"r": "right", "rt": "right", "l": "left", "lt": "left", "cardiac": "heart"}
_NAMED: Final = {
    **{tuple(sorted(organ.title.lower().split())): organ for organ in ORGANS},
    ("heart", "silhouette"): HEART,
}


def organ_of_node(node: int) -> Organ:
    """Return the organ that a node belongs to.

    Args:
        node: index in 0..119.

    Raises:
        IndexError: if there is no such node.

    Example:
        >>> organ_of_node(119).title
        'Heart'
    """
    for organ in ORGANS:
        if organ.first_node <= node < organ.first_node + organ.node_count:
            return organ
    raise IndexError(f"node must be in 0..{NODE_COUNT - 1}, got {node}")


def organ_called(name: str) -> Organ | None:
    """Return the organ that a segment's or a curve's name means, or None: in English, in any case and word order.

    Example:
        >>> organ_called(" right_lung").title
        'Right lung'
        >>> organ_called("LungL").title
        'Left lung'
        >>> organ_called("lung") is None
        True
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [_ALIASES.get(word, word) for word in re.findall(r"[^\W_]+", apart.lower())]
    return _NAMED.get(tuple(sorted(words)))


def ring_adjacency(*, coarse: bool = False) -> NDArray[np.float64]:
    """Return the adjacency matrix: each organ is one closed ring, and no edge joins two organs.

    Args:
        coarse: the pooled graph of 60 nodes instead of the full one of 120.

    Returns:
        Symmetric matrix of zeros and ones, ``(120, 120)`` or ``(60, 60)``.

    References:
        HybridGNet, https://arxiv.org/abs/2106.09832
    """
    counts = [organ.coarse_node_count if coarse else organ.node_count for organ in ORGANS]
    adjacency = np.zeros((sum(counts), sum(counts)))
    first = 0
    for count in counts:
        ring = np.arange(count)
        adjacency[first + ring, first + (ring + 1) % count] = 1
        adjacency[first + (ring + 1) % count, first + ring] = 1
        first += count
    return adjacency


def pooling_matrix() -> NDArray[np.float64]:
    """Return the map from the full graph to the coarse one: coarse node i is the mean of nodes 2i and 2i+1.

    Returns:
        Matrix ``(60, 120)`` whose rows sum to one; an unpaired last node of an organ is taken as it is.
    """
    matrix = np.zeros((COARSE_NODE_COUNT, NODE_COUNT))
    row = 0
    for organ in ORGANS:
        for first in range(0, organ.node_count, 2):
            pair = range(first, min(first + 2, organ.node_count))
            matrix[row, [organ.first_node + node for node in pair]] = 1 / len(pair)
            row += 1
    return matrix


def unpooling_matrix() -> NDArray[np.float64]:
    """Return the map from the coarse graph to the full one.

    Even node 2i copies coarse node i, odd node 2i+1 is the mean of coarse nodes i and i+1, around the organ's ring.
    This is half a node out of phase with `pooling_matrix`, as in the published network, whose weights expect it.

    Returns:
        Matrix ``(120, 60)`` whose rows sum to one.
    """
    matrix = np.zeros((NODE_COUNT, COARSE_NODE_COUNT))
    first_coarse = 0
    for organ in ORGANS:
        for node in range(organ.node_count):
            below = node // 2
            above = below if node % 2 == 0 else (below + 1) % organ.coarse_node_count
            matrix[organ.first_node + node, first_coarse + below] += 0.5
            matrix[organ.first_node + node, first_coarse + above] += 0.5
        first_coarse += organ.coarse_node_count
    return matrix
