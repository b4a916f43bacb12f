"""What is said about a key stays in order, even while the key moves."""

from __future__ import annotations

from fairlead.redis.atlas import Atlas
from fairlead.redis.places import SlotMap
from fairlead.redis.roads import Roads


class _Road:
    def __init__(self) -> None:
        self.is_idle = True


class Country(Atlas[str]):
    """Shards by name, of which everything may change."""

    is_sharded = True

    def __init__(self) -> None:
        self.map: SlotMap[str] = SlotMap()
        super().__init__(self.map, "{fleet}")


def test_each_shard_has_a_road_of_its_own() -> None:
    country = Country()
    country.map.adopt([(0, 8191, "a"), (8192, 16383, "b")])
    roads: Roads[str, _Road] = Roads(country, _Road)

    taken = {roads.of_partition(partition) for partition in range(128)}

    assert len(taken) == 2
    assert roads.of_key("fl:{17}:x") is roads.of_partition(17)


def test_a_partition_that_moves_changes_roads_only_when_its_old_one_is_idle() -> None:
    country = Country()
    roads: Roads[str, _Road] = Roads(country, _Road)
    unplaced = roads.of_partition(17)
    unplaced.is_idle = False

    country.map.adopt([(0, 16383, "a")])
    while_busy = roads.of_partition(17)
    unplaced.is_idle = True
    once_idle = roads.of_partition(17)

    assert while_busy is unplaced
    assert once_idle is not unplaced
    assert roads.of_partition(18) is once_idle
