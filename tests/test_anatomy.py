from __future__ import annotations

import numpy as np
import pytest

from monai_chexmask_u.anatomy import (
    COARSE_NODE_COUNT,
    HEART,
    LEFT_LUNG,
    NODE_COUNT,
    NODE_IDS,
    ORGANS,
    RIGHT_LUNG,
    organ_of_node,
    pooling_matrix,
    ring_adjacency,
    unpooling_matrix,
)


def test_nodes_are_in_the_published_order() -> None:
    assert [(organ.first_node, organ.node_count) for organ in ORGANS] == [(0, 44), (44, 50), (94, 26)]
    assert (NODE_COUNT, COARSE_NODE_COUNT) == (120, 60)
    assert NODE_IDS[RIGHT_LUNG.nodes] == tuple(f"RL{node:02d}" for node in range(44))
    assert (NODE_IDS[44], NODE_IDS[93], NODE_IDS[94], NODE_IDS[119]) == ("LL00", "LL49", "H00", "H25")


def test_every_node_belongs_to_the_organ_of_its_id() -> None:
    assert all(NODE_IDS[node].startswith(organ_of_node(node).prefix) for node in range(NODE_COUNT))
    with pytest.raises(IndexError, match=r"0\.\.119"):
        organ_of_node(120)


@pytest.mark.parametrize("coarse", [False, True])
def test_each_organ_is_one_closed_ring(coarse: bool) -> None:
    adjacency = ring_adjacency(coarse=coarse)
    assert (adjacency == adjacency.T).all()
    assert (adjacency.sum(axis=0) == 2).all()
    first = 0
    for organ in ORGANS:
        count = organ.coarse_node_count if coarse else organ.node_count
        node, visited = 0, []
        while node not in visited:
            visited.append(node)
            neighbors = np.flatnonzero(adjacency[first + node]) - first
            node = int(next((n for n in neighbors if n not in visited), 0))
        assert visited in (list(range(count)), [0, *range(count - 1, 0, -1)])
        first += count


def test_pooling_averages_pairs_and_keeps_an_unpaired_node() -> None:
    pool = pooling_matrix()
    np.testing.assert_allclose(pool.sum(axis=1), 1)
    assert pool[1, 2] == pool[1, 3] == 0.5
    # All three organs have an even number of nodes today, so each coarse node is the mean of two.
    assert ((pool > 0).sum(axis=1) == 2).all()


def test_unpooling_copies_even_nodes_and_averages_neighbors_around_the_ring() -> None:
    unpool = unpooling_matrix()
    np.testing.assert_allclose(unpool.sum(axis=1), 1)
    assert unpool[4, 2] == 1
    assert unpool[5, 2] == unpool[5, 3] == 0.5
    last, first_coarse = LEFT_LUNG.first_node + LEFT_LUNG.node_count - 1, RIGHT_LUNG.coarse_node_count
    assert unpool[last, first_coarse + 24] == unpool[last, first_coarse] == 0.5
    heart_coarse = first_coarse + LEFT_LUNG.coarse_node_count
    assert unpool[HEART.first_node, heart_coarse] == 1
