# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The Merkle tree: known roots, all proofs of small logs, and wrong ones."""

from nova_isolation.evidence import merkle
from tests.unit import base

#: The entries and roots of certificate-transparency's tests
#: (``merkle_tree_test.cc``, and ``testonly`` of transparency-dev/merkle).
_ENTRIES = (
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
)
_ROOTS = (
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
)
_SIZE = 130
_OTHER = bytes(32)


class Log:
    """A tree, with the leaves that it reads."""

    def __init__(self):
        self.leaves = []
        self.reads = 0
        self.tree = merkle.Tree(self.read)

    def read(self, start, end):
        self.reads += 1
        return self.leaves[start:end]

    def append(self, entry):
        self.leaves.append(merkle.leaf_hash(entry))
        self.tree.append(self.leaves[-1])


def naive(leaves):
    """The root by the definition of RFC 6962 alone."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while 2 * middle < len(leaves):
        middle *= 2
    return merkle.node_hash(naive(leaves[:middle]), naive(leaves[middle:]))


class TreeTest(base.TestCase):
    """A tree, and the proofs that it makes."""

    def test_known_roots(self):
        log = Log()
        self.assertEqual(
            'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
            log.tree.root().hex(),
        )
        for entry, root in zip(_ENTRIES, _ROOTS, strict=True):
            log.append(bytes.fromhex(entry))
            self.assertEqual(root, log.tree.root().hex())

    def filled(self, size):
        log = Log()
        for number in range(size):
            log.append(b'entry %d' % number)
        return log

    def test_all_proofs_of_small_logs_hold_and_wrong_ones_do_not(self):
        log = self.filled(_SIZE)
        tree, leaves = log.tree, log.leaves
        wrong = 0
        for size in range(1, _SIZE + 1):
            root = tree.root(size)
            self.assertEqual(naive(leaves[:size]), root)
            for index, leaf in enumerate(leaves[:size]):
                path = tree.inclusion(index, size)

                def holds(
                    leaf=leaf, index=index, size=size, path=path, root=root
                ):
                    return merkle.check_inclusion(
                        leaf, index, size, path, root
                    )

                self.assertTrue(holds())
                wrong += holds(leaf=_OTHER)
                wrong += holds(root=_OTHER)
                wrong += holds(path=[*path, _OTHER])
                wrong += holds(path=path[:-1]) if path else 0
                wrong += holds(path=[_OTHER, *path[1:]]) if path else 0
                wrong += holds(index=size)
                wrong += holds(index=-1)
                if size > 1:
                    wrong += holds(index=(index + 1) % size)
            for old in range(1, size + 1):
                path, old_root = tree.consistency(old, size), tree.root(old)

                def holds(
                    old=old,
                    size=size,
                    old_root=old_root,
                    root=root,
                    path=path,
                ):
                    return merkle.check_consistency(
                        old, size, old_root, root, path
                    )

                self.assertTrue(holds())
                wrong += holds(old_root=_OTHER)
                wrong += holds(root=_OTHER)
                wrong += holds(path=[*path, _OTHER])
                wrong += holds(path=path[:-1]) if path else 0
                wrong += holds(path=[_OTHER, *path[1:]]) if path else 0
                wrong += holds(old=size + 1)
                wrong += holds(old=0)
        self.assertEqual(0, wrong)

    def test_tiles(self):
        """Proofs that need leaves of tiles that are no longer in memory."""
        size = 256 * 70 + 3
        log = self.filled(size)
        root = naive(log.leaves)
        self.assertEqual(root, log.tree.root())
        self.assertEqual(0, log.reads)
        for index in (0, 255, 256, 511, 4096, size - 4, size - 1):
            self.assertTrue(
                merkle.check_inclusion(
                    log.leaves[index],
                    index,
                    size,
                    log.tree.inclusion(index),
                    root,
                )
            )
        for old in (1, 255, 256, 257, 511, 4096, 5000, size - 1):
            self.assertTrue(
                merkle.check_consistency(
                    old,
                    size,
                    naive(log.leaves[:old]),
                    root,
                    log.tree.consistency(old),
                )
            )
        self.assertGreater(log.reads, 0)

    def test_an_altered_leaf_of_the_storage_is_noticed(self):
        log = self.filled(256 * 70)
        log.leaves[5] = _OTHER
        self.assertRaisesRegex(
            ValueError, 'tile 0 were altered', log.tree.inclusion, 7
        )
        del log.leaves[300:]
        self.assertRaisesRegex(
            ValueError, '44 leaves of tile 1', log.tree.inclusion, 300
        )

    def test_a_removed_altered_or_moved_entry_is_inconsistent(self):
        before = self.filled(100)
        root = before.tree.root()
        for change in ('remove', 'alter', 'swap', 'none'):
            leaves = [merkle.leaf_hash(b'entry %d' % n) for n in range(120)]
            if change == 'remove':
                del leaves[50]
            elif change == 'alter':
                leaves[50] = _OTHER
            elif change == 'swap':
                leaves[50], leaves[51] = leaves[51], leaves[50]
            after = merkle.Tree(lambda start, end: [])
            after.extend(leaves)
            self.assertEqual(
                change == 'none',
                merkle.check_consistency(
                    100,
                    len(after),
                    root,
                    after.root(),
                    after.consistency(100),
                ),
            )

    def test_an_empty_head_is_consistent(self):
        empty = merkle.empty_root()
        self.assertTrue(merkle.check_consistency(0, 5, empty, _OTHER, []))
        self.assertFalse(merkle.check_consistency(0, 5, _OTHER, _OTHER, []))
        self.assertFalse(merkle.check_consistency(0, 5, empty, _OTHER, [b'']))

    def test_what_does_not_exist_is_refused(self):
        tree = self.filled(5).tree
        for call, arguments in (
            (tree.inclusion, (5,)),
            (tree.inclusion, (-1,)),
            (tree.inclusion, (0, 6)),
            (tree.consistency, (0,)),
            (tree.consistency, (6,)),
            (tree.root, (6,)),
            (tree.append, (b'short',)),
        ):
            self.assertRaises(ValueError, call, *arguments)
