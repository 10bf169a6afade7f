package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are taken from below the range from which Linux takes the local ports of
// outgoing connections (32768 and up): a program that is down while its clients
// retry would otherwise lose its port to one of them.
const (
	firstPort = 12000
	lastPort  = 32000
)

var (
	portsMu sync.Mutex
	given   = map[int]bool{}
)

// FreePorts returns n loopback TCP ports that are free now and that no earlier
// call in this program returned. Another program may still take one first: who
// starts a server with it tries again with others (ExitError.AddressInUse).
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for len(ports) < n {
		p, err := freePort()
		if err != nil {
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func freePort() (int, error) {
	portsMu.Lock()
	defer portsMu.Unlock()
	var last error
	for range 1000 {
		p := firstPort + rand.IntN(lastPort-firstPort)
		if given[p] {
			last = errors.New("given before")
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			last = err
			continue
		}
		l.Close()
		given[p] = true
		return p, nil
	}
	return 0, fmt.Errorf("find a free loopback port between %d and %d: %w", firstPort, lastPort, last)
}
