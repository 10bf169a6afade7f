package scrape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// cluster reads objects from the API server.
//
// As kubemeta, it takes credentials, trust and transport from client-go but
// not its reflector, which would decode whole objects before they are trimmed.
type cluster struct {
	config *rest.Config
	client *http.Client
	base   *url.URL
	logger *zap.Logger
}

func newCluster(config *rest.Config, logger *zap.Logger) (*cluster, error) {
	client, base, err := kubeapi.Connect(config)
	if err != nil {
		return nil, err
	}
	return &cluster{config: config, client: client, base: base, logger: logger}, nil
}

func (c *cluster) close() { c.client.CloseIdleConnections() }

// Bounds of what is read from the API server.
const (
	maxObjectBytes = 8 << 20 // etcd refuses objects beyond 1.5 MiB
	answerTimeout  = 30 * time.Second
)

// statusError is an answer other than 200.
type statusError struct {
	code int
	said string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answered %d %s: %s", e.code, http.StatusText(e.code), e.said)
}

func hasCode(err error, codes ...int) bool {
	var status *statusError
	if !errors.As(err, &status) {
		return false
	}
	for _, code := range codes {
		if status.code == code {
			return true
		}
	}
	return false
}

// open asks for a path. The caller closes the body.
func (c *cluster) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	asked.Header.Set("Accept", "application/json")
	answer, err := c.client.Do(asked)
	if err != nil {
		return nil, err // names the method and the URL
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 512)) // the status tells enough without it
	return nil, fmt.Errorf("get %s: %w", path, &statusError{answer.StatusCode, string(said)})
}

// get reads one object.
func (c *cluster) get(ctx context.Context, path string, query url.Values, to any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxObjectBytes)).Decode(to); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
