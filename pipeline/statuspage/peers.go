package statuspage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	maxPeers    = 64
	peersAtOnce = 8
)

// peers are the other aggregators' pages.
type peers struct {
	client   *http.Client
	endpoint *url.URL // of a name that resolves to all of them
	token    func() (string, error)
	self     string // our own Replica.ID

	mu    sync.Mutex
	asked time.Time
	last  []Status
}

// ask is what the others have seen; each Status has the one replica that
// answered, or its error. Nil peers have seen nothing.
func (p *peers) ask(ctx context.Context) []Status {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked.IsZero() && time.Since(p.asked) < askEvery {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	p.last = p.get(ctx)
	p.asked = time.Now()
	return p.last
}

func failed(address string, err error) Status {
	return Status{Replicas: []Replica{{Address: address, Error: cut(err.Error(), maxErrorBytes)}}}
}

func (p *peers) get(ctx context.Context) []Status {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", p.endpoint.Hostname())
	if err != nil {
		return []Status{failed(p.endpoint.Host, fmt.Errorf("find peers: %w", err))}
	}
	token, err := p.token()
	if err != nil {
		return []Status{failed(p.endpoint.Host, err)}
	}
	addresses = addresses[:min(len(addresses), maxPeers)]
	answers := make([]Status, len(addresses))
	slots := make(chan struct{}, peersAtOnce)
	var wg sync.WaitGroup
	for i, ip := range addresses {
		host := net.JoinHostPort(ip.Unmap().String(), p.endpoint.Port())
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i] = p.getOne(ctx, host, token)
		})
	}
	wg.Wait()
	return slices.DeleteFunc(answers, func(s Status) bool { return s.Replicas[0].ID == p.self })
}

func (p *peers) getOne(ctx context.Context, host, token string) Status {
	address := *p.endpoint
	address.Host = host
	address = *address.JoinPath("api/v1/status")
	address.RawQuery = "scope=replica"
	var s Status
	if err := getJSON(ctx, p.client, address.String(), token, &s); err != nil {
		return failed(host, err)
	}
	if len(s.Replicas) != 1 || s.Replicas[0].ID == "" {
		return failed(host, errors.New("the answer is not that of one aggregator"))
	}
	s.Replicas[0].Address = host
	return s
}
