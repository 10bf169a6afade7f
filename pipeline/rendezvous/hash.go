package rendezvous

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// sortByHash puts the server that is most a node's own first. Which one that is
// depends on the two alone, so that the others do not move when one goes.
func sortByHash(node string, addresses []string) {
	weight := func(address string) uint64 { return xxhash.Sum64String(node + " " + address) }
	slices.SortFunc(addresses, func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a, b))
	})
}
